"""Generated requests are enforced as MLflow enforces them, except where docs/signature.md says otherwise."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.data_plane.signature.differential import differences
from tests.data_plane.signature.differential.cases import Case, cases
from tests.data_plane.signature.differential.comparison import enforce, explained
from tests.data_plane.signature.differential.examples import BY_NAME, REFUSED_BY_MLFLOW
from tests.data_plane.signature.differential.mlflows import VERSIONS, Oracle, environment, oracle

SEED = 20_240_531


@pytest.fixture(scope="module")
def oracles(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Oracle]]:
    folder = request.config.cache.mkdir("mlflows")
    logs = tmp_path_factory.mktemp("oracles")
    with ExitStack() as stack:
        yield [stack.enter_context(oracle(v, environment(v, folder / v), logs / f"{v}.log")) for v in VERSIONS]


def compare(examples: int, chosen: int, turns: Iterator[list[Oracle]]) -> None:
    """The seed is printed, so that a failure can be had again."""
    print(f"seed {chosen}")

    @seed(chosen)
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def one(case: Case) -> None:
        explained(case, next(turns))

    one()


def test_a_thousand_requests_show_no_unexplained_difference(oracles: list[Oracle]) -> None:
    """Each is put to one version in turn."""
    compare(1_000, SEED, cycle([[oracle] for oracle in oracles]))


@pytest.mark.parametrize("name", differences.NAMES)
def test_each_difference_has_a_request_that_shows_it(name: str, oracles: list[Oracle]) -> None:
    assert explained(BY_NAME[name], oracles) == {name}


@pytest.mark.parametrize("name", REFUSED_BY_MLFLOW)
def test_what_the_type_holds_is_accepted_where_mlflow_refuses(name: str, oracles: list[Oracle]) -> None:
    given, newest = REFUSED_BY_MLFLOW[name], oracles[-1]
    enforced, _ = enforce(given)
    newest.ask(given, enforced)
    assert enforced is not None
    assert "refused" in newest.answer()["mlflow"]


@pytest.mark.parametrize("name", [*differences.NAMES, *REFUSED_BY_MLFLOW])
def test_each_difference_is_documented(name: str) -> None:
    page = Path(__file__).parents[3] / "docs" / "signature.md"
    assert name in " ".join(page.read_text().split())


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_twenty_thousand_requests_show_no_unexplained_difference(oracles: list[Oracle]) -> None:
    compare(20_000, random.SystemRandom().randrange(2**32), cycle([oracles]))
