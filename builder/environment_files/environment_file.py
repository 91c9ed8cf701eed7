"""An environment file in any of the three forms: conda.yaml, python_env.yaml, requirements.txt.

The content decides the form: users write one form under another's name, and MLflow's tools read it.
"""

import re
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode

from builder.environment_files.conda_file import parse_conda_file
from builder.environment_files.pip_lines import PipLine, lines_of
from builder.environment_files.python_env_file import parse_python_env_file
from builder.environment_files.python_version import PythonRequest
from builder.environment_files.yaml_nodes import entries, entry, text_of
from modelyard.core.domain.bounded_yaml import RefusedYaml, compose_yaml

_PYTHON_ENV_NAME = re.compile(r"(^|/)python_env\.ya?ml$")
_TEXT_NAME = re.compile(r"\.(txt|in)$")
_MAPPING_OF_DEPENDENCIES = re.compile(r"^dependencies[ \t]*:", re.MULTILINE)
_REQUIREMENT = re.compile(
    r"(-[rcefi]|--[a-z-]+|[A-Za-z0-9][\w.-]*\s*(\[[\w, .-]*\])?\s*([=<>!~]=|[<>@;])|git\+|https?:)"
)


@dataclass(frozen=True, slots=True)
class EnvironmentFile:
    name: str
    python: PythonRequest
    lines: tuple[PipLine, ...]
    notes: tuple[str, ...] = ()


def parse_environment_file(text: str, *, name: str) -> EnvironmentFile:
    """Raises InvalidEnvironment with the line to change."""
    is_text = bool(_TEXT_NAME.search(name))
    if is_text and not _MAPPING_OF_DEPENDENCIES.search(text):
        return EnvironmentFile(name, PythonRequest(), tuple(lines_of(text, name=name)))
    document = _document(text)
    if isinstance(document, ScalarNode) and _REQUIREMENT.match(text_of(document) or ""):
        note = f"{name} has the form of requirements.txt, and is read as such"
        return EnvironmentFile(name, PythonRequest(), tuple(lines_of(text, name=name)), (note,))
    named_python_env = bool(_PYTHON_ENV_NAME.search(name))
    as_python_env = _has_form_of_python_env(document, default=named_python_env)
    form, usual = ("python_env.yaml", named_python_env) if as_python_env else ("conda.yaml", not named_python_env)
    notes = () if usual and not is_text else (f"{name} has the form of {form}, and is read as such",)
    if as_python_env:
        python_env = parse_python_env_file(text, name=name)
        return EnvironmentFile(name, python_env.python, python_env.pip_lines, (*notes, *python_env.notes))
    conda = parse_conda_file(text, name=name)
    return EnvironmentFile(name, conda.python, conda.pip_lines, (*notes, *conda.notes))


def _document(text: str) -> Node | None:
    try:
        return compose_yaml(text)
    except RefusedYaml:
        # The form's own reader refuses the text, with the file's name.
        return None


def _has_form_of_python_env(document: Node | None, *, default: bool) -> bool:
    if not isinstance(document, MappingNode):
        return default
    if any(entry(document, name) is not None for name in ("python", "build_dependencies")):
        return True
    dependencies = list(entries(entry(document, "dependencies")))
    has_conda_keys = any(entry(document, name) is not None for name in ("channels", "prefix"))
    has_section = any(isinstance(each, MappingNode) for each in dependencies)
    return False if has_conda_keys or has_section else default
