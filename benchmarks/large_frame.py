"""Measure a request of 100,000 rows: duration, and growth of the server's memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import percentile
from benchmarks.load.generator import LoadGenerator
from benchmarks.load.load import Load
from benchmarks.matrix import Question, wrong_answers
from benchmarks.models import SavedModel
from benchmarks.processes import forget_peaks, memory, peak
from benchmarks.servers.server import Running, Server

ROWS = 100_000
_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class LargeFrame:
    server: str
    rows: int
    megabytes: float
    """Size of the request body."""
    requests: int
    median_seconds: float
    memory_before: float
    """Resident megabytes of the server's scoring processes."""
    memory_peak: float
    failures: dict[str, int]
    wrong: list[str]


def measure(
    model: SavedModel, servers: Sequence[Server], generator: LoadGenerator, folder: Path, rows: int = ROWS
) -> list[LargeFrame]:
    frame = model.frames(rows, 1)[0]
    question = Question(frame, model.predict(frame))
    found = []
    for server in servers:
        place = folder / f"large-{server.name}"
        place.mkdir()
        with server.run(model, place) as running:
            found.append(_one(server.name, running, question, generator))
    return found


def _one(name: str, running: Running, question: Question, generator: LoadGenerator) -> LargeFrame:
    request = running.request(question.frame)
    processes = running.parts["server"]
    before = memory(processes).resident
    forget_peaks(processes)
    seen = generator.run(Load(running.address, (request,), 1, _SECONDS, warm_up=0.0, longest=60.0))
    return LargeFrame(
        server=name,
        rows=len(question.frame),
        megabytes=len(request) / (1 << 20),
        requests=seen.answers,
        median_seconds=percentile(seen.latencies, 50),
        memory_before=before,
        memory_peak=peak(processes),
        failures=seen.failures,
        wrong=wrong_answers(seen, running.predictions, [question]),
    )
