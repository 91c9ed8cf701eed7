"""conda.yaml: the Python version and the lines of the pip section. Conda packages are refused by name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, SequenceNode

from builder.environment_files.conda_packages import INSTALLERS, CondaPackage
from builder.environment_files.pip_lines import PipLine
from builder.environment_files.python_version import PythonRequest, conda_version
from builder.environment_files.yaml_nodes import compose, described, entries, entry, line, text_of
from builder.errors import CondaPackagesNotSupported, InvalidCondaFile
from modelyard.core.domain.declared_text import shown, unprintable_in

_CONDA_PACKAGE = re.compile(r"^(?:[\w./-]+::)?([A-Za-z0-9_][\w.-]*)\s*(.*)$", re.DOTALL)
_LONGEST_PACKAGE = 200
_WITHOUT_MEANING = {
    "prefix": "the folder of the environment is the platform's",
    "variables": "write them into the deployment's environment_variables",
    "platforms": "the platform is the builder's",
}
_READ = frozenset({"name", "channels", "dependencies"})


@dataclass(frozen=True, slots=True)
class CondaFile:
    python: PythonRequest
    pip_lines: tuple[PipLine, ...]
    notes: tuple[str, ...]


def parse_conda_file(text: str, *, name: str = "conda.yaml") -> CondaFile:
    """Raises InvalidCondaFile with the line to change."""
    document = compose(text, InvalidCondaFile, name=name)
    notes = _without_effect(document, name)
    dependencies = _dependencies(document, name)
    sections = [node for node in dependencies if isinstance(node, MappingNode)]
    packages = [_package(node, name) for node in dependencies if not isinstance(node, MappingNode)]
    _refuse_conda_packages(packages, name)
    return CondaFile(
        python=_python(packages, name),
        pip_lines=tuple(declared for section in sections for declared in _pip_section(section, name)),
        notes=(*notes, *_ignored(packages, name)),
    )


def _without_effect(document: MappingNode, name: str) -> list[str]:
    """Notes of the entries that the platform does not read."""
    notes = []
    for key, _ in document.value:
        entry_name = text_of(key) or ""
        if entry_name == "pip":
            raise InvalidCondaFile(
                f"{name}, line {line(key)}: 'pip:' stands beside 'dependencies'; write '- pip:' as an item of "
                "'dependencies', with the requirements below"
            )
        if entry_name not in _READ:
            reason = _WITHOUT_MEANING.get(entry_name, "the platform reads 'dependencies' alone")
            notes.append(f"{name}, line {line(key)}: {shown(entry_name)} is without effect; {reason}")
    return notes


def _dependencies(document: MappingNode, name: str) -> list[Node]:
    node = entry(document, "dependencies")
    if not isinstance(node, SequenceNode):
        found = "no such entry" if node is None else f"line {line(node)} has {described(node)}"
        raise InvalidCondaFile(
            f"{name} has no list 'dependencies' with python and a pip section: {found}",
            target="dependencies",
        )
    return list(entries(node))


def _package(node: Node, name: str) -> CondaPackage:
    written = text_of(node)
    is_a_line = written is not None and len(written) <= _LONGEST_PACKAGE and unprintable_in(written) is None
    found = _CONDA_PACKAGE.match(written) if written and is_a_line else None
    if found is not None and re.match(r"[-:]", found[2]):
        raise InvalidCondaFile(
            f"{name}, line {line(node)}: {shown(written)} is one text; write '- pip:' with a colon, and each "
            "requirement on a line of its own, indented below, after a dash"
        )
    if written is None or found is None:
        raise InvalidCondaFile(
            f"{name}, line {line(node)}: a dependency must be text like 'python=3.10', not {described(node)}"
        )
    return CondaPackage(found[1].lower(), found[2].strip(), written, line(node))


def _refuse_conda_packages(packages: list[CondaPackage], name: str) -> None:
    allowed = INSTALLERS | {"python"}
    real = [package for package in packages if package.name not in allowed and not package.is_part_of_python]
    if real:
        raise CondaPackagesNotSupported(
            [f"{package.written} (line {package.line})" for package in real],
            name,
            pip_lines=[package.pip_line for package in real if package.pip_line],
            without_pip_line=[package.name for package in real if not package.pip_line],
        )


def _python(packages: list[CondaPackage], name: str) -> PythonRequest:
    asked = [package for package in packages if package.name == "python"]
    if len(asked) > 1:
        raise InvalidCondaFile(f"{name}, line {asked[1].line}: python is listed twice; remove one of the two lines")
    return conda_version(asked[0].version, where=f"{name}, line {asked[0].line}") if asked else PythonRequest()


def _pip_section(section: MappingNode, name: str) -> list[PipLine]:
    for key, value in section.value:
        if text_of(key) != "pip":
            version = text_of(value)
            instead = f"write '{text_of(key)}={version}'" if version is not None else "use 'pip:'"
            raise InvalidCondaFile(
                f"{name}, line {line(key)}: {described(key)} is not a section that this platform reads; {instead}"
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


def _ignored(packages: list[CondaPackage], name: str) -> Iterator[str]:
    for package in packages:
        written = f"{name}, line {package.line}: {package.written} is ignored; "
        if package.name in INSTALLERS and package.version:
            yield f"{written}the platform installs without {package.name}"
        elif package.is_part_of_python:
            yield f"{written}the platform's interpreter has a library of its own"
