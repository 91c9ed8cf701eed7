"""Where a store's server listens, when the environment says so."""

import re
from urllib.parse import urlsplit

from modelyard.core.errors import InvalidRequest

_ENDPOINT = re.compile(r"https?://[^/@?#\s:]+(:\d{1,5})?(/[^@?#\s]*)?")


def checked_endpoint(endpoint: str, variable: str) -> str:
    """The message does not quote it: somebody may have put a secret there."""
    if not _ENDPOINT.fullmatch(endpoint):
        raise InvalidRequest(f"{variable} is no URL such as https://host:port: correct it")
    return endpoint


def host_of(endpoint: str) -> str:
    """With the port, if there is one."""
    return urlsplit(endpoint).netloc
