"""The listening sockets: bound by the supervisor, so that they outlive the processes that serve them."""

import socket
from http.client import HTTPConnection, HTTPException

from modelyard.supervisor.options import StartRefused

_BACKLOG = 2048
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise StartRefused(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port, or 0 for any"
        ) from None
    listener.listen(_BACKLOG)
    return listener


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def url_of(listener: socket.socket, host: str) -> str:
    reached = _LOOPBACK.get(host, host)
    named = f"[{reached}]" if ":" in reached else reached
    return f"http://{named}:{port_of(listener)}"


def answers(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    connection = HTTPConnection(_LOOPBACK.get(host, host), port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
