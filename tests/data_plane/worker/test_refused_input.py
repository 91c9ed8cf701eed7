"""A refusal of the input by MLflow's own code is the caller's fault; an exception of the model's code is not."""

from collections.abc import Callable
from typing import Any

import pytest

from data_plane.worker.refused_input import is_refused_input

VALIDATION = "mlflow.pyfunc.utils.data_validation"


class MlflowException(Exception):
    status = 400

    def get_http_status_code(self) -> int:
        return self.status


MlflowException.__module__ = "mlflow.exceptions"


class InternalError(MlflowException):
    status = 500


def through(*modules: str, error: Exception) -> Exception:
    """Return the error after it has passed a function of each module, outermost first."""
    call: Callable[[], Any] | None = None
    for name in reversed(modules):
        namespace: dict[str, Any] = {"__name__": name, "call": call, "error": error}
        body = "raise error" if call is None else "return call()"
        exec(f"def step():\n    {body}", namespace)
        call = namespace["step"]
    assert call is not None
    with pytest.raises(type(error)) as raised:
        call()
    return raised.value


@pytest.mark.parametrize(
    ("modules", "error"),
    [
        (("score", "mlflow.pyfunc", "mlflow.pyfunc.model", VALIDATION), MlflowException("Expected str")),
        (("score", "mlflow.pyfunc", VALIDATION), InternalError("Invalid isoformat string")),
        (("modelyard.worker", "score", "score", "mlflow.pyfunc", "mlflow.models.utils"), MlflowException("schema")),
    ],
)
def test_refusal_before_the_models_code_is_the_callers(modules: tuple[str, ...], error: Exception) -> None:
    assert is_refused_input(through(*modules, error=error))


@pytest.mark.parametrize(
    ("modules", "error"),
    [
        (("score", "mlflow.pyfunc", VALIDATION, "__main__"), MlflowException("of the model")),
        (("score", "mlflow.pyfunc", VALIDATION, "my_model", VALIDATION), MlflowException("of another model")),
        (("score", "mlflow.openai"), InternalError("the service is down")),
        (("score", "mlflow.pyfunc"), ValueError("no exception of MLflow")),
        (("score",), MlflowException("of the script itself")),
        (("mlflow.pyfunc", VALIDATION), MlflowException("outside of a script")),
    ],
)
def test_failure_of_another_kind_is_the_models(modules: tuple[str, ...], error: Exception) -> None:
    assert not is_refused_input(through(*modules, error=error))
