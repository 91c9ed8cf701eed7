"""The load to generate, and the result of a load."""

from array import array
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    address: tuple[str, int]
    requests: tuple[bytes, ...]
    """Complete requests, head and body. Connection i repeats request i modulo the number of requests."""
    connections: int
    seconds: float
    """Length of the window. Responses within the window count."""
    warm_up: float = 0.2
    """Seconds of the same load before the window."""
    longest: float = 6.0
    """Maximal length of the window. A slow server's window extends until each connection has had a response."""
    server_processes: tuple[int, ...] = ()
    """Process ids for the measurement of CPU time over the window."""
    header: bytes | None = None
    """Name in lower case of a numeric response header to collect."""


@dataclass(slots=True)
class LoadResult:
    seconds: float = 0.0
    """Actual length of the window."""
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds from sending a request, or from opening the connection if new, to the last byte of the response."""
    failures: dict[str, int] = field(default_factory=dict)
    """Count of each failure (any outcome but a 200), before and after the window too."""
    bodies: list[set[bytes]] = field(default_factory=list)
    """The distinct response bodies per request, at most `MOST_BODIES`."""
    numbers: "array[float]" = field(default_factory=lambda: array("d"))
    """The values of `Load.header`, in the order of `latencies`."""
    server_cpu_seconds: float = 0.0
    client_cpu_seconds: float = 0.0

    @property
    def answers(self) -> int:
        return len(self.latencies)

    def fail(self, reason: str) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1


MOST_BODIES = 40
