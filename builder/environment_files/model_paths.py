"""Paths in environment files. Every path must stay inside the model folder, also after links are followed."""

from pathlib import Path

from builder.errors import InvalidRequirement, PathLeavesModelFolder
from modelyard.core.domain.declared_text import shown

_MAX_BYTES = 1 << 20


def path_in_model(model_folder: Path, base: Path, name: str, *, where: str) -> Path:
    """Resolve the path `name`, written in a file of the folder `base`, to a file or folder of the model.

    Raises PathLeavesModelFolder and InvalidRequirement.
    """
    root = model_folder.resolve()
    try:
        if "\0" in name or Path(name).is_absolute():
            raise PathLeavesModelFolder(name, where)
        path = (base / name).resolve()
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
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidRequirement(
            f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8", target=name
        ) from None
