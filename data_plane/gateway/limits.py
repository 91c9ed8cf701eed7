"""What one caller may take of the gateway, whoever it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    largest_body: int = 100 << 20
    largest_headers: int = 64 << 10
    header_seconds: float = 10.0
    """From the first byte of a request (or the opening of the connection) to the end of its headers."""
    body_seconds: float = 30.0
    """For a body to arrive, and more for every byte that has: see `slowest_body`."""
    slowest_body: int = 10_000
    """Bytes per second that a sender must keep up with once `body_seconds` have passed."""
    keep_alive_seconds: float = 75.0
    """Longer than the idle time of the usual proxies, so that they close first."""
    linger_seconds: float = 10.0
    """How long the rest of a refused body is read and thrown away, so that the sender gets to see its answer."""
    parting_seconds: float = 1.0
    """How long an idle connection stays open when the gateway is told to stop: a request may be on its way."""
    shutdown_seconds: int = 8
    """What requests under way get when the gateway is told to stop."""
