"""The check of a conda specification as far as possible without a build."""

from modelyard.core.domain.bounded_yaml import RefusedYaml, load_yaml
from modelyard.core.errors import InvalidEnvironment


def check_conda_file(text: str) -> str:
    """Return the text. Raises InvalidEnvironment unless the text is a conda.yaml."""
    try:
        document = load_yaml(text)
    except RefusedYaml as refusal:
        raise InvalidEnvironment(f"condaFile is refused: {refusal}", target="properties.condaFile") from None
    if not isinstance(document, dict) or not isinstance(document.get("dependencies"), list):
        raise InvalidEnvironment(
            "condaFile must be a mapping with a list of 'dependencies', as in the conda.yaml that conda exports",
            target="properties.condaFile",
        )
    return text


def is_same_specification(sent: str, registered: str) -> bool:
    """Whether two texts hold the same values: clients write a specification anew, with sorted keys.

    Raises InvalidEnvironment for a text that is no conda.yaml.
    """
    return bool(load_yaml(check_conda_file(sent)) == load_yaml(registered))
