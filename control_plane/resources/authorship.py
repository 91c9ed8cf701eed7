"""When, and by whom, a resource was made and last changed on request."""

from dataclasses import dataclass
from datetime import datetime

from modelyard.core.db.rows import Authored
from modelyard.core.domain.caller import CallerKind


@dataclass(frozen=True, slots=True)
class Authorship:
    created_at: datetime
    created_by: str
    created_by_kind: CallerKind
    modified_at: datetime
    """Of the last change of the row, including changes of state that the platform makes by itself."""
    modified_by: str
    """The last caller who asked for a change."""
    modified_by_kind: CallerKind

    @classmethod
    def of(cls, row: Authored) -> "Authorship":
        return cls(
            row.created_at,
            row.created_by,
            CallerKind(row.created_by_kind),
            row.modified_at,
            row.modified_by,
            CallerKind(row.modified_by_kind),
        )
