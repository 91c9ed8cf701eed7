"""Formats and compressions of input files, told by the end of the file's name."""

from enum import StrEnum

SUPPORTED = (
    ".csv, .jsonl and .ndjson (also with .gz or .zst behind it), .parquet, .pqt, and for models of a tensor signature "
    ".png, .jpg, .jpeg, .tiff, .bmp and .gif"
)


class FileFormat(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    IMAGE = "image"


class Compression(StrEnum):
    GZIP = "gzip"
    ZSTD = "zstd"


_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}
_FORMATS = {
    ".csv": FileFormat.CSV,
    ".jsonl": FileFormat.JSON_LINES,
    ".ndjson": FileFormat.JSON_LINES,
    ".parquet": FileFormat.PARQUET,
    ".pqt": FileFormat.PARQUET,
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tiff", ".bmp", ".gif"), FileFormat.IMAGE),
}
_COMPRESSIBLE = (FileFormat.CSV, FileFormat.JSON_LINES)


def compression_of(path: str) -> Compression | None:
    return _COMPRESSIONS.get(_extension(path))


def format_of(path: str) -> FileFormat | None:
    """Return None for an unsupported file. Only text formats may have a compression in their name."""
    if compression_of(path) is None:
        return _FORMATS.get(_extension(path))
    inner = _FORMATS.get(_extension(path[: -len(_extension(path))]))
    return inner if inner in _COMPRESSIBLE else None


def unsupported(path: str) -> str:
    extension = _extension(path).removeprefix(".") or "without an extension"
    return f"the file type {extension!r} is not supported: supported are {SUPPORTED}"


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return f".{name.rpartition('.')[2]}".lower() if "." in name else ""
