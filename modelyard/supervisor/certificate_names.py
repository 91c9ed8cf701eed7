"""The names that clients of this machine's platform use, for the server certificate."""

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

_ALWAYS = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = frozenset({"0.0.0.0", "::"})
_LONGEST_NAME = 253
# Addresses for documentation: no packet is sent to them.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def certificate_names(host: str, *urls: str | None) -> tuple[str, ...]:
    """Loopback, `host` or the machine's addresses, the hosts of the URLs, and last the machine's own name."""
    named = [urlsplit(url).hostname or "" for url in urls if url]
    listening = _own_addresses() if host in _WILDCARDS else [host]
    names = (*_ALWAYS, *listening, *named, socket.gethostname().lower())
    return tuple(dict.fromkeys(_plain(name) for name in names if _can_be_in_a_certificate(name)))


def _own_addresses() -> list[str]:
    """The source addresses of this machine's routes to other networks."""
    addresses = []
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            addresses.append(str(probe.getsockname()[0]))
    return addresses


def _plain(name: str) -> str:
    """Spell an address in the one way in which certificates compare."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _can_be_in_a_certificate(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isascii() and "%" not in name
