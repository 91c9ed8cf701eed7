"""Verification of OpenID Connect bearer tokens, for the control plane and the gateways.

The issuer's signing keys are fetched in a thread and kept. A token that was verified once is known by its SHA-256
digest until the token expires, or until the issuer withdraws the signing key.
"""

import asyncio
import json
import logging
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from modelyard.core.domain.access_tokens import check_subject, token_digest
from modelyard.core.domain.openid_roles import assigned_roles, read_rules
from modelyard.core.domain.roles import RoleAssignment
from modelyard.core.errors import InvalidName
from modelyard.core.settings import OpenIdSettings, is_safe_issuer_url

_log = logging.getLogger(__name__)

_DISCOVERY = "/.well-known/openid-configuration"
_FETCH_SECONDS = 5.0
_LARGEST_DOCUMENT = 1 << 20
_MOST_KEYS = 100
# PyJWT looks at each character: the time to refuse a token grows with its length.
_LONGEST_TOKEN = 8 << 10
_LONGEST_HEADER = 2 << 10
_MOST_REMEMBERED = 4096
_OLDEST_KEYS_SECONDS = 24 * 3600.0

Fetch = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OpenIdIdentity:
    """The holder of a verified token."""

    subject: str
    roles: frozenset[RoleAssignment]
    expires_at: float
    """Unix seconds, the clock skew included."""
    key_id: str


def has_jwt_form(token: str) -> bool:
    return token.count(".") == 2 and token.startswith("ey") and len(token) <= _LONGEST_TOKEN


class OpenIdVerifier:
    def __init__(self, settings: OpenIdSettings, fetch: Fetch | None = None) -> None:
        self._settings = settings
        self._rules = read_rules(settings.roles)
        self._keys = SigningKeys(settings, fetch or fetch_document)
        self._verified: OrderedDict[str, OpenIdIdentity] = OrderedDict()

    @property
    def is_enabled(self) -> bool:
        return self._settings.issuer is not None

    def remembered(self, token: str) -> OpenIdIdentity | None:
        """The holder of a token that was verified before, without I/O and without a signature check."""
        digest = token_digest(token)
        identity = self._verified.get(digest)
        if identity is None:
            return None
        if identity.expires_at <= time.time() or not self._keys.has(identity.key_id):
            del self._verified[digest]
            return None
        return identity

    async def identify(self, token: str) -> OpenIdIdentity | None:
        """The holder of a valid token. None: the token is not valid, or the issuer's keys are not known."""
        if not self.is_enabled or not has_jwt_form(token):
            return None
        known = self.remembered(token)
        if known is not None:
            self._keys.refresh_if_old()
            return known
        key_id = _key_id(token)
        key = None if key_id is None else await self._keys.get(key_id)
        identity = None if key is None or key_id is None else self._verify(token, key_id, key)
        if identity is not None:
            self._verified[token_digest(token)] = identity
            if len(self._verified) > _MOST_REMEMBERED:
                self._verified.popitem(last=False)
        return identity

    async def keep_keys_fresh(self) -> None:
        """Fetch the keys now and refresh them, so that no request waits for the issuer. Runs until cancelled."""
        while self.is_enabled:
            self._keys.refresh_if_old()
            await asyncio.sleep(self._settings.key_refresh_min_seconds)

    def _verify(self, token: str, key_id: str, key: "SigningKey") -> OpenIdIdentity | None:
        settings = self._settings
        try:
            claims = jwt.decode(
                token,
                key=key.public_key,
                algorithms=list(key.algorithms),
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=settings.clock_skew_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
            subject = _claim(claims, settings.subject_claim)
            if not isinstance(subject, str):
                raise InvalidName(f"the claim {settings.subject_claim!r} is {type(subject).__name__}, not a text")
            check_subject(subject)
            expires_at = float(claims["exp"]) + settings.clock_skew_seconds
        except (jwt.PyJWTError, InvalidName, ValueError, TypeError, OverflowError) as refusal:
            # Not above DEBUG: every client can send wrong tokens, and would fill the log.
            _log.debug("an OpenID Connect token was refused: %s", refusal)
            return None
        roles = assigned_roles(self._rules, _texts(_claim(claims, settings.roles_claim)))
        return OpenIdIdentity(subject, roles, expires_at, key_id)


@dataclass(frozen=True, slots=True)
class SigningKey:
    public_key: Any
    algorithms: frozenset[str]
    """The allowed algorithms for the key."""


class SigningKeys:
    """The issuer's keys. An unknown key id causes a refresh, at most one in `key_refresh_min_seconds`."""

    def __init__(self, settings: OpenIdSettings, fetch: Fetch) -> None:
        self._settings = settings
        self._fetch = fetch
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    def has(self, key_id: str) -> bool:
        return key_id in self._keys and time.monotonic() - self._fetched_at < _OLDEST_KEYS_SECONDS

    async def get(self, key_id: str) -> SigningKey | None:
        if not self.has(key_id):
            self._refresh(self._settings.key_refresh_min_seconds)
            if self._refreshing is not None:
                await asyncio.shield(self._refreshing)
        else:
            self.refresh_if_old()
        return self._keys[key_id] if self.has(key_id) else None

    def refresh_if_old(self) -> None:
        """Begin a refresh of keys that are older than `key_refresh_seconds`, without waiting."""
        if time.monotonic() - self._fetched_at > self._settings.key_refresh_seconds:
            self._refresh(self._settings.key_refresh_min_seconds)

    def _refresh(self, least_seconds: float) -> None:
        if self._refreshing is None and time.monotonic() - self._tried_at > least_seconds:
            self._tried_at = time.monotonic()
            self._refreshing = asyncio.create_task(self._replace_keys())

    async def _replace_keys(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._fetch_keys)
            self._fetched_at = time.monotonic()
        except (OSError, ValueError, jwt.PyJWTError) as error:
            _log.warning("the keys of the OpenID Connect issuer %s cannot be read: %s", self._settings.issuer, error)
        finally:
            self._refreshing = None

    def _fetch_keys(self) -> Mapping[str, SigningKey]:
        issuer = self._settings.issuer or ""
        discovered = self._fetch(issuer.rstrip("/") + _DISCOVERY)
        if discovered.get("issuer") != issuer:
            raise ValueError(f"its discovery document names the issuer {discovered.get('issuer')!r}")
        keys_url = str(discovered.get("jwks_uri"))
        if not is_safe_issuer_url(keys_url):
            raise ValueError(f"its discovery document names the keys' URL {keys_url!r}, which is not https")
        entries = self._fetch(keys_url).get("keys")
        if not isinstance(entries, list):
            raise ValueError("its document of keys has no list 'keys'")
        found = (_signing_key(entry, self._settings.algorithm_names) for entry in entries[:_MOST_KEYS])
        return dict(pair for pair in found if pair is not None)


def _signing_key(entry: Any, allowed: Sequence[str]) -> tuple[str, SigningKey] | None:
    """None: the key is not for signatures, or not of a usable kind. Other keys of the issuer stay usable."""
    if not isinstance(entry, Mapping) or entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK.from_dict(dict(entry))
    except jwt.PyJWTError:
        return None
    named = entry.get("alg")
    algorithms = frozenset(allowed) if named is None else frozenset(allowed) & {named}
    return str(entry.get("kid", "")), SigningKey(key.key, algorithms)


def _key_id(token: str) -> str | None:
    """The key id in the token's header; empty where the header names none. None: the header cannot be read."""
    header = token.partition(".")[0]
    if len(header) > _LONGEST_HEADER:
        return None
    try:
        # The header alone, because the payload of a token with an unknown key is not worth the time.
        return str(jwt.get_unverified_header(f"{header}..").get("kid", ""))
    except jwt.InvalidTokenError:
        return None


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or a nested claim by names with dots between them. None: there is no such claim."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> list[str]:
    """The values of a claim: a list of texts, or one text with spaces between the values, like `scope`."""
    if isinstance(value, str):
        return value.split()
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse: a redirect could lead to an address that the operator did not name."""


def fetch_document(url: str) -> Mapping[str, Any]:
    """Return the JSON object at the URL. Raises OSError and ValueError."""
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with opener.open(request, timeout=_FETCH_SECONDS) as response:
        content = response.read(_LARGEST_DOCUMENT + 1)
    if len(content) > _LARGEST_DOCUMENT:
        raise ValueError(f"{url} has more than {_LARGEST_DOCUMENT} bytes")
    document = json.loads(content)
    if not isinstance(document, Mapping):
        raise ValueError(f"{url} is not a JSON object")
    return document
