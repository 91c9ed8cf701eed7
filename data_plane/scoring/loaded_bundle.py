"""The bundle of one generation of a deployment, with its signature compiled."""

from dataclasses import dataclass
from pathlib import Path

from data_plane.scoring.signature import CompiledSignature, InvalidSignature, compile_signature
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle

_ROW_BY_ROW = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "onnx"})


class UnusableBundle(Exception):
    """The bundle cannot be read, or its signature cannot be enforced; the text says why."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedBundle:
    bundle: Bundle
    signature: CompiledSignature


def load_bundle(folder: Path) -> LoadedBundle:
    """Raises UnusableBundle."""
    try:
        bundle = Bundle.from_json((folder / BUNDLE_FILE).read_bytes())
        return LoadedBundle(bundle, compile_signature(bundle.signature, type_hints=bundle.type_hints))
    except InvalidSignature as error:
        raise UnusableBundle(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableBundle(f"its bundle cannot be read: {error!r}") from None


def answers_row_by_row(bundle: Bundle, signature: CompiledSignature) -> bool:
    """Return whether the result of a row is known not to depend on the other rows of a call.

    Known are the libraries that score row by row, if MLflow's own loader loads the model.
    """
    is_librarys_own = bundle.loader_module == f"mlflow.{bundle.flavor}"
    return bundle.flavor in _ROW_BY_ROW and is_librarys_own and bool(signature.inputs) and not signature.is_raw
