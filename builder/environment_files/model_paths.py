"""Paths in environment files. Every path must stay inside the model folder, also after links are followed.

Paths of Windows are read as Windows reads them: a backslash separates folders, `C:` names a drive.
"""

import codecs
import re
from pathlib import Path

from builder.errors import InvalidRequirement, PathLeavesModelFolder
from modelyard.core.domain.declared_text import shown

_MAX_BYTES = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
# The longer mark first: UTF-32's begins with UTF-16's.
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def path_in_model(model_folder: Path, base: Path, name: str, *, where: str) -> Path:
    """Resolve the path `name`, written in a file of the folder `base`, to a file or folder of the model.

    Raises PathLeavesModelFolder and InvalidRequirement.
    """
    root = model_folder.resolve()
    relative = name.replace("\\", "/")
    try:
        if "\0" in name or Path(relative).is_absolute() or _DRIVE.match(relative):
            raise PathLeavesModelFolder(name, where)
        path = (base / relative).resolve()
        if not path.is_relative_to(root):
            raise PathLeavesModelFolder(name, where)
        if path.exists():
            return path
    except (OSError, RuntimeError) as error:
        # The name is too long, or a link leads to itself.
        reason = getattr(error, "strerror", None) or "a link leads to itself"
        raise InvalidRequirement(f"{where} asks for {shown(name)}, which is not a path: {reason}") from None
    raise InvalidRequirement(f"{where} asks for {shown(name)}, which is not in the model folder", target=shown(name))


def read_text(path: Path, *, name: str) -> str:
    """Read a text file of the model, in any of pip's encodings. Raises InvalidRequirement."""
    if not path.is_file():
        raise InvalidRequirement(f"{name} is not a file; write the path of a text file", target=name)
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InvalidRequirement(f"{name} is larger than 1 MB, too large for a list of requirements", target=name)
    encoding = _encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidRequirement(
            f"{name}, line {line}, is not UTF-8 text (byte {error.start} of the file); save the file as UTF-8",
            target=name,
        ) from None


def is_utf8(path: Path) -> bool:
    """Whether the file is UTF-8 text, as far as environment files are read."""
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(content: bytes) -> str:
    """By the mark at the beginning, as pip; PowerShell writes UTF-16. Without a mark, a NUL tells UTF-16 from UTF-8."""
    marked = next((encoding for mark, encoding in _ENCODINGS if content.startswith(mark)), None)
    unmarked = {(False, True): "utf-16-le", (True, False): "utf-16-be"}
    return marked or unmarked.get((content[:1] == b"\0", content[1:2] == b"\0"), "utf-8-sig")
