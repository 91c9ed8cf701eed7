"""Settings of `modelyard up` from environment variables, checked before anything is created.

A message names the variable and never repeats its value: the mistake in a URL is often next to its password.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from modelyard.core.errors import InvalidSetting
from modelyard.core.settings import Tunables
from modelyard.core.settings_variables import read_settings, variables_of
from modelyard.supervisor.roles import Role

DATABASE_URL = "MODELYARD_DATABASE_URL"
BROKER_URL = "MODELYARD_BROKER_URL"
STORAGE_URL = "MODELYARD_STORAGE_URL"
MASTER_KEY = "MODELYARD_MASTER_KEY"
ADMIN_TOKEN = "MODELYARD_ADMIN_TOKEN"

_REQUIRED_WITHOUT_CONTROL_PLANE = (DATABASE_URL, BROKER_URL, STORAGE_URL, MASTER_KEY)
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
class EnvironmentSettings:
    """None for a server or secret without a variable: the platform starts or generates its own."""

    database_url: str | None
    broker_url: str | None
    storage_url: str | None
    master_key: str | None
    admin_token: str | None
    tunables: Tunables
    tunable_variables: Mapping[str, str]
    """Tunables set by the environment, under the present names; every process of the platform gets all of them."""


def read_environment(environment: Mapping[str, str], roles: frozenset[Role]) -> EnvironmentSettings:
    """Raises InvalidSetting for a missing or malformed variable, or a placeholder."""
    if Role.CONTROL_PLANE not in roles:
        _check_required(environment, roles)
    values = {variable.name: variable.text_in(environment) for variable in variables_of(Tunables)}
    return EnvironmentSettings(
        database_url=_server_url(environment, DATABASE_URL),
        broker_url=_server_url(environment, BROKER_URL),
        storage_url=_server_url(environment, STORAGE_URL),
        master_key=_master_key(environment),
        admin_token=_secret(environment, ADMIN_TOKEN),
        tunables=read_settings(Tunables, environment),
        tunable_variables={name: value for name, value in values.items() if value is not None},
    )


def server_address(url: str) -> str:
    """Return the server's host and port or socket for a message, without user name and password."""
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        return parts.path
    socket_folder = parse_qs(parts.query).get("host")
    if not parts.hostname and socket_folder:
        return socket_folder[0]
    port = parts.port or {"redis": 6379, "rediss": 6379}.get(parts.scheme, 5432)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{port}"


def _check_required(environment: Mapping[str, str], roles: frozenset[Role]) -> None:
    missing = [name for name in _REQUIRED_WITHOUT_CONTROL_PLANE if not environment.get(name)]
    if missing:
        raise InvalidSetting(
            f"{', '.join(missing)} must be set for {', '.join(sorted(roles))} without control-plane: "
            "use the values of the control plane"
        )


def _server_url(environment: Mapping[str, str], name: str) -> str | None:
    url = environment.get(name)
    if url is None:
        return None
    _check_secret(name, url)
    parts = _split(name, url)
    if parts.scheme not in _SCHEMES[name]:
        scheme = f"the unknown scheme {parts.scheme!r}" if parts.scheme else "no scheme"
        raise InvalidSetting(f"{name} has {scheme}: use {_EXAMPLES[name]}")
    if name == STORAGE_URL:
        return url
    if not parts.hostname and not (parts.path if parts.scheme == "redis+socket" else "host=" in parts.query):
        raise InvalidSetting(f"{name} has no host: use {_EXAMPLES[name]}")
    if parts.password is not None:
        _check_secret(f"the password in {name}", unquote(parts.password))
    return url


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidSetting(
            f"{name} is not a URL: its port must be a number up to 65535, and / ? # @ : in a password must be "
            f"percent-encoded; use {_EXAMPLES[name]}"
        ) from None
    return parts


def _secret(environment: Mapping[str, str], name: str) -> str | None:
    value = environment.get(name)
    if value is not None:
        _check_secret(name, value)
    return value


def _check_secret(subject: str, value: str) -> None:
    if not value.strip():
        raise InvalidSetting(f"{subject} is empty: set a value, or unset the variable")
    if _PLACEHOLDER.search(value):
        raise InvalidSetting(f"{subject} is a placeholder: replace it by a value of your own")


def _master_key(environment: Mapping[str, str]) -> str | None:
    keys = _secret(environment, MASTER_KEY)
    if keys is not None and not all(_is_fernet_key(key.strip()) for key in keys.split(",")):
        raise InvalidSetting(
            f"{MASTER_KEY} is not a Fernet key: use {_KEY_BYTES} random bytes in URL-safe base64 (44 characters), or "
            "several keys, comma-separated, the newest first; to generate a key: "
            "head -c 32 /dev/urandom | base64 | tr '+/' '-_'"
        )
    return keys


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
