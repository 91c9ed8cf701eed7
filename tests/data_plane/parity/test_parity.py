"""Every example that MLflow saves with a model gets the answer of MLflow's own scoring server."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cached_environments import cached_environment
from tests.data_plane.parity.comparison import REPOSITORY, Exchange, peers
from tests.data_plane.parity.differences import ANSWERED, NAMES, REFUSED, differences
from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.scoring.signature.differential.mlflows import ENVIRONMENTS

# A model of each kind.
SAMPLE = (
    "frame_mixed", "frame_bytes", "frame_deep_objects", "frame_missing_texts", "value_text", "value_messages",
    "value_record_of_lists", "array_named_floats", "declared_every_type", "declared_optional_datetime",
    "declared_any_in_object", "params_default", "params_undeclared", "context", "hint_texts", "hint_datetimes",
    "hint_dicts_of_lists", "hint_points", "from_example_records", "flavor_sklearn_probabilities",
)  # fmt: skip
_LIBRARIES = ("flask", "httpx", "lightgbm", "statsmodels", "xgboost-cpu", "skops")
# MLflow 2.22 uses a decorator that FastAPI no longer has.
_SERVERS = {"2.22.5": ("fastapi==0.115.12", "starlette==0.46.2"), "3.17.2": ("fastapi",)}
_FEWEST_MODELS = 120


def exchanges(python: Path, folder: Path, models: Sequence[str] | None) -> tuple[list[Exchange], int]:
    """Return the requests with both answers, and the number of models."""
    with peers(python, folder) as both:
        saved, failed = both.save(models)
        assert failed == {}
        return [exchange for name, more in saved.items() for exchange in both.exchanges(name, more)], len(saved)


def check(made: Sequence[Exchange]) -> set[str]:
    """Return the names of the differences. Raises AssertionError for a difference without a name."""
    found = {exchange: differences(exchange) for exchange in made}
    unnamed = [str(exchange) for exchange, names in found.items() if names is None]
    assert not unnamed, "\n".join(unnamed)
    return set().union(*(names or () for names in found.values()))


def test_answers_to_saved_examples_equal_those_of_mlflows_server(tmp_path: Path) -> None:
    made, models = exchanges(Path(sys.executable), tmp_path, SAMPLE)
    assert models == len(SAMPLE)
    check(made)


@pytest.mark.long
@pytest.mark.parametrize("version", _SERVERS)
def test_answers_to_the_examples_of_160_models_equal_those_of_mlflows_server(version: str, tmp_path: Path) -> None:
    minor, beside = ENVIRONMENTS[version]
    packages = [f"mlflow-skinny=={version}", *beside, *_LIBRARIES, *_SERVERS[version]]
    python = cached_environment(interpreters().get(minor, sys.executable), packages)
    made, models = exchanges(python, tmp_path, None)
    assert models >= _FEWEST_MODELS
    check(made)
    refused_or_answered = {name for exchanges in (REFUSED, ANSWERED) for names in exchanges.values() for name in names}
    assert refused_or_answered <= {exchange.name for exchange in made}


def test_each_difference_from_mlflows_server_is_in_the_documents() -> None:
    listed = (REPOSITORY / "docs" / "signature.md").read_text()
    assert [name for name in NAMES if name not in listed] == []
