"""Models with independent rows: the result of a row does not depend on the other rows of the call."""

from data_plane.scoring.signature.compiled import CompiledSignature
from modelyard.core.domain.bundle import Bundle

_ROW_BY_ROW = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "onnx"})


def answers_row_by_row(bundle: Bundle, signature: CompiledSignature) -> bool:
    """Return whether rows are known to be independent: MLflow's own loader of a library that scores row by row."""
    is_librarys_own = bundle.loader_module == f"mlflow.{bundle.flavor}"
    return bundle.flavor in _ROW_BY_ROW and is_librarys_own and bool(signature.inputs) and not signature.is_raw
