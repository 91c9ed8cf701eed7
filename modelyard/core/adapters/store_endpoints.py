"""The endpoint of an object store, from the environment."""

import re
from urllib.parse import urlsplit

from modelyard.core.errors import InvalidRequest

_ENDPOINT = re.compile(r"https?://[^/@?#\s:]+(:\d{1,5})?(/[^@?#\s]*)?")


def checked_endpoint(endpoint: str, variable: str) -> str:
    """Raise InvalidRequest for a malformed endpoint. The message does not quote the value, a possible secret."""
    if not _ENDPOINT.fullmatch(endpoint):
        raise InvalidRequest(f"{variable} is not a URL such as https://host:port: correct the variable")
    return endpoint


def host_of(endpoint: str) -> str:
    """Return the host, with the port if the endpoint names a port."""
    return urlsplit(endpoint).netloc
