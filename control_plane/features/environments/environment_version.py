"""A registered environment: a conda specification, checked as far as possible without a build."""

from dataclasses import dataclass

from control_plane.resources.assets.asset import VersionHead, VersionSpec
from modelyard.core.domain.bounded_yaml import RefusedYaml, load_yaml
from modelyard.core.errors import InvalidEnvironment


@dataclass(frozen=True, slots=True)
class EnvironmentVersionSpec(VersionSpec):
    conda_file: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class EnvironmentVersion:
    head: VersionHead
    conda_file: str
    image: str | None


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    """An environment on the disk, and the deployments that run from it."""

    lock_hash: str
    folder: str
    python_version: str
    size_bytes: int
    used_by: tuple[tuple[str, str], ...]
    """Endpoint and deployment."""


def check_conda_file(text: str | None) -> str:
    """Return the text. Raises InvalidEnvironment unless the text is a conda.yaml."""
    if text is None or not text.strip():
        raise InvalidEnvironment(
            "the environment has no condaFile: this platform runs no images, so list the packages in a conda "
            "specification",
            target="properties.condaFile",
        )
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
