"""Percentiles, medians, ratios and aims."""

import math
from array import array

import pytest

from benchmarks.figures import AIMED_AT, Cell, Results, Round, aim, aims, percentile
from benchmarks.load.load import Seen

CELL = Cell(AIMED_AT, 1, 32)


def a_round(per_second: float = 100.0, p50: float = 1.0, p99: float = 2.0) -> Round:
    return Round(int(per_second), 1.0, p50, p99, cpu_seconds=0.5, client_cpu_share=0.1)


class TestPercentile:
    def test_it_is_the_smallest_value_that_so_many_do_not_exceed(self) -> None:
        assert percentile([5, 1, 4, 2, 3], 50) == 3
        assert percentile(list(range(1, 101)), 99) == 99
        assert percentile([7], 99) == 7

    def test_of_nothing_there_is_none(self) -> None:
        assert math.isnan(percentile([], 50))


class TestRound:
    def test_what_was_seen_becomes_figures(self) -> None:
        seen = Seen(seconds=2.0, latencies=array("d", [0.001, 0.002, 0.003, 0.004]), server_cpu_seconds=0.5)

        figures = Round.of(seen)

        assert (figures.per_second, figures.p50_ms, figures.p99_ms) == (2.0, 2.0, 4.0)
        assert figures.cpu_per_1000 == 125.0


class TestResults:
    def test_the_median_of_the_rounds_counts(self) -> None:
        results = Results()
        results.of(CELL, "modelyard").rounds += [a_round(100), a_round(5_000), a_round(200)]

        assert results.figure(CELL, "modelyard", "per_second") == 200

    def test_a_ratio_is_to_azureml_unless_told_otherwise(self) -> None:
        results = Results()
        results.of(CELL, "modelyard").rounds.append(a_round(3_000))
        results.of(CELL, "azureml").rounds.append(a_round(100))
        results.of(CELL, "mlflow").rounds.append(a_round(50))

        assert results.ratio(CELL, "per_second") == 30
        assert results.ratio(CELL, "per_second", to="mlflow") == 60
        assert results.ratio(CELL, "per_second", server="mlflow") == 0.5

    def test_a_server_that_was_not_measured_has_no_ratio(self) -> None:
        assert math.isnan(Results().ratio(CELL, "per_second"))

    def test_rounds_without_an_answer_do_not_count(self) -> None:
        results = Results()
        results.of(CELL, "modelyard").rounds += [a_round(0), a_round(80)]

        assert results.figure(CELL, "modelyard", "p50_ms") == 1.0
        assert results.figure(CELL, "modelyard", "per_second") == 80


class TestAims:
    @pytest.mark.parametrize(("seen", "met"), [(0.4, True), (0.5, True), (0.6, False), (math.nan, None)])
    def test_at_most(self, seen: float, met: bool | None) -> None:
        assert aim("ratio", seen, at_most=0.5).is_met is met

    @pytest.mark.parametrize(("seen", "met"), [(29.0, False), (30.0, True), (31.0, True), (math.nan, None)])
    def test_at_least(self, seen: float, met: bool | None) -> None:
        assert aim("ratio", seen, at_least=30).is_met is met

    def test_the_issues_aims_are_judged_by_their_own_cells(self) -> None:
        results = Results()
        one, many = Cell(AIMED_AT, 1, 1), Cell(AIMED_AT, 1, 32)
        results.of(one, "modelyard").rounds.append(a_round(p50=1.0))
        results.of(one, "azureml").rounds.append(a_round(p50=2.5))
        results.of(many, "modelyard").rounds.append(a_round(9_000, p99=20.0))
        results.of(many, "azureml").rounds.append(a_round(250, p99=100.0))
        results.of(many, "mlserver-batching").rounds.append(a_round(1_000))

        judged = [one.is_met for one in aims(results, added_ms=0.44, enforcement_ratio=math.nan)]

        assert judged == [True, True, True, False, False, None]
