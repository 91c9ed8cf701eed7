"""The measurements of one run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.batch.compare import BatchFindings
from benchmarks.bound import Bound
from benchmarks.deploy_steps import DeploySteps
from benchmarks.enforcement import Enforcement
from benchmarks.figures import AIMED_AT, OURS, Aim, Cell, Results, aim, aims
from benchmarks.large_frame import LargeFrame
from benchmarks.matrix import Footprint
from benchmarks.stores.moving import Moved


@dataclass(slots=True)
class Findings:
    begun_at: datetime
    machine: Mapping[str, str]
    packages: list[str]
    """Packages with equal versions in all environments."""
    options: str
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ceiling: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    results: Results = field(default_factory=Results)
    footprints: list[Footprint] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    commands: Mapping[str, str] = field(default_factory=dict)
    """Command lines, by the server's name."""
    not_run: dict[str, str] = field(default_factory=dict)
    """Why a server was not measured, by the server's name, or by server and model."""
    own_times: dict[str, dict[str, float]] = field(default_factory=dict)
    enforcement: list[Enforcement] = field(default_factory=list)
    large_frames: list[LargeFrame] = field(default_factory=list)
    deploy: DeploySteps = field(default_factory=DeploySteps)
    batch: BatchFindings = field(default_factory=BatchFindings)
    stores: list[Moved] = field(default_factory=list)
    cut_short_by: str = ""
    """Reason for an early end of the run."""

    @property
    def is_sound(self) -> bool:
        """Whether every response was a 200 with the model's prediction, and all programs predicted the same."""
        if self.cut_short_by:
            return False
        large = all(not one.failures and not one.wrong for one in self.large_frames)
        online = all(one.is_sound for one in self.results) and all(one.is_equal for one in self.enforcement)
        return online and large and not any(self.batch.wrong)

    @property
    def is_whole(self) -> bool:
        """Whether every aim was measured."""
        return all(one.is_met is not None for one in self.aims)

    @property
    def aims(self) -> list[Aim]:
        added = self.own_times.get(AIMED_AT, {}).get("added_ms", math.nan)
        single = next((one.ratio for one in self.enforcement if one.rows == 1), math.nan)
        deploy = aim(
            "a known environment deployed: what is not the model's import and load, s", self.deploy.ours, at_most=1
        )
        return [*aims(self.results, added, single, self.bound_ratio(AIMED_AT, 1000)), deploy, *self.batch.aims]

    def bound_ratio(self, model: str, rows: int) -> float:
        """Return the p50 of one connection as a ratio to parsing and predicting in process. NaN: not measured."""
        bound = next((one for one in self.bounds if (one.model, one.rows) == (model, rows) and one.rounds), None)
        ours = self.results.figure(Cell(model, rows, 1), OURS, "p50_ms")
        return ours / bound.milliseconds if bound else math.nan
