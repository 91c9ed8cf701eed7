"""Figures computed from measurements: percentiles, medians of rounds, ratios, and aims."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load.load import LoadResult

REFERENCE = "azureml"
OURS = "modelyard"
AIMED_AT = "elasticnet"
"""The model of the aims."""
BATCHING = frozenset({"mlserver-batching", "mosec-batching", "bentoml-batching", "pytriton"})
"""Peers that gather requests into batches."""
IS_HIGHER_BETTER: Mapping[str, bool] = {"per_second": True, "p50_ms": False, "p99_ms": False, "cpu_per_1000": False}


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of load."""

    model: str
    rows: int
    connections: int


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement of one server under one kind of load."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    client_cpu_share: float
    """CPU time of the load generator as a share of one core during the window."""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_per_1000(self) -> float:
        return 1000 * self.cpu_seconds / self.answers if self.answers else math.nan

    @classmethod
    def of(cls, seen: LoadResult) -> "Round":
        return cls(
            answers=seen.answers,
            seconds=seen.seconds,
            p50_ms=1000 * percentile(seen.latencies, 50),
            p99_ms=1000 * percentile(seen.latencies, 99),
            cpu_seconds=seen.server_cpu_seconds,
            client_cpu_share=seen.client_cpu_seconds / seen.seconds if seen.seconds else math.nan,
        )


@dataclass(slots=True)
class Result:
    """All rounds of one server in one cell."""

    cell: Cell
    server: str
    rounds: list[Round] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """Responses with status 200 and a wrong prediction."""

    @property
    def is_sound(self) -> bool:
        return not self.failures and not self.wrong

    def median(self, figure: str) -> float:
        """Return the median over rounds of `per_second`, `p50_ms`, `p99_ms`, `cpu_per_1000` or `client_cpu_share`."""
        values = [getattr(one, figure) for one in self.rounds if one.answers]
        return statistics.median(values) if values else math.nan


class Results:
    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._by_key: dict[tuple[Cell, str], Result] = {(one.cell, one.server): one for one in results}

    def __iter__(self) -> Iterator[Result]:
        return iter(self._by_key.values())

    def of(self, cell: Cell, server: str) -> Result:
        """Return the result of the cell and server, created on first use."""
        return self._by_key.setdefault((cell, server), Result(cell, server))

    def figure(self, cell: Cell, server: str, figure: str) -> float:
        """Return the median of the figure. NaN: not measured."""
        found = self._by_key.get((cell, server))
        return found.median(figure) if found else math.nan

    def ratio(self, cell: Cell, figure: str, server: str = OURS, to: str = REFERENCE) -> float:
        divisor = self.figure(cell, to, figure)
        return self.figure(cell, server, figure) / divisor if divisor else math.nan

    def best(self, cell: Cell, figure: str, among: Iterable[str]) -> str | None:
        """Return the server with the best figure of the cell. None: none of the servers was measured."""
        seen = {server: self.figure(cell, server, figure) for server in among}
        seen = {server: value for server, value in seen.items() if not math.isnan(value)}
        if not seen:
            return None
        return (max if IS_HIGHER_BETTER[figure] else min)(seen, key=seen.__getitem__)

    def ahead(self, cell: Cell, figure: str, server: str, other: str | None) -> float:
        """Return how many times better the figure of `server` is than that of `other`. Below 1: `other` is better."""
        if other is None:
            return math.nan
        better, worse = (server, other) if IS_HIGHER_BETTER[figure] else (other, server)
        return self.ratio(cell, figure, better, worse)

    def standing(self, cell: Cell, figure: str) -> "Standing | None":
        """Return who is first in the cell. None: no server was measured. An earlier commit of ours takes no part."""
        running = [OURS, *self.peers]
        first = self.best(cell, figure, running)
        if first is None:
            return None
        second = self.best(cell, figure, [server for server in running if server != first])
        best_peer = self.best(cell, figure, self.peers)
        return Standing(
            cell,
            first,
            second,
            lead=self.ahead(cell, figure, first, second),
            best_peer=best_peer,
            ours=self.ahead(cell, figure, OURS, best_peer),
        )

    @property
    def peers(self) -> list[str]:
        return [server for server in self.servers if not is_ours(server)]

    @property
    def cells(self) -> list[Cell]:
        return list(dict.fromkeys(cell for cell, _ in self._by_key))

    @property
    def servers(self) -> list[str]:
        return list(dict.fromkeys(server for _, server in self._by_key))


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is first in a cell, by one figure. Ratios are over 1 where the first-named server is better."""

    cell: Cell
    first: str
    second: str | None
    lead: float
    """The first server to the second."""
    best_peer: str | None
    ours: float
    """This platform to the best peer."""


def is_ours(server: str) -> bool:
    """Whether a server is this platform, of today or as of an earlier commit."""
    return server == OURS or server.startswith(f"{OURS}@")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` percent of the values do not exceed. NaN: no values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Aim:
    sentence: str
    wanted: str
    seen: float
    is_met: bool | None
    """None: not measured in this run."""


def aim(sentence: str, seen: float, *, at_most: float | None = None, at_least: float | None = None) -> Aim:
    met = None if math.isnan(seen) else (seen <= at_most if at_most is not None else seen >= (at_least or 0.0))
    wanted = f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
    return Aim(sentence, wanted, seen, met)


def aims(results: Results, added_ms: float, enforcement_ratio: float, bound_ratio: float) -> list[Aim]:
    """Compare the project's aims with the measurements. `bound_ratio`: see `benchmarks.bound`."""
    one, many = Cell(AIMED_AT, 1, 1), Cell(AIMED_AT, 1, 32)
    batching = results.ratio(many, "per_second", to="mlserver-batching")
    best_batching = results.best(many, "per_second", (server for server in results.peers if server in BATCHING))
    return [
        aim("1 connection: p50, as a ratio to mosec", results.ratio(one, "p50_ms", to="mosec"), at_most=1),
        aim(
            "32 connections: requests/s, as a ratio to the best peer with batching",
            results.ahead(many, "per_second", OURS, best_batching),
            at_least=3,
        ),
        aim(
            "32 connections: p99, as a ratio to the best peer",
            results.ratio(many, "p99_ms", to=results.best(many, "p99_ms", results.peers) or ""),
            at_most=0.5,
        ),
        *_first_in_every_cell(results),
        aim("1,000 rows: p50, as a ratio to orjson.loads and predict in process", bound_ratio, at_most=1.3),
        aim("1 connection: p50, as a ratio to azureml", results.ratio(one, "p50_ms"), at_most=0.5),
        aim("1 connection: what is added to the model's own time, ms", added_ms, at_most=0.45),
        aim("32 connections: requests/s, as a ratio to azureml", results.ratio(many, "per_second"), at_least=30),
        aim("32 connections: p99, as a ratio to azureml", results.ratio(many, "p99_ms"), at_most=0.1),
        aim("32 connections: requests/s, as a ratio to MLServer with batching", batching, at_least=15),
        aim("200 columns: parse and enforce, MLflow's time as a ratio to ours", enforcement_ratio, at_least=50),
    ]


def _first_in_every_cell(results: Results) -> Iterator[Aim]:
    """An aim for each part of the matrix in which the platform is to be first, by requests/s, in every cell."""
    for name, belongs in _TO_BE_FIRST.items():
        standings = [results.standing(cell, "per_second") for cell in results.cells if belongs(cell)]
        measured = [one for one in standings if one is not None and not math.isnan(one.ours)]
        seen = float(sum(one.first == OURS for one in measured)) if measured else math.nan
        yield aim(f"{name}: cells in which Modelyard is first", seen, at_least=len(measured) or 1)


_TO_BE_FIRST: Mapping[str, Callable[[Cell], bool]] = {
    "forest": lambda cell: cell.model == "forest",
    "200 columns": lambda cell: cell.model == "wide",
    "text": lambda cell: cell.model == "text",
    "100 and 1,000 rows of ElasticNet": lambda cell: cell.model == AIMED_AT and cell.rows in (100, 1000),
}
