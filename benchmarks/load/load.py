"""What is asked of the load generator, and what it has seen."""

from array import array
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    address: tuple[str, int]
    requests: tuple[bytes, ...]
    """Each whole, head and body. Connection number i sends number i modulo their count, again and again."""
    connections: int
    seconds: float
    """How long the window is. What is answered within it counts."""
    warm_up: float = 0.2
    """Seconds of the same load before the window."""
    longest: float = 6.0
    """The window of a slow server goes on until each connection has had one answer, but no longer than this."""
    server_processes: tuple[int, ...] = ()
    """Whose CPU time is measured over the window."""
    header: bytes | None = None
    """The name, in lower case, of a header of the answer that holds a number, to be collected."""


@dataclass(slots=True)
class Seen:
    seconds: float = 0.0
    """The window's true length."""
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds from the sending of a request, or the opening of a connection for it, to the last byte of its answer."""
    failures: dict[str, int] = field(default_factory=dict)
    """Whatever was no 200: how often what happened. Before and after the window too."""
    bodies: list[set[bytes]] = field(default_factory=list)
    """For each request the different bodies that answered it, at most `MOST_BODIES`."""
    numbers: "array[float]" = field(default_factory=lambda: array("d"))
    """The values of `Load.header`, one for each latency."""
    server_cpu_seconds: float = 0.0
    client_cpu_seconds: float = 0.0

    @property
    def answers(self) -> int:
        return len(self.latencies)

    def fail(self, reason: str) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1


MOST_BODIES = 40
