"""Percentiles, medians, ratios and aims."""

import math
from array import array

import pytest

from benchmarks.figures import AIMED_AT, Cell, Results, Round, aim, aims, percentile
from benchmarks.load.load import LoadResult

CELL = Cell(AIMED_AT, 1, 32)


def a_round(per_second: float = 100.0, p50: float = 1.0, p99: float = 2.0) -> Round:
    return Round(int(per_second), 1.0, p50, p99, cpu_seconds=0.5, client_cpu_share=0.1)


class TestPercentile:
    def test_percentile_is_the_smallest_value_not_exceeded_by_the_share(self) -> None:
        assert percentile([5, 1, 4, 2, 3], 50) == 3
        assert percentile(list(range(1, 101)), 99) == 99
        assert percentile([7], 99) == 7

    def test_percentile_of_no_values_is_nan(self) -> None:
        assert math.isnan(percentile([], 50))


class TestRound:
    def test_load_result_is_converted_to_milliseconds_and_rates(self) -> None:
        seen = LoadResult(seconds=2.0, latencies=array("d", [0.001, 0.002, 0.003, 0.004]), server_cpu_seconds=0.5)

        figures = Round.of(seen)

        assert (figures.per_second, figures.p50_ms, figures.p99_ms) == (2.0, 2.0, 4.0)
        assert figures.cpu_per_1000 == 125.0


class TestResults:
    def test_figure_is_the_median_of_the_rounds(self) -> None:
        results = Results()
        results.of(CELL, "modelyard").rounds += [a_round(100), a_round(5_000), a_round(200)]

        assert results.figure(CELL, "modelyard", "per_second") == 200

    def test_ratio_is_to_azureml_by_default(self) -> None:
        results = Results()
        results.of(CELL, "modelyard").rounds.append(a_round(3_000))
        results.of(CELL, "azureml").rounds.append(a_round(100))
        results.of(CELL, "mlflow").rounds.append(a_round(50))

        assert results.ratio(CELL, "per_second") == 30
        assert results.ratio(CELL, "per_second", to="mlflow") == 60
        assert results.ratio(CELL, "per_second", server="mlflow") == 0.5

    def test_ratio_to_an_unmeasured_server_is_nan(self) -> None:
        assert math.isnan(Results().ratio(CELL, "per_second"))

    def test_round_without_an_answer_is_left_out_of_the_median(self) -> None:
        results = Results()
        results.of(CELL, "modelyard").rounds += [a_round(0), a_round(80)]

        assert results.figure(CELL, "modelyard", "p50_ms") == 1.0
        assert results.figure(CELL, "modelyard", "per_second") == 80


class TestAims:
    @pytest.mark.parametrize(("seen", "met"), [(0.4, True), (0.5, True), (0.6, False), (math.nan, None)])
    def test_aim_at_most_is_met_below_the_limit(self, seen: float, met: bool | None) -> None:
        assert aim("ratio", seen, at_most=0.5).is_met is met

    @pytest.mark.parametrize(("seen", "met"), [(29.0, False), (30.0, True), (31.0, True), (math.nan, None)])
    def test_aim_at_least_is_met_above_the_limit(self, seen: float, met: bool | None) -> None:
        assert aim("ratio", seen, at_least=30).is_met is met

    def test_each_aim_is_judged_by_the_load_named_in_the_aim(self) -> None:
        results = Results()
        one, many = Cell(AIMED_AT, 1, 1), Cell(AIMED_AT, 1, 32)
        results.of(one, "modelyard").rounds.append(a_round(p50=1.0))
        results.of(one, "azureml").rounds.append(a_round(p50=2.5))
        results.of(many, "modelyard").rounds.append(a_round(9_000, p99=20.0))
        results.of(many, "azureml").rounds.append(a_round(250, p99=100.0))
        results.of(many, "mlserver-batching").rounds.append(a_round(1_000))

        judged = [one.is_met for one in aims(results, added_ms=0.44, enforcement_ratio=math.nan)]

        assert judged == [True, True, True, False, False, None]
