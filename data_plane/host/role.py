"""The host's role, held by a single process: on a machine through a file lock, across machines through a lease.

The holder's death releases the file lock. The lease is the row "host" in the database. The locked file keeps the
lease's token: the next holder of the lock knows of the last holder's death, and continues the lease without waiting for
the expiry.
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
        """Return False while another host runs on this machine."""
        return try_lock(self._descriptor)

    def take_lease(self, session: Session) -> bool:
        """Return False while a host on another machine holds the lease."""
        predecessor = self._read()
        if predecessor is not None and renew(session, predecessor):
            self.claim = predecessor
        else:
            self.claim = claim(session, NamedLeaseRow, _NAME)
            self._write()
        return self.claim is not None

    def renew(self, session: Session) -> bool:
        """Return False if the lease has passed to another host."""
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
