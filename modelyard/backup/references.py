"""Keys of objects that rows refer to, to find objects that the store has lost."""

from collections.abc import Iterable, Iterator
from typing import IO

from psycopg import Connection
from psycopg.rows import TupleRow

from modelyard.backup.contents import CHECKED
from modelyard.core.domain.bundle import BUNDLE_FILE
from modelyard.core.domain.lifecycle import ENDED_JOBS, GenerationState

_NAMED = 20
"""Missing objects that are named in the report."""

# The order of object keys is that of their UTF-8 bytes: COLLATE "C".
_KEYS = f"""
    SELECT key FROM (
        SELECT 'blobs/sha256/' || left(sha256, 2) || '/' || sha256 AS key
            FROM model_versions, jsonb_to_recordset(manifest) AS file(sha256 text)
        UNION SELECT key FROM data_versions, jsonb_to_recordset(coalesce(manifest, '[]')) AS file(key text)
        UNION SELECT 'bundles/' || bundle_hash || '/{BUNDLE_FILE}' FROM deployment_generations
            WHERE bundle_hash IS NOT NULL AND state IN ('{GenerationState.BUILT}', '{GenerationState.SERVING}')
        UNION SELECT 'bundles/' || bundle_hash || '/{BUNDLE_FILE}' FROM jobs
            WHERE state NOT IN ({", ".join(f"'{state}'" for state in ENDED_JOBS)})
    ) AS referenced
    WHERE {" OR ".join(f"starts_with(key, '{prefix}')" for prefix in CHECKED)}
    ORDER BY key COLLATE "C"
"""


def write_references(connection: Connection[TupleRow], file: IO[str]) -> None:
    """Write the sorted keys, one a line, so that the transaction need not last as long as the copy of the objects."""
    with connection.cursor("references") as cursor:
        for (key,) in cursor.execute(_KEYS):
            file.write(f"{key}\n")
    file.seek(0)


class ReferenceCheck:
    """Compares sorted references with the sorted keys of an object store, both read once."""

    def __init__(self, references: Iterable[str]) -> None:
        self._references: Iterator[str] = (line.rstrip("\n") for line in references)
        self._next = next(self._references, None)
        self.missing = 0
        self.named: list[str] = []

    def stored(self, key: str) -> None:
        """Note an object, in the order of keys."""
        self._miss_before(key)
        if self._next == key:
            self._next = next(self._references, None)

    def end(self) -> None:
        self._miss_before(None)

    def _miss_before(self, key: str | None) -> None:
        while self._next is not None and (key is None or self._next.encode() < key.encode()):
            self.missing += 1
            if len(self.named) < _NAMED:
                self.named.append(self._next)
            self._next = next(self._references, None)
