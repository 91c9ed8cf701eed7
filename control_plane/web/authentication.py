"""Authentication: from the credential of a request to the Caller that services, rows and audit events name.

The admin token opens every path. The keys of a batch endpoint open the endpoint's scoring URI. Public paths need no
credential, and the URLs of signed paths carry a signature, which the service checks.
"""

import hashlib
import time
from collections import OrderedDict

from sqlalchemy import or_, select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.web.error_response import platform_error_response
from modelyard.core.adapters.secret_box import token_matches
from modelyard.core.db.rows import AdminTokenRow, BatchEndpointRow, WorkspaceRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller, CallerKind, owner_of_everything
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.domain.roles import Role, RoleAssignment
from modelyard.core.errors import Unauthorized

_PUBLIC_PATHS = frozenset({"/health", "/ready", "/openapi.json", "/metadata/endpoints"})
_SIGNED_PATHS = ("/uploads/", "/blobs/", "/datastores/")
_BATCH_PATHS = "/batch/"
_REREAD_SECONDS = 5.0
_CACHED_VERDICTS = 256

_ADMIN = "admin"


class TokenVerifier:
    """Compares tokens with the stored digests. A replaced admin token stops working within seconds.

    A verdict on an admin token is cached, because the digest is slow by design.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._digests: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()

    def cached_verdict(self, token: str) -> bool | None:
        """Whether the token is the admin token, without I/O. None: `is_admin_token` has to look."""
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            return None
        return self._verdicts.get(_fingerprint(token))

    def is_admin_token(self, token: str) -> bool:
        self._reread_digests()
        verdict = self._verdicts.get(_fingerprint(token))
        if verdict is None:
            verdict = any(token_matches(token, digest) for digest in self._digests)
            self._cache(token, verdict)
        return verdict

    def workspace_of_key(self, endpoint: str, key: str) -> str | None:
        """ARM id of the batch endpoint's workspace. None: the endpoint has no such key."""
        digest = _fingerprint(key).hex()
        is_key = or_(BatchEndpointRow.primary_key_digest == digest, BatchEndpointRow.secondary_key_digest == digest)
        with transaction(self._sessions) as work:
            workspace = work.session.scalar(
                select(WorkspaceRow)
                .join(BatchEndpointRow, BatchEndpointRow.workspace_id == WorkspaceRow.id)
                .where(BatchEndpointRow.name == endpoint, is_key)
            )
        if workspace is None:
            return None
        return workspace_id(workspace.subscription, workspace.resource_group, workspace.name)

    def _reread_digests(self) -> None:
        if time.monotonic() - self._read_at <= _REREAD_SECONDS:
            return
        with transaction(self._sessions) as work:
            digests = frozenset(work.session.scalars(select(AdminTokenRow.digest)))
        if digests != self._digests:
            self._digests = digests
            self._verdicts.clear()
        self._read_at = time.monotonic()

    def _cache(self, token: str, verdict: bool) -> None:
        self._verdicts[_fingerprint(token)] = verdict
        while len(self._verdicts) > _CACHED_VERDICTS:
            self._verdicts.popitem(last=False)


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


class AuthenticationMiddleware:
    """Sets `request.state.caller`, or answers 401, before a body is read or a route is looked up."""

    def __init__(self, app: ASGIApp, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._authenticate(scope)
        except Unauthorized as error:
            await platform_error_response(error)(scope, receive, send)
            return
        scope["state"]["caller"] = caller
        await self._app(scope, receive, send)

    async def _authenticate(self, scope: Scope) -> Caller:
        path, request_id = scope["path"], scope["state"]["request_id"]
        if path in _PUBLIC_PATHS:
            return Caller("anonymous", CallerKind.ANONYMOUS, request_id=request_id)
        if path.startswith(_SIGNED_PATHS):
            return Caller(path.strip("/"), CallerKind.SIGNED_URL, request_id=request_id)
        token = _bearer_token(Headers(scope=scope))
        if token is None:
            raise Unauthorized("no token was sent: send the header 'Authorization: Bearer <admin token>'")
        if await self._is_admin_token(token):
            return owner_of_everything(_ADMIN, CallerKind.USER, request_id)
        if path.startswith(_BATCH_PATHS):
            endpoint = path.split("/")[2].lower()
            workspace = await run_in_threadpool(self._verifier.workspace_of_key, endpoint, token)
            if workspace is not None:
                roles = frozenset({RoleAssignment(Role.SCORER, workspace)})
                return Caller(endpoint, CallerKind.ENDPOINT_KEY, roles, request_id)
        raise Unauthorized("the token is not this platform's admin token: check MODELYARD_TOKEN")

    async def _is_admin_token(self, token: str) -> bool:
        verdict = self._verifier.cached_verdict(token)
        return await run_in_threadpool(self._verifier.is_admin_token, token) if verdict is None else verdict


def _bearer_token(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
