"""python_env.yaml: MLflow's environment file for virtualenv."""

from dataclasses import dataclass

from yaml.nodes import SequenceNode

from builder.environment_files.pip_lines import PipLine
from builder.environment_files.python_version import PythonRequest, exact_version
from builder.environment_files.yaml_nodes import compose, described, entries, entry, line, text_of
from builder.errors import InvalidPythonEnvFile
from modelyard.core.domain.declared_text import shown

_READ = frozenset({"python", "dependencies", "build_dependencies"})


@dataclass(frozen=True, slots=True)
class PythonEnvFile:
    python: PythonRequest
    pip_lines: tuple[PipLine, ...]
    notes: tuple[str, ...] = ()


def parse_python_env_file(text: str, *, name: str = "python_env.yaml") -> PythonEnvFile:
    """Raises InvalidPythonEnvFile with the line to change.

    `build_dependencies` (pip, setuptools, wheel) are ignored, because uv needs none.
    """
    document = compose(text, InvalidPythonEnvFile, name=name)
    version = entry(document, "python")
    python = text_of(version)
    where = name if version is None else f"{name}, line {line(version)}"
    node = entry(document, "dependencies")
    if node is not None and not isinstance(node, SequenceNode):
        raise InvalidPythonEnvFile(
            f"{name}, line {line(node)}: 'dependencies' must be a list like '- -r requirements.txt', "
            f"not {described(node)}"
        )
    lines = []
    for item in entries(node):
        written = text_of(item)
        if written is None:
            raise InvalidPythonEnvFile(f"{name}, line {line(item)}: a dependency must be text, not {described(item)}")
        lines.append(PipLine(written, f"{name}, line {line(item)}"))
    notes = tuple(
        f"{name}, line {line(key)}: {shown(text_of(key))} is without effect; "
        "the platform reads 'python' and 'dependencies'"
        for key, _ in document.value
        if text_of(key) not in _READ
    )
    return PythonEnvFile(exact_version(python, where=where) if python else PythonRequest(), tuple(lines), notes)
