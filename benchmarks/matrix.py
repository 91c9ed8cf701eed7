"""Measure every load on every server. All servers of a model run; one server at a time is under load."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bound import Bound, InProcess
from benchmarks.figures import AIMED_AT, OURS, Cell, Result, Results, Round, is_ours, percentile
from benchmarks.load.generator import LoadFailed, LoadGenerator
from benchmarks.load.load import Load, LoadResult
from benchmarks.models import SavedModel
from benchmarks.processes import Memory, cpu_microseconds, cpu_seconds, memory
from benchmarks.servers.modelyard_gateway import EXECUTION_MILLISECONDS, is_gateway
from benchmarks.servers.server import Running, Server, ServerFailed

Say = Callable[[str], None]

_MANY_ROWS = 1000
_MOST_DIFFERENT = 32
_VALUES_IN_DIFFERENT = 40_000
_RELATIVE_TOLERANCE = 1e-9
_WARM_UP_SECONDS = 0.5
_WARM_UP_CONNECTIONS = 4
# Modelyard's array shortcut is on trial for 16 requests.
_WARM_UP_ANSWERS = 64
_WARM_UP_MOST = 5
_IDLE_SECONDS = 3.0
_OWN_TIMES_SECONDS = 1.0
_OWN_TIMES_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    rows: tuple[int, ...]
    connections: tuple[int, ...]
    seconds: float
    """Length of each window."""
    rounds: int

    def rounds_of(self, cell: Cell) -> int:
        """Return the number of rounds: more for the aims, fewer for slow requests."""
        if (cell.model, cell.rows) == (AIMED_AT, 1):
            return self.rounds + 2
        return self.rounds if cell.rows < _MANY_ROWS else max(1, self.rounds - 1)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Processes, memory and idle CPU of a server with one model, after all loads."""

    model: str
    server: str
    part: str
    processes: int
    memory: Memory
    idle_cpu_share: float
    """CPU time without requests, as a share of one core."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request and the model's own predictions."""

    frame: Any
    expected: list[Any]


class Matrix:
    def __init__(self, plan: Plan, generator: LoadGenerator, say: Say) -> None:
        self._plan = plan
        self._generator = generator
        self._say = say
        self.results = Results()
        self.footprints: list[Footprint] = []
        self.bounds: list[Bound] = []
        self.commands: dict[str, str] = {}
        self.not_run: dict[str, str] = {}
        """The reason, by the server's and the model's name."""

    def measure(self, model: SavedModel, servers: Sequence[Server], folder: Path) -> Mapping[str, float]:
        """Measure all servers with the model. Returns `own_times` of the gateway, if measured."""
        with ExitStack() as running:
            up: dict[str, Running] = {}
            for server in servers:
                self._start(model, server, folder, up, running)
            idle = _idle_shares(up)
            for rows in self._plan.rows:
                self._rows(model, rows, up)
            self._weigh(model.name, up, idle)
            return own_times(self._generator, up.get(OURS), model)

    def _start(
        self, model: SavedModel, server: Server, folder: Path, up: dict[str, Running], running: ExitStack
    ) -> None:
        begun, place = time.monotonic(), folder / f"{model.name}-{server.name}"
        place.mkdir()
        try:
            up[server.name] = running.enter_context(server.run(model, place))
        except ServerFailed as failed:
            if is_ours(server.name):
                raise
            # The other servers can be compared without this peer.
            self.not_run[f"{server.name}, {model.name}"] = str(failed)
            self._say(f"{model.name}: {server.name} is not measured: {str(failed)[:200]}")
            return
        self.commands[server.name] = up[server.name].command
        self._say(f"{model.name}: {server.name} is up after {time.monotonic() - begun:.1f} s")

    def _rows(self, model: SavedModel, rows: int, up: Mapping[str, Running]) -> None:
        questions = _questions(model, rows)
        in_process = InProcess(model, [question.frame for question in questions])
        self.bounds.append(bound := Bound(model.name, rows))
        requests = {name: tuple(one.request(question.frame) for question in questions) for name, one in up.items()}
        for name, one in up.items():
            self._warm_up(one, requests[name])
        for connections in self._plan.connections:
            cell = Cell(model.name, rows, connections)
            for number in range(self._plan.rounds_of(cell)):
                for name in _in_turn(list(up), number):
                    self._round(cell, up[name], name, requests[name], questions)
                if connections == 1:
                    bound.rounds.append(in_process.milliseconds(self._plan.seconds))
            self._say_of(cell)

    def _warm_up(self, one: Running, requests: tuple[bytes, ...]) -> None:
        """Send requests for a while, and until each server has predicted often: caches, estimates and proofs exist."""
        answers = 0
        for _ in range(_WARM_UP_MOST):
            try:
                answers += self._generator.run(
                    Load(one.address, requests, _WARM_UP_CONNECTIONS, _WARM_UP_SECONDS, longest=5.0)
                ).answers
            except LoadFailed:
                return  # The first round meets the failure again, and reports it.
            if answers >= _WARM_UP_ANSWERS:
                return

    def _round(
        self, cell: Cell, one: Running, name: str, requests: tuple[bytes, ...], questions: Sequence[Question]
    ) -> None:
        result = self.results.of(cell, name)
        load = Load(one.address, requests, cell.connections, self._plan.seconds, server_processes=one.processes)
        try:
            seen = self._generator.run(load)
        except LoadFailed as failed:
            result.failures[str(failed)] = 1
            return
        result.rounds.append(Round.of(seen))
        for reason, count in seen.failures.items():
            result.failures[reason] = result.failures.get(reason, 0) + count
        result.wrong += wrong_answers(seen, one.predictions, questions)

    def _say_of(self, cell: Cell) -> None:
        figures = (self._line(self.results.of(cell, server)) for server in self.results.servers)
        self._say(f"{cell.model}, {cell.rows} rows, {cell.connections} connections: {'; '.join(figures)}")

    def _line(self, result: Result) -> str:
        trouble = "" if result.is_sound else f" FAILURES {result.failures} WRONG {result.wrong[:2]}"
        return f"{result.server} {result.median('per_second'):.0f}/s p50 {result.median('p50_ms'):.2f} ms{trouble}"

    def _weigh(self, model: str, up: Mapping[str, Running], idle: Mapping[str, Mapping[str, float]]) -> None:
        for name, one in up.items():
            for part, pids in one.parts.items():
                self.footprints.append(Footprint(model, name, part, len(pids), memory(pids), idle[name][part]))


def wrong_answers(seen: LoadResult, read: Callable[[bytes], list[Any]], questions: Sequence[Question]) -> list[str]:
    """Return a sentence for each response that differs from the model's predictions."""
    wrong = []
    for question, bodies in zip(questions, seen.bodies, strict=True):
        for body in bodies:
            try:
                is_right = _equal(read(body), question.expected)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                wrong.append(f"unreadable ({error!r}): {body[:200]!r}")
                continue
            if not is_right:
                wrong.append(f"expected {str(question.expected)[:100]}, came {body[:200]!r}")
    return wrong


def own_times(generator: LoadGenerator, gateway: Running | None, model: SavedModel) -> Mapping[str, float]:
    """Return medians for one row: ms of the model, the whole request and the difference, CPU of gateway and worker."""
    if gateway is None:
        return {}
    requests = tuple(map(gateway.request, model.frames(1, 4)))
    load = Load(gateway.address, requests, 1, _OWN_TIMES_SECONDS, header=EXECUTION_MILLISECONDS)
    rounds = [_own_times(generator.run(load)) for _ in range(_OWN_TIMES_ROUNDS)]
    times = {name: median(one[name] for one in rounds) for name in rounds[0]}
    for connections in (1, _MOST_DIFFERENT):
        load = replace(load, connections=connections, header=None, warm_up=0.0)
        cpu = [_cpu_of_a_request(generator, gateway, load) for _ in range(_OWN_TIMES_ROUNDS)]
        times |= {f"{part}_us_{connections}": median(one[part] for one in cpu) for part in ("gateway", "worker")}
    return times


def _cpu_of_a_request(generator: LoadGenerator, gateway: Running, load: Load) -> dict[str, float]:
    """Return the microseconds of the gateway and of the model worker."""
    scoring = gateway.parts["server"]
    pids = {"gateway": [pid for pid in scoring if is_gateway(pid)], "worker": [p for p in scoring if not is_gateway(p)]}
    before = {part: cpu_microseconds(members) for part, members in pids.items()}
    answers = generator.run(load).answers + load.connections
    return {part: (cpu_microseconds(members) - before[part]) / answers for part, members in pids.items()}


def _own_times(seen: LoadResult) -> dict[str, float]:
    added = [1000 * whole - own for whole, own in zip(seen.latencies, seen.numbers, strict=True)]
    whole = 1000 * percentile(seen.latencies, 50)
    return {"model_ms": percentile(seen.numbers, 50), "whole_ms": whole, "added_ms": percentile(added, 50)}


def _questions(model: SavedModel, rows: int) -> list[Question]:
    values = rows * len(model.rows.columns)
    count = max(2, min(_MOST_DIFFERENT, _VALUES_IN_DIFFERENT // values))
    return [Question(frame, model.predict(frame)) for frame in model.frames(rows, count)]


def _equal(came: list[Any], expected: list[Any]) -> bool:
    """Compare with a tolerance: on BLAS, the last bits depend on the number of rows."""
    if len(came) != len(expected):
        return False
    return all(
        math.isclose(one, other, rel_tol=_RELATIVE_TOLERANCE, abs_tol=_RELATIVE_TOLERANCE)
        if isinstance(other, float)
        else one == other
        for one, other in zip(came, expected, strict=True)
    )


def _in_turn(names: list[str], number: int) -> list[str]:
    """Rotate the order of servers from round to round."""
    first = number % len(names)
    return names[first:] + names[:first]


def _idle_shares(up: Mapping[str, Running]) -> dict[str, dict[str, float]]:
    """Return the CPU time of each part of each server without requests, as a share of one core."""
    before = {name: {part: cpu_seconds(pids) for part, pids in one.parts.items()} for name, one in up.items()}
    time.sleep(_IDLE_SECONDS)
    return {
        name: {part: (cpu_seconds(pids) - before[name][part]) / _IDLE_SECONDS for part, pids in one.parts.items()}
        for name, one in up.items()
    }
