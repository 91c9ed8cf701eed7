"""errors.csv beside the predictions: failed files or rows, and why they failed."""

from collections.abc import Iterable, Iterator, Sequence

from data_plane.batch.failures import FileFailure
from data_plane.batch.output.column_text import quoted_field
from modelyard.core.domain.job_files import errors_key
from modelyard.core.ports.object_store import ObjectStore

_HEADER = b"file,first_row,rows,reason\n"
_LINES_PER_WRITE = 1000


def write_errors(store: ObjectStore, output_key: str, failures: Iterable[FileFailure]) -> str | None:
    """Write errors.csv, sorted by file and row. Return its key, or None without failures."""
    ordered = sorted(set(failures), key=_order)
    if not ordered:
        return None
    key = errors_key(output_key)
    store.put(key, _lines(ordered))
    return key


def _order(failure: FileFailure) -> tuple[str, int, int, str]:
    """Sort a failure of the whole file before failures of its rows."""
    first_row = -1 if failure.first_row is None else failure.first_row
    return failure.file, first_row, -1 if failure.rows is None else failure.rows, failure.reason


def _lines(failures: Sequence[FileFailure]) -> Iterator[bytes]:
    yield _HEADER
    for start in range(0, len(failures), _LINES_PER_WRITE):
        yield b"".join(map(_line, failures[start : start + _LINES_PER_WRITE]))


def _line(failure: FileFailure) -> bytes:
    return (
        b",".join(
            [
                quoted_field(failure.file),
                _number(failure.first_row),
                _number(failure.rows),
                quoted_field(failure.reason),
            ]
        )
        + b"\n"
    )


def _number(number: int | None) -> bytes:
    return b"" if number is None else b"%d" % number
