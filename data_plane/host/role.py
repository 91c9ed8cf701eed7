"""The host's role: on one machine and, by the database, on all machines, one process at a time has it.

On a machine it is a lock on a file, which its holder's death sets free. In the database it is the lease "host". The
file keeps the lease's token: whoever gets the file's lock knows that the holder on this machine is dead, and goes on
with its lease instead of waiting until it has run out.
"""

import json
import os
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from modelyard.core.db.leases import Claim, claim, finish, renew
from modelyard.core.db.rows import NamedLeaseRow
from modelyard.process.file_lock import try_lock

_NAME = "host"


class HostRole:
    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        self.claim: Claim | None = None

    def take_machine(self) -> bool:
        """False: another host runs on this machine."""
        return try_lock(self._descriptor)

    def take_lease(self, session: Session) -> bool:
        """False: a host on another machine has it."""
        predecessor = self._read()
        if predecessor is not None and renew(session, predecessor):
            self.claim = predecessor
        else:
            self.claim = claim(session, NamedLeaseRow, _NAME)
            self._write()
        return self.claim is not None

    def renew(self, session: Session) -> bool:
        """False: the lease has passed to another host."""
        return self.claim is not None and renew(session, self.claim)

    def give_up(self, session: Session) -> None:
        if self.claim is not None:
            finish(session, self.claim)
            self.claim = None

    def _read(self) -> Claim | None:
        content = os.pread(self._descriptor, 4096, 0)
        if not content:
            return None
        document = json.loads(content)
        return Claim(NamedLeaseRow, _NAME, UUID(document["token"]), document["attempt"])

    def _write(self) -> None:
        os.ftruncate(self._descriptor, 0)
        if self.claim is not None:
            document = {"token": str(self.claim.token), "attempt": self.claim.attempt}
            os.pwrite(self._descriptor, json.dumps(document).encode(), 0)
