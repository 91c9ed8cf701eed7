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


class TestStanding:
    def test_first_second_and_best_peer_of_a_cell_are_named_with_their_ratios(self) -> None:
        results = Results()
        for server, p50 in (("modelyard", 2.0), ("mosec", 1.0), ("robyn", 4.0)):
            results.of(CELL, server).rounds.append(a_round(p50=p50))

        standing = results.standing(CELL, "p50_ms")

        assert standing is not None
        assert (standing.first, standing.second, standing.lead) == ("mosec", "modelyard", 2.0)
        assert (standing.best_peer, standing.ours) == ("mosec", 0.5)

    def test_more_requests_per_second_are_better(self) -> None:
        results = Results()
        for server, per_second in (("modelyard", 300), ("mosec", 100), ("robyn", 200)):
            results.of(CELL, server).rounds.append(a_round(per_second))

        standing = results.standing(CELL, "per_second")

        assert standing is not None
        assert (standing.first, standing.second, standing.lead) == ("modelyard", "robyn", 1.5)
        assert (standing.best_peer, standing.ours) == ("robyn", 1.5)

    def test_platform_as_of_an_earlier_commit_is_neither_first_nor_a_peer(self) -> None:
        results = Results()
        for server, per_second in (("modelyard@43513ab", 900), ("modelyard", 300), ("mosec", 100)):
            results.of(CELL, server).rounds.append(a_round(per_second))

        standing = results.standing(CELL, "per_second")

        assert standing is not None
        assert (standing.first, standing.second, standing.best_peer) == ("modelyard", "mosec", "mosec")

    def test_cell_without_a_measurement_has_no_standing(self) -> None:
        assert Results().standing(CELL, "per_second") is None


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
        results.of(many, "mlserver-batching").rounds.append(a_round(1_000, p99=200.0))

        results.of(one, "mosec").rounds.append(a_round(p50=0.9))
        results.of(many, "mosec").rounds.append(a_round(8_000, p99=30.0))
        results.of(many, "mosec-batching").rounds.append(a_round(2_500, p99=41.0))
        results.of(Cell("forest", 1, 1), "modelyard").rounds.append(a_round(100))
        results.of(Cell("forest", 1, 1), "mosec").rounds.append(a_round(90))
        results.of(Cell("forest", 1, 8), "modelyard").rounds.append(a_round(100))
        results.of(Cell("forest", 1, 8), "mosec").rounds.append(a_round(110))
        results.of(Cell("text", 1, 1), "modelyard").rounds.append(a_round(100))
        results.of(Cell("text", 1, 1), "mosec").rounds.append(a_round(90))

        judged = aims(results, added_ms=0.44, enforcement_ratio=math.nan, bound_ratio=1.2)

        assert {one.sentence: one.is_met for one in judged} == {
            "1 connection: p50, as a ratio to mosec": False,
            "32 connections: requests/s, as a ratio to the best peer with batching": True,
            "32 connections: p99, as a ratio to the best peer": False,
            "forest: cells in which Modelyard is first": False,
            "200 columns: cells in which Modelyard is first": None,
            "text: cells in which Modelyard is first": True,
            "100 and 1,000 rows of ElasticNet: cells in which Modelyard is first": None,
            "1,000 rows: p50, as a ratio to orjson.loads and predict in process": True,
            "1 connection: p50, as a ratio to azureml": True,
            "1 connection: what is added to the model's own time, ms": True,
            "32 connections: requests/s, as a ratio to azureml": True,
            "32 connections: p99, as a ratio to azureml": False,
            "32 connections: requests/s, as a ratio to MLServer with batching": False,
            "200 columns: parse and enforce, MLflow's time as a ratio to ours": None,
        }
