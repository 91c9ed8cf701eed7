"""What failed, beside the predictions: a file or some of its rows, and why."""

from collections.abc import Iterable, Iterator, Sequence

from data_plane.batch.failures import FileFailure
from data_plane.batch.writing.texts import quoted_field
from modelyard.core.domain.job_files import errors_key
from modelyard.core.ports.object_store import ObjectStore

_HEADER = b"file,first_row,rows,reason\n"
_AT_ONCE = 1000


def write_errors(store: ObjectStore, output_key: str, failures: Iterable[FileFailure]) -> str | None:
    """The key of errors.csv beside the output, sorted by file and row. None where nothing failed."""
    ordered = sorted(set(failures), key=_order)
    if not ordered:
        return None
    key = errors_key(output_key)
    store.put(key, _lines(ordered))
    return key


def _order(failure: FileFailure) -> tuple[str, int, int, str]:
    """A failure of the whole file stands before those of its rows."""
    first_row = -1 if failure.first_row is None else failure.first_row
    return failure.file, first_row, -1 if failure.rows is None else failure.rows, failure.reason


def _lines(failures: Sequence[FileFailure]) -> Iterator[bytes]:
    yield _HEADER
    for start in range(0, len(failures), _AT_ONCE):
        yield b"".join(map(_line, failures[start : start + _AT_ONCE]))


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
