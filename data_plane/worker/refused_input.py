"""Tells MLflow's refusal of an input from a failure of the model.

MLflow validates the input of models with type hints, and of language models, within `predict`. The refusal is the
caller's fault; an exception of the model's code is not.
"""

from typing import Any, List

from .script import MODULE

_MLFLOW = "mlflow"
_TYPE_HINTS = "mlflow.pyfunc.utils.data_validation"
_BAD_REQUEST = 400


def is_refused_input(error: BaseException) -> bool:
    """Return whether MLflow refused the input before any code of the model ran."""
    if not any(
        (kind.__module__, kind.__name__) == ("mlflow.exceptions", "MlflowException") for kind in type(error).__mro__
    ):
        return False
    called = _called_modules(error)
    if not called or not all(name.split(".")[0] == _MLFLOW for name in called):
        return False
    # MLflow's validation of type hints reports an unreadable date as an internal error.
    return called[-1] == _TYPE_HINTS or _status(error) == _BAD_REQUEST


def _called_modules(error: BaseException) -> List[str]:
    """Return the modules of the calls from the scoring script to the error."""
    names = []
    traceback = error.__traceback__
    while traceback is not None:
        names.append(str(traceback.tb_frame.f_globals.get("__name__")))
        traceback = traceback.tb_next
    if MODULE not in names:
        return []
    return [name for name in names[names.index(MODULE) :] if name != MODULE]


def _status(error: Any) -> int:
    try:
        status: int = error.get_http_status_code()
    except Exception:  # noqa: BLE001 - an early MLflow, or a class of the model
        return 0
    return status
