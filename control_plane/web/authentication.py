"""Who may come in: the bearer of an admin token, everywhere but at the few doors that are open to all.

A batch endpoint's scoring URI also opens to the endpoint's own keys.
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
from modelyard.core.db.rows import AdminTokenRow, BatchEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.errors import Unauthorized

_OPEN = frozenset({"/health", "/ready", "/openapi.json", "/metadata/endpoints"})
# Their URLs carry a signature instead.
_SIGNED = ("/uploads/", "/blobs/", "/datastores/")
_BATCH = "/batch/"
_REREAD_SECONDS = 5.0
_MOST_REMEMBERED = 256


class TokenVerifier:
    """Checks admin tokens. Slow digests are computed once for each token; a replaced token is out within seconds."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._digests: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()

    def verdict(self, token: str) -> bool | None:
        """What is known without looking anything up; None: `check` must."""
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            return None
        return self._verdicts.get(_fingerprint(token))

    def check(self, token: str) -> bool:
        self._reread()
        known = self._verdicts.get(_fingerprint(token))
        if known is None:
            known = any(token_matches(token, digest) for digest in self._digests)
            self._remember(token, known)
        return known

    def has_key(self, path: str, token: str) -> bool:
        """Whether the path is a batch endpoint's scoring URI, and the token one of the endpoint's keys."""
        if not path.startswith(_BATCH):
            return False
        endpoint, digest = path.split("/")[2].lower(), _fingerprint(token).hex()
        is_key = or_(BatchEndpointRow.primary_key_digest == digest, BatchEndpointRow.secondary_key_digest == digest)
        with transaction(self._sessions) as work:
            found = work.session.scalar(select(BatchEndpointRow.id).where(BatchEndpointRow.name == endpoint, is_key))
        return found is not None

    def _reread(self) -> None:
        if time.monotonic() - self._read_at <= _REREAD_SECONDS:
            return
        with transaction(self._sessions) as work:
            digests = frozenset(work.session.scalars(select(AdminTokenRow.digest)))
        if digests != self._digests:
            self._digests = digests
            self._verdicts.clear()
        self._read_at = time.monotonic()

    def _remember(self, token: str, known: bool) -> None:
        self._verdicts[_fingerprint(token)] = known
        while len(self._verdicts) > _MOST_REMEMBERED:
            self._verdicts.popitem(last=False)


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


class AuthenticationMiddleware:
    """The layer that asks the verifier, before a body is read or a route is looked up."""

    def __init__(self, app: ASGIApp, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        token = _bearer(Headers(scope=scope))
        if token is None:
            reason = "no token was sent: put 'Authorization: Bearer <admin token>' into the request"
        elif await self._admits(token) or await run_in_threadpool(self._verifier.has_key, scope["path"], token):
            await self._app(scope, receive, send)
            return
        else:
            reason = "the token is not this platform's admin token: check MODELYARD_TOKEN"
        await platform_error_response(Unauthorized(reason))(scope, receive, send)

    async def _admits(self, token: str) -> bool:
        known = self._verifier.verdict(token)
        return await run_in_threadpool(self._verifier.check, token) if known is None else known


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_SIGNED)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
