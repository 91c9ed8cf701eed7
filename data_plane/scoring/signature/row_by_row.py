"""Which models may be given any number of rows at once: each row's answer has nothing to do with the others."""

from data_plane.scoring.signature.compiled import CompiledSignature
from modelyard.core.domain.bundle import Bundle

_ROW_BY_ROW = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "onnx"})


def answers_row_by_row(bundle: Bundle, signature: CompiledSignature) -> bool:
    """Of MLflow's own loader of a library whose models score each row by itself, that can be said beforehand."""
    is_librarys_own = bundle.loader_module == f"mlflow.{bundle.flavor}"
    return bundle.flavor in _ROW_BY_ROW and is_librarys_own and bool(signature.inputs) and not signature.is_raw
