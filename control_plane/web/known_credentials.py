"""The credentials in the database, kept in memory: a request with a wrong token causes no query of its own."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from modelyard.core.db.rows import AccessTokenRow, AdminTokenRow, BatchEndpointRow, WorkspaceRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import CallerKind
from modelyard.core.domain.derived_tokens import parent_fingerprint
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.domain.roles import EVERY_WORKSPACE, Role, RoleAssignment

_REREAD_SECONDS = 5.0
_SECONDS_BETWEEN_READS = 0.25


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of a credential."""

    subject: str
    kind: CallerKind
    roles: frozenset[RoleAssignment]
    expires_at: float | None = None
    """Unix seconds. None: never."""
    token_id: int | None = None
    """Key of the access token, whose use is recorded."""
    fingerprint: str | None = None
    """The name of the credential in tokens derived from it. None: no token is derived from the credential."""

    def has_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


ADMIN = Identity("admin", CallerKind.USER, frozenset({RoleAssignment(Role.OWNER, EVERY_WORKSPACE)}))


@dataclass(frozen=True, slots=True)
class KnownCredentials:
    """The credentials as of one read. Digests are SHA-256 in hex."""

    tokens: Mapping[str, Identity] = field(default_factory=dict)
    """Admin token and access tokens, by digest."""
    batch_keys: Mapping[tuple[str, str], Identity] = field(default_factory=dict)
    """By name of the batch endpoint and digest of the key."""
    password_digests: frozenset[str] = frozenset()
    """scrypt digests of an admin token that may be short."""
    password_admin: Identity = ADMIN
    """The holder of an admin token that may be short."""
    parents: Mapping[str, Identity] = field(default_factory=dict)
    """Admin token and access tokens, by fingerprint."""

    def find(self, digest: str, batch_endpoint: str | None) -> Identity | None:
        # The position in a table of SHA-256 digests tells a caller nothing that helps to find a token.
        token = self.tokens.get(digest)
        if token is not None or batch_endpoint is None:
            return token
        return self.batch_keys.get((batch_endpoint, digest))


class CredentialTable:
    """Reads the credentials again after five seconds, and at most four times a second on demand."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._known = KnownCredentials()
        self._read_at = float("-inf")
        """Begin of the latest complete read."""
        self._outdated_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def current(self) -> KnownCredentials:
        """The credentials of the last seconds."""
        return await self.as_of(max(self._outdated_at, time.monotonic() - _REREAD_SECONDS))

    async def as_of(self, moment: float) -> KnownCredentials:
        """The credentials of a read that began after the moment on the monotonic clock. Requests share a read."""
        while self._read_at < moment:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            await asyncio.shield(self._reading)
        return self._known

    def outdate(self) -> None:
        """The credentials have changed: the next request waits for a new read. Any thread may call the method."""
        self._outdated_at = time.monotonic()

    async def _read(self) -> None:
        try:
            await asyncio.sleep(max(0.0, self._read_at + _SECONDS_BETWEEN_READS - time.monotonic()))
            began = time.monotonic()
            self._known = await run_in_threadpool(self._load)
            self._read_at = began
        finally:
            self._reading = None

    def _load(self) -> KnownCredentials:
        with transaction(self._sessions) as work:
            workspaces = {row.id: _arm_id(row) for row in work.session.scalars(select(WorkspaceRow))}
            admins = work.session.scalars(select(AdminTokenRow)).all()
            made = {row.sha256: _admin(row) for row in admins if row.sha256 is not None}
            chosen = [_admin(row) for row in admins if row.sha256 is None]
            tokens = {**made, **_access_tokens(work.session, workspaces)}
            holders = [*tokens.values(), *chosen]
            return KnownCredentials(
                tokens=tokens,
                password_admin=next(iter(chosen), ADMIN),
                parents={holder.fingerprint: holder for holder in holders if holder.fingerprint is not None},
                batch_keys=_batch_keys(work.session, workspaces),
                password_digests=frozenset(row.digest for row in admins if row.sha256 is None),
            )


def _admin(row: AdminTokenRow) -> Identity:
    return replace(ADMIN, fingerprint=parent_fingerprint(row.sha256 or row.digest))


def _access_tokens(session: Session, workspaces: Mapping[int, str]) -> dict[str, Identity]:
    """Expired tokens too, so that the caller reads why the token does not work."""
    living = select(AccessTokenRow).where(AccessTokenRow.revoked_at.is_(None))
    return {row.digest: _identity(row, workspaces) for row in session.scalars(living)}


def _identity(row: AccessTokenRow, workspaces: Mapping[int, str]) -> Identity:
    roles = frozenset(
        RoleAssignment(Role(held.role), EVERY_WORKSPACE if held.workspace_id is None else workspaces[held.workspace_id])
        for held in row.roles
    )
    expires_at = None if row.expires_at is None else row.expires_at.timestamp()
    return Identity(row.subject, CallerKind.TOKEN, roles, expires_at, row.id, parent_fingerprint(row.digest))


def _batch_keys(session: Session, workspaces: Mapping[int, str]) -> dict[tuple[str, str], Identity]:
    keys: dict[tuple[str, str], Identity] = {}
    for row in session.scalars(select(BatchEndpointRow)):
        roles = frozenset({RoleAssignment(Role.SCORER, workspaces[row.workspace_id])})
        identity = Identity(row.name, CallerKind.ENDPOINT_KEY, roles)
        keys[row.name, row.primary_key_digest] = keys[row.name, row.secondary_key_digest] = identity
    return keys


def _arm_id(row: WorkspaceRow) -> str:
    return workspace_id(row.subscription, row.resource_group, row.name)
