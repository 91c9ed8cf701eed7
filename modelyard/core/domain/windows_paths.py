"""Paths in the MLmodel of a model that was logged on Windows: `artifacts\\config.json`, `C:\\work\\agent.py`.

MLflow joins the paths of MLmodel with the model folder as written, and on Linux a backslash is a character of a file's
name. A link with the written name makes such a path work, in every version of MLflow, without a change of the files.
"""

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from modelyard.core.domain.bounded_yaml import RefusedYaml, compose_yaml
from modelyard.core.domain.declared_text import shown, unprintable_in
from modelyard.core.errors import InvalidModel

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_NAME = 255
_MOST_LINKS = 1000
# Entries of MLmodel that MLflow joins with the model folder.
_PATHS = re.compile(
    r"flavors\.[^.]+\.(code|data|model_path|model_data|model_binary|pickled_model|python_model|model_code_path"
    r"|artifacts\..+\.path|(extra_files|requirements_file)\.path)"
)
# MLflow takes the last part of this path.
_BY_NAME = "model_code_path"


@dataclass(frozen=True, slots=True)
class WindowsPath:
    """A text of MLmodel with a backslash or a drive."""

    field: str
    """The entry, "flavors.python_function.data"."""
    text: str
    line: int

    def target(self, places: frozenset[str]) -> str | None:
        """The file or folder of `places`, the model's, that the path names. None: the path names neither."""
        plain = self.text.replace("\\", "/")
        if self.field.endswith(_BY_NAME):
            plain = plain.rpartition("/")[2]
        path = posixpath.normpath(plain)
        leaves = path.startswith(("/", "..")) or _DRIVE.match(path) is not None or path == "."
        return None if leaves or path not in places else path

    @property
    def is_found_by_name(self) -> bool:
        """Whether MLflow finds the file on Linux: the last part of a path of code with "/" between folders."""
        return self.field.endswith(_BY_NAME) and "\\" not in posixpath.basename(self.text)

    @property
    def link(self) -> str | None:
        """The name that MLflow opens on Linux, relative to the model folder. None: no file can have the name."""
        name = posixpath.basename(self.text) if self.field.endswith(_BY_NAME) else self.text
        path = PurePosixPath(name)
        parent = path.parent.as_posix()
        is_possible = "\\" in path.name and "\\" not in parent and ".." not in path.parts and not path.is_absolute()
        fits = len(path.name.encode("utf-8", "replace")) <= _LONGEST_NAME and unprintable_in(name) is None
        return name if is_possible and fits else None


def windows_paths(mlmodel: bytes) -> list[WindowsPath]:
    """The texts of the flavors with a backslash or a drive. Empty for an MLmodel that is refused for its YAML."""
    try:
        document = compose_yaml(mlmodel)
    except RefusedYaml:
        return []
    return [path for path in _texts(document, "") if "\\" in path.text or _DRIVE.match(path.text)]


def links_for(mlmodel: bytes, files: Collection[str]) -> dict[str, str]:
    """Links to make in the model folder: name and target, both relative to the folder.

    `files` are the model's files, relative to the folder.
    """
    return _links(windows_paths(mlmodel), files)


def check_windows_paths(mlmodel: bytes, files: Collection[str]) -> None:
    """Raise InvalidModel with the lines of paths that MLflow cannot open, with a link or without."""
    paths = windows_paths(mlmodel)
    links = _links(paths, files)
    needed = [path for path in paths if _PATHS.fullmatch(path.field) and not path.is_found_by_name]
    lost = [path for path in needed if path.link not in links]
    if lost:
        lines = ", ".join(f"line {path.line}: {path.field} is {shown(path.text)}" for path in lost)
        raise InvalidModel(
            f"MLmodel names files that are not in the model folder: {lines}; write paths relative to the model folder, "
            "with '/' between folders",
            target="MLmodel",
        )


def _texts(node: Node | None, field: str) -> Iterator[WindowsPath]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if field or name == "flavors":
                yield from _texts(value, f"{field}.{name}".lstrip("."))
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _texts(value, field)
    elif isinstance(node, ScalarNode) and isinstance(node.value, str):
        yield WindowsPath(field, node.value, int(node.start_mark.line) + 1)


def _links(paths: list[WindowsPath], files: Collection[str]) -> dict[str, str]:
    places = frozenset({*files, *(str(folder) for file in files for folder in PurePosixPath(file).parents)})
    links: dict[str, str] = {}
    for path in paths:
        link, target = path.link, path.target(places)
        if link is not None and target is not None and (posixpath.dirname(link) or ".") in places:
            links[link] = target
        if len(links) == _MOST_LINKS:
            break
    return links
