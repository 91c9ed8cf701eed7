"""Readiness of the control plane."""

from sqlalchemy import text

from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller


class Health:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def check_database(self, caller: Caller) -> None:
        """Raises when the database does not answer."""
        with transaction(self._sessions) as work:
            work.session.execute(text("SELECT 1"))
