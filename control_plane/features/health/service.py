"""Readiness of the control plane."""

from collections.abc import Sequence

from sqlalchemy import text

from control_plane.dependencies import Dependencies, Dependency
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller


class Health:
    def __init__(self, sessions: Sessions, dependencies: Dependencies) -> None:
        self._sessions = sessions
        self._dependencies = dependencies

    def unavailable(self) -> Sequence[Dependency]:
        """The servers that cannot be used at the moment."""
        return self._dependencies.unavailable

    def check_database(self, caller: Caller) -> None:
        """Raises when the database does not answer."""
        with transaction(self._sessions) as work:
            work.session.execute(text("SELECT 1"))
