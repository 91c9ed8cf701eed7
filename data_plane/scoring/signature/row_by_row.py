"""The models that may get any number of rows at once, because each row's prediction depends on that row only."""

from data_plane.scoring.signature.compiled import CompiledSignature
from modelyard.core.domain.bundle import Bundle

_ROW_BY_ROW = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "onnx"})


def answers_row_by_row(bundle: Bundle, signature: CompiledSignature) -> bool:
    """Whether MLflow's own loader loads the model, of a library whose models score each row by itself."""
    is_librarys_own = bundle.loader_module == f"mlflow.{bundle.flavor}"
    return bundle.flavor in _ROW_BY_ROW and is_librarys_own and bool(signature.inputs) and not signature.is_raw
