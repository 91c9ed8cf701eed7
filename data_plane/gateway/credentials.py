"""Keys and tokens of one endpoint, checked in constant time. The snapshot holds digests, never keys.

A key, and a token that the control plane issued for the endpoint, let the caller score. An endpoint with auth_mode
AADToken also takes access tokens, tokens derived from these, and the tokens of the OpenID Connect issuer, whose roles
count in its workspace.

A caller sends `Bearer <key>`, or the key as the password of basic authentication with any user name, so that a client
that takes a URL only can be given `http://any:<key>@host`.
"""

import base64
import binascii
import hashlib
import hmac
from typing import TypeVar

from data_plane.gateway.errors import RoleMissing
from modelyard.core.adapters.openid import OpenIdVerifier
from modelyard.core.domain.derived_tokens import DerivedToken, DerivedTokenReader, parent_fingerprint
from modelyard.core.domain.roles import Role, has_role
from modelyard.core.domain.routing import EndpointRoute, TokenRoute
from modelyard.core.domain.tokens import token_expiry

_MOST_REMEMBERED = 1024
_MOST_HEADERS = 16

Verified = TypeVar("Verified")


class Credentials:
    def __init__(self, route: EndpointRoute, openid: OpenIdVerifier) -> None:
        self._endpoint = route.name
        self._key_digests = route.key_digests if route.auth_mode != "AMLToken" else ()
        self._token_key = route.token_public_key if route.auth_mode != "Key" else None
        self._access_tokens = route.tokens
        self._derived = DerivedTokenReader(route.derived_token_keys)
        self._parents = (
            {parent_fingerprint(digest): token for digest, token in route.tokens.items()}
            if route.derived_token_keys
            else {}
        )
        self._derived_by_digest: dict[str, DerivedToken] = {}
        """Verified tokens, as below."""
        self._workspace = route.workspace
        self._openid = openid
        self.takes_openid = route.workspace is not None and openid.is_enabled
        self._expiry_by_digest: dict[str, int] = {}
        """Verified tokens. To verify a signature costs more than the rest of a request."""
        self._headers_with_key: set[bytes] = set()
        """Headers with a valid key, which stays valid for the life of this object. A wrong key is never among them.

        A look-up compares by a hash with a secret seed first, so its time tells nothing about a valid key.
        """

    def accept(self, authorization: bytes | None, required: Role, now: float) -> bool:
        """Whether a credential is valid, as far as is known without I/O. Raises RoleMissing for a token without it."""
        if authorization in self._headers_with_key:
            return required is Role.SCORER or _allowed(Role.SCORER.includes(required), required)
        secret = secret_of(authorization or b"")
        if secret is None:
            return False
        digest = hashlib.sha256(secret).hexdigest()
        is_key = self._is_key(digest)
        if is_key or self._is_token(secret, digest, now):
            if is_key and authorization is not None:
                self._remember_header(authorization)
            return required is Role.SCORER or _allowed(Role.SCORER.includes(required), required)
        token = self._access_tokens.get(digest) or self._parent(secret, digest, now)
        if token is not None and (token.expires_at is None or now < token.expires_at):
            return _allowed(token.may_score and Role.SCORER.includes(required), required)
        return False

    async def accept_openid(self, authorization: bytes | None, required: Role) -> bool:
        """Whether the issuer signed a valid token. A token seen before needs no I/O and no signature check.

        Raises RoleMissing for a token whose claims do not give the role in the endpoint's workspace.
        """
        secret = secret_of(authorization or b"")
        holder = None if secret is None else await self._openid.identify(secret.decode("latin-1"))
        if holder is None or self._workspace is None:
            return False
        return _allowed(has_role(holder.roles, required, self._workspace), required)

    def _is_key(self, digest: str) -> bool:
        # Every digest is compared, so the time taken does not tell the matching digest.
        matches = [hmac.compare_digest(digest, valid) for valid in self._key_digests]
        return any(matches)

    def _is_token(self, token: bytes, digest: str, now: float) -> bool:
        if self._token_key is None:
            return False
        expiry = self._expiry_by_digest.get(digest)
        if expiry is None:
            expiry = token_expiry(self._token_key, self._endpoint, token.decode("latin-1"))
            if expiry is None:
                return False
            _remember(self._expiry_by_digest, digest, expiry)
        return now < expiry

    def _parent(self, secret: bytes, digest: str, now: float) -> TokenRoute | None:
        """The living token from which the secret was derived. None: the secret is no derived token, or has expired."""
        if not self._parents:
            return None
        derived = self._derived_by_digest.get(digest)
        if derived is None:
            derived = self._derived.read(secret.decode("latin-1"))
            if derived is None:
                return None
            _remember(self._derived_by_digest, digest, derived)
        return self._parents.get(derived.parent) if now < derived.expires_at else None

    def _remember_header(self, authorization: bytes) -> None:
        """One key has many spellings: the spaces around it, the case of `Bearer`."""
        if len(self._headers_with_key) >= _MOST_HEADERS:
            self._headers_with_key.clear()
        self._headers_with_key.add(authorization)


def _remember(verified: dict[str, Verified], digest: str, found: Verified) -> None:
    if len(verified) >= _MOST_REMEMBERED:
        verified.clear()
    verified[digest] = found


def _allowed(is_allowed: bool, required: Role) -> bool:
    if not is_allowed:
        raise RoleMissing(required)
    return True


def secret_of(authorization: bytes) -> bytes | None:
    """The key or token in an Authorization header."""
    scheme, _, rest = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip()
        case b"basic":
            return _password(rest.strip())
        case _:
            return None


def _password(encoded: bytes) -> bytes | None:
    try:
        _, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return None
    return password if colon else None
