"""Transactions that outlive the database's absence: a job waits for Postgres, it does not fail for it."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from modelyard.core.db.unit_of_work import Sessions, transaction

_log = logging.getLogger(__name__)

_PAUSES = (0.05, 0.2, 0.5, 1.0)
_Answer = TypeVar("_Answer")


def patiently(sessions: Sessions, act: Callable[[Session], _Answer]) -> _Answer:
    """What `act` returns, in a transaction of its own, as soon as there is a database.

    A commit whose answer was lost is done again: `act` has to bear that, as everything with a lease does.
    """
    attempt = 0
    while True:
        try:
            with transaction(sessions) as work:
                answer = act(work.session)
        except (OperationalError, InterfaceError) as error:
            if attempt == 0:
                _log.warning("the database does not answer: waiting for it. %s", error.orig)
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1
        else:
            return answer
