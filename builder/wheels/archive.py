"""Write reproducible wheels: entries are sorted, and have neither times nor compression.

Compression would take three times as long as the rest of the packing, during a deployment (docs/environments.md).
"""

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.wheels.installed import Content, Distribution

_CHUNK = 1 << 20
_FILE = stat.S_IFREG | 0o644
_PROGRAM = stat.S_IFREG | 0o755

RecordLine = tuple[str, str, int]


def content_hash(distribution: Distribution) -> str:
    """The hash of the RECORD of the distribution's wheel. Reads only files without a hash in the installed RECORD."""
    lines = [(content.path, *(content.recorded or _described(content))) for content in _sorted(distribution)]
    return hashlib.sha256(_record(distribution, lines)).hexdigest()


def write_wheel(distribution: Distribution, target: Path) -> str:
    """Write the wheel and return the hash of the written RECORD."""
    with zipfile.ZipFile(target, "w") as archive:
        lines = [_add(archive, content) for content in _sorted(distribution)]
        record = _record(distribution, lines)
        archive.writestr(_entry(f"{distribution.information}/RECORD", _FILE), record)
    return hashlib.sha256(record).hexdigest()


def _sorted(distribution: Distribution) -> Sequence[Content]:
    """The .dist-info folder comes last, as the wheel format recommends."""
    information = f"{distribution.information}/"
    return sorted(distribution.contents, key=lambda content: (content.path.startswith(information), content.path))


def _add(archive: zipfile.ZipFile, content: Content) -> RecordLine:
    status = content.file.stat()
    entry = _entry(content.path, _PROGRAM if status.st_mode & stat.S_IXUSR else _FILE)
    entry.file_size = status.st_size  # zipfile chooses the format for large files by the size
    digest, size = hashlib.sha256(), 0
    with archive.open(entry, "w") as packed:
        for chunk in _chunks(content):
            packed.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return content.path, _recorded(digest.digest()), size


def _entry(path: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path)
    entry.external_attr = mode << 16
    return entry


def _described(content: Content) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(content):
        digest.update(chunk)
        size += len(chunk)
    return _recorded(digest.digest()), size


def _chunks(content: Content) -> Iterator[bytes]:
    if content.text is not None:
        yield content.text
        return
    with content.file.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _recorded(digest: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _record(distribution: Distribution, lines: Sequence[RecordLine]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(lines)
    writer.writerow((f"{distribution.information}/RECORD", "", ""))
    return text.getvalue().encode()
