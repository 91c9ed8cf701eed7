"""What the environment says of servers, secrets and limits, checked before anything is made.

A refusal names the variable and never repeats its value: what is wrong with a URL is often next to its password.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from modelyard.core.errors import InvalidSetting
from modelyard.supervisor.roles import Role

DATABASE_URL = "MODELYARD_DATABASE_URL"
BROKER_URL = "MODELYARD_BROKER_URL"
STORAGE_URL = "MODELYARD_STORAGE_URL"
MASTER_KEY = "MODELYARD_MASTER_KEY"
ADMIN_TOKEN = "MODELYARD_ADMIN_TOKEN"
START_PATIENCE = "MODELYARD_START_PATIENCE"

_NEEDED_WITHOUT_CONTROL_PLANE = (DATABASE_URL, BROKER_URL, STORAGE_URL, MASTER_KEY)
_DEFAULT_PATIENCE = 60.0
_HANDED_ON = (
    "MODELYARD_PUBLIC_URL",
    "MODELYARD_SCORING_PUBLIC_URL",
    "MODELYARD_WORKER_UID",
    "MODELYARD_MAX_UPLOAD_BYTES",
)
_NUMBERS = ("MODELYARD_WORKER_UID", "MODELYARD_MAX_UPLOAD_BYTES")
_PUBLIC_URLS = ("MODELYARD_PUBLIC_URL", "MODELYARD_SCORING_PUBLIC_URL")
_HANDED_ON = (*_PUBLIC_URLS, *_NUMBERS)

_EXAMPLES = {
    DATABASE_URL: "postgresql+psycopg://user:password@host:5432/database",
    BROKER_URL: "redis://:password@host:6379/0",
    STORAGE_URL: "file:///folder, s3://bucket/prefix or az://account/container/prefix",
}
_SCHEMES = {
    DATABASE_URL: {"postgresql", "postgresql+psycopg"},
    BROKER_URL: {"redis", "rediss", "redis+socket"},
    STORAGE_URL: {"file", "s3", "az", "https"},
}
_PLACEHOLDER = re.compile(r"change[-_ ]?me|placeholder|<[^>]*>", re.IGNORECASE)
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """None: nobody said, so the platform makes or starts its own."""

    database_url: str | None
    broker_url: str | None
    storage_url: str | None
    master_key: str | None
    admin_token: str | None
    start_patience: float
    handed_on: Mapping[str, str]
    """Variables that the platform's processes read as they are."""


def read_given(environment: Mapping[str, str], roles: frozenset[Role]) -> GivenSettings:
    """Raises InvalidSetting for what is missing, malformed, or was never meant to be used."""
    if Role.CONTROL_PLANE not in roles:
        _refuse_missing(environment, _NEEDED_WITHOUT_CONTROL_PLANE, roles)
    return GivenSettings(
        database_url=_server(environment, DATABASE_URL),
        broker_url=_server(environment, BROKER_URL),
        storage_url=_server(environment, STORAGE_URL),
        master_key=_master_key(environment),
        admin_token=_secret(environment, ADMIN_TOKEN),
        start_patience=_patience(environment),
        handed_on=_handed_on(environment),
    )


def place_of(url: str) -> str:
    """Where a server is, for a message: host and port, or its socket; never the user's name or password."""
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        return parts.path
    socket_folder = parse_qs(parts.query).get("host")
    if not parts.hostname and socket_folder:
        return socket_folder[0]
    port = parts.port or {"redis": 6379, "rediss": 6379}.get(parts.scheme, 5432)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{port}"


def _refuse_missing(environment: Mapping[str, str], names: tuple[str, ...], roles: frozenset[Role]) -> None:
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise InvalidSetting(
            f"{', '.join(missing)} must be set for {', '.join(sorted(roles))} without control-plane: "
            "give what the control plane has"
        )


def _server(environment: Mapping[str, str], name: str) -> str | None:
    url = environment.get(name)
    if url is None:
        return None
    _refuse_placeholder(name, url)
    parts = _split(name, url)
    if parts.scheme not in _SCHEMES[name]:
        raise InvalidSetting(f"{name} begins with {_shown(parts.scheme)}, which is not known: give {_EXAMPLES[name]}")
    if name == STORAGE_URL:
        return url
    if not parts.hostname and not (parts.path if parts.scheme == "redis+socket" else "host=" in parts.query):
        raise InvalidSetting(f"{name} names no host: give {_EXAMPLES[name]}")
    if parts.password is not None:
        _refuse_placeholder(f"the password in {name}", unquote(parts.password))
    return url


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidSetting(
            f"{name} cannot be read as a URL: its port must be a number up to 65535, and / ? # @ : in a password "
            f"must be percent-encoded; give {_EXAMPLES[name]}"
        ) from None
    return parts


def _shown(scheme: str) -> str:
    return f"{scheme}:" if scheme else "no scheme"


def _secret(environment: Mapping[str, str], name: str) -> str | None:
    value = environment.get(name)
    if value is not None:
        _refuse_placeholder(name, value)
    return value


def _refuse_placeholder(what: str, value: str) -> None:
    if not value.strip():
        raise InvalidSetting(f"{what} is empty: give a value of your own, or leave it out")
    if _PLACEHOLDER.search(value):
        raise InvalidSetting(f"{what} is a placeholder: put a value of your own in its place")


def _master_key(environment: Mapping[str, str]) -> str | None:
    keys = _secret(environment, MASTER_KEY)
    if keys is not None and not all(_is_fernet_key(key.strip()) for key in keys.split(",")):
        raise InvalidSetting(
            f"{MASTER_KEY} is no Fernet key: give {_KEY_BYTES} random bytes in URL-safe base64 (44 characters), or "
            "several, comma-separated, the newest first; to make one: "
            "head -c 32 /dev/urandom | base64 | tr '+/' '-_'"
        )
    return keys


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _patience(environment: Mapping[str, str]) -> float:
    text = environment.get(START_PATIENCE)
    if text is None:
        return _DEFAULT_PATIENCE
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise InvalidSetting(f"{START_PATIENCE} must be a number of seconds, such as 60")
    return float(text)


def _handed_on(environment: Mapping[str, str]) -> dict[str, str]:
    given = {name: environment[name] for name in _HANDED_ON if environment.get(name)}
    for name in _NUMBERS:
        if name in given and not given[name].isdecimal():
            raise InvalidSetting(f"{name} must be a whole number")
    for name in _PUBLIC_URLS:
        if name in given and not re.match(r"https?://[^/]", given[name]):
            raise InvalidSetting(f"{name} must be a URL that begins with http:// or https://")
    return given
