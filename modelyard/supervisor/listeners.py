"""Listening sockets: the supervisor binds the sockets, which outlive the serving processes."""

import socket
from http.client import HTTPConnection, HTTPException

from modelyard.supervisor.options import StartRefused

_BACKLOG = 2048
_PROBE_SECONDS = 2.0
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; port 0 takes any free port. Raises StartRefused for an address that cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise StartRefused(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port, or 0 for any free port"
        ) from None
    listener.listen(_BACKLOG)
    return listener


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def loopback_of(host: str) -> str:
    """Return the loopback address in the family of an address."""
    return "::1" if ":" in host else "127.0.0.1"


def local_url(listener: socket.socket, host: str, *, scheme: str = "http") -> str:
    """Return the URL of the listener of `host` for clients on this machine."""
    address = _LOOPBACK.get(host, host)
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port_of(listener)}"


def is_answering(listener: socket.socket) -> bool:
    """Whether `GET /health` on the listener has status 200."""
    host, port = listener.getsockname()[:2]
    connection = HTTPConnection(_LOOPBACK.get(host, host), port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
