"""Authentication: from the credential of a request to the Caller that services, rows and audit events name.

The admin token has the role of an owner in every workspace; an access token has the roles that were assigned at its
creation, and a token of the OpenID Connect issuer has the roles that the settings give to its claims. The keys of a
batch endpoint open the endpoint's scoring URI. Public paths need no credential, and the URLs of signed paths carry a
signature, which the service checks. The token route takes its credential in the header of a managed identity, and
issues a derived token. `required_roles` names the role that each route needs.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.resources.blob_container import is_blob_path
from control_plane.web.error_response import platform_error_response
from control_plane.web.failure_limits import FailureLimits
from control_plane.web.known_credentials import CredentialTable, Identity
from control_plane.web.password_verifier import PasswordVerifier
from control_plane.web.token_uses import TokenUses
from modelyard.core.adapters.openid import OpenIdVerifier
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.domain.access_tokens import is_access_token, token_digest
from modelyard.core.domain.caller import Caller, CallerKind
from modelyard.core.domain.derived_tokens import DerivedTokenSigner, is_derived_token
from modelyard.core.errors import IdentityClientRefused, TooManyFailures, Unauthorized
from modelyard.process.http_connection import is_loopback

_PUBLIC_PATHS = frozenset({"/health", "/ready", "/openapi.json", "/metadata/endpoints", "/discovery"})
IDENTITY_PATH = "/msi/token"
_IDENTITY_HEADER = "x-identity-header"
_SIGNED_PATHS = ("/uploads/", "/blobs/", "/datastores/")
_BATCH_PATHS = "/batch/"


class TokenVerifier:
    """Finds the holder of a token. A replaced or revoked token stops working within seconds.

    A wrong token costs a SHA-256 digest, and shares a read of the database with all wrong tokens of a quarter second.
    """

    def __init__(
        self,
        sessions: Sessions,
        openid: OpenIdVerifier,
        derived: DerivedTokenSigner,
        *,
        failures_per_minute: int,
        takes_remote_identity_clients: bool,
    ) -> None:
        """`takes_remote_identity_clients`: whether other machines may ask the token route."""
        self._table = CredentialTable(sessions)
        self._openid = openid
        self._derived = derived
        self._takes_remote_identity_clients = takes_remote_identity_clients
        self._passwords = PasswordVerifier()
        self._limits = FailureLimits(failures_per_minute)
        self._uses = TokenUses(sessions)

    def credentials_changed(self) -> None:
        """A token was made or revoked: the next request waits for the change."""
        self._table.outdate()

    async def identify(self, token: str, batch_endpoint: str | None, address: str) -> Identity:
        """Return the holder of the token. `batch_endpoint` is the endpoint whose keys are accepted, too.

        Raises Unauthorized, and TooManyFailures where the limits of failures are reached.
        """
        holder = await self._openid.identify(token)
        if holder is not None:
            return Identity(holder.subject, CallerKind.OPENID, holder.roles, holder.expires_at)
        limited = [f"address {address}"] if batch_endpoint is None else [f"address {address}", f"key {batch_endpoint}"]
        if is_derived_token(token):
            return await self._identify_derived(token, limited)
        asked_at = time.monotonic()
        digest = token_digest(token)
        known = await self._table.current()
        identity = known.find(digest, batch_endpoint)
        if identity is None and self._passwords.remembers(token, known.password_digests):
            identity = known.password_admin
        if identity is None:
            self._check_limits(limited)
            if known.password_digests and not is_access_token(token):
                is_admin = await self._passwords.matches(token, known.password_digests, address)
                identity = known.password_admin if is_admin else None
        if identity is None:
            identity = (await self._table.as_of(asked_at)).find(digest, batch_endpoint)
        if identity is None:
            self._limits.note_failure(*limited)
            raise Unauthorized("the token is not valid on this platform: check MODELYARD_TOKEN")
        return self._unexpired(identity, limited, "ask an owner for a new token")

    async def identify_parent(self, token: str | None, scope: Scope) -> Identity:
        """Return the holder of a token from which the client may derive a token.

        Raises IdentityClientRefused for a client on another machine, and as `identify` does.
        """
        if not (self._takes_remote_identity_clients or is_loopback(scope.get("client"))):
            raise IdentityClientRefused
        if not token:
            raise Unauthorized("no token was sent: send a token of the platform in the header X-IDENTITY-HEADER")
        identity = None if is_derived_token(token) else await self.identify(token, None, _address(scope))
        if identity is None or identity.fingerprint is None:
            raise Unauthorized("X-IDENTITY-HEADER must be the admin token or an access token of the platform")
        return identity

    async def _identify_derived(self, token: str, limited: list[str]) -> Identity:
        asked_at = time.monotonic()
        derived = self._derived.read(token)
        if derived is None:
            self._check_limits(limited)
            self._limits.note_failure(*limited)
            raise Unauthorized("the token is not valid on this platform: ask for a new one at /msi/token")
        identity = (await self._table.current()).parents.get(derived.parent)
        if identity is None:
            self._check_limits(limited)
            identity = (await self._table.as_of(asked_at)).parents.get(derived.parent)
        if identity is None:
            self._limits.note_failure(*limited)
            raise Unauthorized("the token that this token was derived from was revoked or replaced: use another token")
        ends = [float(derived.expires_at), *([] if identity.expires_at is None else [identity.expires_at])]
        identity = replace(identity, expires_at=min(ends), fingerprint=None)
        return self._unexpired(identity, limited, "ask for a new one at /msi/token")

    def _unexpired(self, identity: Identity, limited: list[str], remedy: str) -> Identity:
        """Note a use of the token. Raises Unauthorized for an expired token."""
        if identity.has_expired(time.time()):
            self._limits.note_failure(*limited)
            raise Unauthorized(f"the token of {identity.subject!r} expired at {_utc(identity.expires_at)}: {remedy}")
        if identity.token_id is not None:
            self._uses.note(identity.token_id)
        return identity

    def _check_limits(self, names: list[str]) -> None:
        retry_after = self._limits.retry_after_seconds(*names)
        if retry_after is not None:
            raise TooManyFailures(retry_after)


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
        except (Unauthorized, TooManyFailures, IdentityClientRefused) as error:
            await platform_error_response(error)(scope, receive, send)
            return
        scope["state"]["caller"] = caller
        await self._app(scope, receive, send)

    async def _authenticate(self, scope: Scope) -> Caller:
        path, request_id = scope["path"], scope["state"]["request_id"]
        if path in _PUBLIC_PATHS:
            return Caller("anonymous", CallerKind.ANONYMOUS, request_id=request_id)
        headers = Headers(scope=scope)
        if path == IDENTITY_PATH:
            parent = await self._verifier.identify_parent(headers.get(_IDENTITY_HEADER), scope)
            scope["state"]["parent"] = parent
            return Caller(parent.subject, parent.kind, parent.roles, request_id)
        token = _bearer_token(headers)
        if is_blob_path(path) and (token is None or _has_signature(scope)):
            return Caller(path.strip("/"), CallerKind.SIGNED_URL, request_id=request_id)
        if path.startswith(_SIGNED_PATHS):
            # The URL is the credential. A token beside it lets the caller learn of content that a reader may read.
            url = Caller(path.strip("/"), CallerKind.SIGNED_URL, request_id=request_id)
            if token is None or scope["method"] != "HEAD":
                return url
            return replace(url, roles=(await self._verifier.identify(token, None, _address(scope))).roles)
        if token is None:
            raise Unauthorized("no token was sent: send the header 'Authorization: Bearer <token>'")
        batch_endpoint = path.split("/")[2].lower() if path.startswith(_BATCH_PATHS) else None
        identity = await self._verifier.identify(token, batch_endpoint, _address(scope))
        return Caller(identity.subject, identity.kind, identity.roles, request_id)


def _bearer_token(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _has_signature(scope: Scope) -> bool:
    """Whether the query string carries a signature, which then is the credential."""
    return "sig" in QueryParams(scope["query_string"])


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return "unknown" if client is None else str(client[0])


def _utc(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
