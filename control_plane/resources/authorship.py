"""The authors of a resource, with the times of creation and of the last change."""

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
    """The caller of the last requested change."""
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
