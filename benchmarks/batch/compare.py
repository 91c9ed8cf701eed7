"""Measure batch scoring of ten million rows by default, in several layouts: rows/s, memory, and a job's fixed cost."""

import math
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.batch.batch_run import BatchRun
from benchmarks.batch.inputs import ONE_FILE, Layout, layouts, write_input
from benchmarks.batch.ours import BatchPlatform
from benchmarks.batch.peers import mlflow_models_predict, pandas_loop
from benchmarks.figures import Aim, aim
from benchmarks.models import SavedModel

OURS, OURS_ALONE = "modelyard", "modelyard, 1 worker"
MLFLOW, LOOP = "mlflow models predict", "pandas loop"
_WORKERS = 2
_SAME = 1e-9
"""Relative tolerance of checksums: only the order of summation may differ."""
_TINY = Layout("one row", 1, 1)
_TINY_ROUNDS = 7
"""The first job of each worker is cold. With seven rounds the median is a warm job."""

Run = Callable[[], BatchRun]


@dataclass(slots=True)
class BatchResult:
    layout: str
    program: str
    rounds: list[BatchRun] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return statistics.median(one.per_second for one in self.rounds)

    @property
    def seconds(self) -> float:
        return statistics.median(one.seconds for one in self.rounds)

    @property
    def megabytes(self) -> float:
        return max(one.megabytes for one in self.rounds)


@dataclass(slots=True)
class BatchFindings:
    results: list[BatchResult] = field(default_factory=list)

    def of(self, layout: str, program: str) -> BatchResult | None:
        return next((one for one in self.results if (one.layout, one.program) == (layout, program)), None)

    def ratio(self, to: str, layout: str = ONE_FILE) -> float:
        """Return Modelyard's rows per second divided by the rows per second of `to`. NaN: not measured."""
        ours, other = self.of(layout, OURS), self.of(layout, to)
        return ours.per_second / other.per_second if ours and other else math.nan

    @property
    def fixed_seconds(self) -> float:
        """Seconds of a job over one row with a warm worker."""
        tiny = self.of(_TINY.name, OURS)
        return tiny.seconds if tiny else math.nan

    @property
    def megabytes(self) -> float:
        """Peak memory of Modelyard's largest process over all layouts."""
        return max((one.megabytes for one in self.results if one.program in (OURS, OURS_ALONE)), default=math.nan)

    @property
    def aims(self) -> list[Aim]:
        return [
            aim("batch, one file: rows/s, as a ratio to mlflow models predict", self.ratio(MLFLOW), at_least=4),
            aim("batch, one file: rows/s, as a ratio to the pandas loop", self.ratio(LOOP), at_least=2.5),
            aim("batch, one file: two workers to one", self.ratio(OURS_ALONE), at_least=1.8),
            aim("batch: the largest process, MB", self.megabytes, at_most=600),
            aim("batch: a job of one row with a warm worker, s", self.fixed_seconds, at_most=2),
        ]

    @property
    def wrong(self) -> Iterator[str]:
        """Return a sentence for each layout with different predictions among the programs."""
        for layout in dict.fromkeys(one.layout for one in self.results):
            measured = [took for one in self.results if one.layout == layout for took in one.rounds]
            if any(not _agree(measured[0], took) for took in measured):
                yield f"{layout}: the programs' predictions differ in number or sum"


def _agree(one: BatchRun, other: BatchRun) -> bool:
    return one.rows == other.rows and math.isclose(one.checksum, other.checksum, rel_tol=_SAME, abs_tol=_SAME)


def compare(
    model: SavedModel,
    platform: BatchPlatform,
    environment: Path,
    folder: Path,
    *,
    rows: int,
    rounds: int,
    say: Callable[[str], None],
) -> BatchFindings:
    """Measure all programs in all layouts. `environment`: the Python environment of the MLflow programs."""
    findings = BatchFindings()
    for layout in (_TINY, *layouts(rows)):
        inputs = write_input(model, layout, folder / f"input-{layout.files}-{layout.rows}")
        programs = _programs(model, platform, environment, inputs, folder, layout)
        results = [BatchResult(layout.name, program) for program in programs]
        findings.results += results
        for _ in range(_TINY_ROUNDS if layout is _TINY else rounds):
            for result, run in zip(results, programs.values(), strict=True):
                result.rounds.append(run())
        say(f"{layout.name}: " + "; ".join(f"{one.program} {one.seconds:.2f} s" for one in results))
        shutil.rmtree(inputs)
    return findings


def _programs(
    model: SavedModel, platform: BatchPlatform, environment: Path, inputs: Path, folder: Path, layout: Layout
) -> Mapping[str, Run]:
    ours: dict[str, Run] = {OURS: lambda: platform.predict(inputs, folder, workers=_WORKERS)}
    if layout is _TINY:
        return ours
    alone: dict[str, Run] = {OURS_ALONE: lambda: platform.predict(inputs, folder, workers=1)}
    loop: dict[str, Run] = {LOOP: lambda: pandas_loop(environment, model, inputs, folder)}
    mlflow: dict[str, Run] = {MLFLOW: lambda: mlflow_models_predict(environment, model, inputs, folder)}
    return {**ours, **alone, **loop, **(mlflow if layout.files == 1 else {})}
