"""conda.yaml: the Python version and the lines of the pip section. Conda packages are refused by name."""

import re
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, SequenceNode

from builder.environment_files.pip_lines import PipLine
from builder.environment_files.python_version import PythonRequest, conda_version
from builder.environment_files.yaml_nodes import compose, described, entries, entry, line, text_of
from builder.errors import CondaPackagesNotSupported, InvalidCondaFile
from modelyard.core.domain.declared_text import unprintable_in

_CONDA_PACKAGE = re.compile(r"^(?:[\w./-]+::)?([A-Za-z0-9_][\w.-]*)\s*(.*)$", re.DOTALL)
_LONGEST_PACKAGE = 200
# conda.yaml must list pip to have a pip section. The platform installs without pip, setuptools and wheel.
_INSTALLERS = frozenset({"pip", "setuptools", "wheel"})


@dataclass(frozen=True, slots=True)
class CondaFile:
    python: PythonRequest
    pip_lines: tuple[PipLine, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _CondaPackage:
    name: str
    version: str
    written: str
    line: int


def parse_conda_file(text: str, *, name: str = "conda.yaml") -> CondaFile:
    """Raises InvalidCondaFile with the line to change."""
    dependencies = _dependencies(compose(text, InvalidCondaFile, name=name), name)
    sections = [node for node in dependencies if isinstance(node, MappingNode)]
    packages = [_package(node, name) for node in dependencies if not isinstance(node, MappingNode)]
    _refuse_conda_packages(packages, name)
    return CondaFile(
        python=_python(packages, name),
        pip_lines=tuple(declared for section in sections for declared in _pip_section(section, name)),
        notes=tuple(_ignored(package, name) for package in packages if package.name in _INSTALLERS and package.version),
    )


def _dependencies(document: MappingNode, name: str) -> list[Node]:
    node = entry(document, "dependencies")
    if not isinstance(node, SequenceNode):
        found = "no such entry" if node is None else f"line {line(node)} has {described(node)}"
        raise InvalidCondaFile(
            f"{name} has no list 'dependencies' with python and a pip section: {found}",
            target="dependencies",
        )
    return list(entries(node))


def _package(node: Node, name: str) -> _CondaPackage:
    written = text_of(node)
    is_a_line = written is not None and len(written) <= _LONGEST_PACKAGE and unprintable_in(written) is None
    found = _CONDA_PACKAGE.match(written) if written and is_a_line else None
    if written is None or found is None:
        raise InvalidCondaFile(
            f"{name}, line {line(node)}: a dependency must be text like 'python=3.10', not {described(node)}"
        )
    return _CondaPackage(found[1].lower(), found[2].strip(), written, line(node))


def _refuse_conda_packages(packages: list[_CondaPackage], name: str) -> None:
    allowed = _INSTALLERS | {"python"}
    real = [f"{package.written} (line {package.line})" for package in packages if package.name not in allowed]
    if real:
        raise CondaPackagesNotSupported(real, name)


def _python(packages: list[_CondaPackage], name: str) -> PythonRequest:
    asked = [package for package in packages if package.name == "python"]
    if len(asked) > 1:
        raise InvalidCondaFile(f"{name}, line {asked[1].line}: python is listed twice; remove one of the two lines")
    return conda_version(asked[0].version, where=f"{name}, line {asked[0].line}") if asked else PythonRequest()


def _pip_section(section: MappingNode, name: str) -> list[PipLine]:
    for key, _ in section.value:
        if text_of(key) != "pip":
            raise InvalidCondaFile(
                f"{name}, line {line(key)}: {described(key)} is not a section that this platform reads; use 'pip:'"
            )
    node = entry(section, "pip")
    if text_of(node) is None and not isinstance(node, (SequenceNode, MappingNode)):
        return []
    if not isinstance(node, SequenceNode):
        assert node is not None
        raise InvalidCondaFile(
            f"{name}, line {line(node)}: 'pip:' must be a list of requirements, each after a dash, "
            f"not {described(node)}"
        )
    return [_pip_line(item, name) for item in node.value]


def _pip_line(node: Node, name: str) -> PipLine:
    text = text_of(node)
    if text is None:
        raise InvalidCondaFile(
            f"{name}, line {line(node)}: a pip requirement must be text like 'numpy==1.23.5', not {described(node)}"
        )
    return PipLine(text, f"{name}, line {line(node)}")


def _ignored(package: _CondaPackage, name: str) -> str:
    return f"{name}, line {package.line}: {package.written} is ignored; the platform installs without {package.name}"
