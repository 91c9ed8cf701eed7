"""The time of each access token's last use, written to the database at most once a minute, beside the requests."""

import asyncio
import logging
import time
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from modelyard.core.db.rows import AccessTokenRow
from modelyard.core.db.unit_of_work import Sessions, transaction

_log = logging.getLogger(__name__)


class TokenUses:
    def __init__(self, sessions: Sessions, *, write_seconds: float = 60.0) -> None:
        self._sessions = sessions
        self._write_seconds = write_seconds
        self._used_at: dict[int, float] = {}
        self._written_at = float("-inf")
        self._writing: asyncio.Task[None] | None = None

    def note(self, token_id: int) -> None:
        self._used_at[token_id] = time.time()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        await asyncio.sleep(max(0.0, self._written_at + self._write_seconds - time.monotonic()))
        used_at, self._used_at = self._used_at, {}
        self._written_at = time.monotonic()
        try:
            await run_in_threadpool(self._store, used_at)
        except SQLAlchemyError:
            _log.warning("the last uses of %s access tokens could not be written", len(used_at))
        finally:
            self._writing = None

    def _store(self, used_at: dict[int, float]) -> None:
        with transaction(self._sessions) as work:
            for token_id, moment in sorted(used_at.items()):
                work.session.execute(
                    update(AccessTokenRow)
                    .where(AccessTokenRow.id == token_id)
                    # A use is no change of the token.
                    .values(last_used_at=datetime.fromtimestamp(moment, UTC), modified_at=AccessTokenRow.modified_at)
                )
