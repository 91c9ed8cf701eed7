"""Paths in environment files. Every path must stay inside the model folder, also after links are followed."""

from pathlib import Path

from builder.errors import InvalidRequirement, PathLeavesModelFolder

_MAX_BYTES = 1 << 20


def path_in_model(model_folder: Path, base: Path, name: str, *, where: str) -> Path:
    """Resolve the path `name`, written in a file of the folder `base`, to a file or folder of the model.

    Raises PathLeavesModelFolder and InvalidRequirement.
    """
    root = model_folder.resolve()
    if "\0" in name or Path(name).is_absolute():
        raise PathLeavesModelFolder(name, where)
    path = (base / name).resolve()
    if not path.is_relative_to(root):
        raise PathLeavesModelFolder(name, where)
    if not path.exists():
        raise InvalidRequirement(f"{where} asks for {name!r}, which is not in the model folder", target=name)
    return path


def read_text(path: Path, *, name: str) -> str:
    """Read a text file of the model, in any of pip's encodings. Raises InvalidRequirement."""
    content = path.read_bytes()
    if len(content) > _MAX_BYTES:
        raise InvalidRequirement(f"{name} is larger than 1 MB, too large for a list of requirements", target=name)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidRequirement(
            f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8", target=name
        ) from None
