"""Generated requests are enforced as by MLflow, except for the differences listed in docs/signature.md."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.data_plane.scoring.signature.differential import differences
from tests.data_plane.scoring.signature.differential.cases import Case, cases
from tests.data_plane.scoring.signature.differential.comparison import enforce, explained, explained_as_a_whole
from tests.data_plane.scoring.signature.differential.examples import BY_NAME, REFUSED_BY_MLFLOW
from tests.data_plane.scoring.signature.differential.mlflows import VERSIONS, Oracle, environment, oracle
from tests.data_plane.scoring.signature.differential.more_cases import (
    param_cases,
    tensor_cases,
    values_of_params,
    values_of_tensors,
)

SEED = 20_240_531


@pytest.fixture(scope="module")
def oracles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Oracle]]:
    logs = tmp_path_factory.mktemp("oracles")
    with ExitStack() as stack:
        yield [stack.enter_context(oracle(v, environment(v), logs / f"{v}.log")) for v in VERSIONS]


def generate(examples: int, chosen: int, generated: SearchStrategy[Case], look: Callable[[Case], object]) -> None:
    """Run `look` on generated cases. The printed seed reproduces a failure."""
    print(f"seed {chosen}")

    @seed(chosen)
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(generated)
    def run(case: Case) -> None:
        look(case)

    run()


def look_at_columns(case: Case, oracles: list[Oracle]) -> None:
    explained(case, oracles)


def look_at_tensors(case: Case, oracles: list[Oracle]) -> None:
    explained_as_a_whole(case, oracles, values_of_tensors(case))


def look_at_params(case: Case, oracles: list[Oracle]) -> None:
    explained_as_a_whole(case, oracles, values_of_params(case))


KINDS = {
    "columns": (700, cases(), look_at_columns),
    "tensors": (150, tensor_cases(), look_at_tensors),
    "params": (150, param_cases(), look_at_params),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_requests_show_no_unexplained_difference(kind: str, oracles: list[Oracle]) -> None:
    """Each request goes to one version of MLflow, in turn."""
    examples, generated, look = KINDS[kind]
    turns = cycle([[oracle] for oracle in oracles])
    generate(examples, SEED, generated, lambda case: look(case, next(turns)))


@pytest.mark.parametrize("name", differences.NAMES)
def test_example_request_shows_exactly_the_named_difference(name: str, oracles: list[Oracle]) -> None:
    assert explained(BY_NAME[name], oracles) == {name}


@pytest.mark.parametrize("name", REFUSED_BY_MLFLOW)
def test_valid_value_is_accepted_where_mlflow_refuses(name: str, oracles: list[Oracle]) -> None:
    given, newest = REFUSED_BY_MLFLOW[name], oracles[-1]
    enforced, _ = enforce(given)
    newest.ask(given, enforced)
    assert enforced is not None
    assert "refused" in newest.answer()["mlflow"]


@pytest.mark.parametrize("name", [*differences.NAMES, *REFUSED_BY_MLFLOW])
def test_difference_from_mlflow_is_documented(name: str) -> None:
    page = Path(__file__).parents[4] / "docs" / "signature.md"
    assert name in " ".join(page.read_text().split())


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_thousand_requests_show_no_unexplained_difference(kind: str, oracles: list[Oracle]) -> None:
    """Each request goes to all versions of MLflow."""
    examples, generated, look = KINDS[kind]
    chosen = random.SystemRandom().randrange(2**32)
    generate(20 * examples, chosen, generated, lambda case: look(case, oracles))
