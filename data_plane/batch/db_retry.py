"""Transactions that wait for the database: a job outlives an absence of Postgres."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from modelyard.core.db.unit_of_work import Sessions, is_connection_lost, transaction

_log = logging.getLogger(__name__)

_PAUSES = (0.05, 0.2, 0.5, 1.0)
_Value = TypeVar("_Value")


def retry_on_db_loss(sessions: Sessions, act: Callable[[Session], _Value]) -> _Value:
    """Return `act`'s value from a new transaction, retried until the database answers. A refused value raises.

    A commit with a lost answer is repeated: `act` must be repeatable, as all work with a lease is.
    """
    attempt = 0
    while True:
        try:
            with transaction(sessions) as work:
                value = act(work.session)
        except DBAPIError as error:
            if not is_connection_lost(error):
                raise
            if attempt == 0:
                _log.warning("the database does not answer: waiting. %s", error.orig)
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1
        else:
            return value
