"""Limits on the size of a table in memory, independent of the size on the wire."""

from data_plane.scoring.errors import InvalidBody

MOST_VALUES = 20_000_000
MOST_BYTES = 512 << 20


def check_count(values: int) -> None:
    if values > MOST_VALUES:
        raise InvalidBody(f"the table has more than {MOST_VALUES} values: send fewer rows per request")
