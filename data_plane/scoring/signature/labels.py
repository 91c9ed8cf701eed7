"""Names of columns or tensors in a body, for a signature without names."""

from collections.abc import Iterable
from typing import Any

from data_plane.scoring.signature.texts import is_unicode
from data_plane.scoring.signature.violations import ViolationCollector

_LARGEST = 2**53


def are_labels(names: Iterable[Any], collector: ViolationCollector) -> bool:
    """Whether the names are valid for columns of a frame. If not, `collector` gets the violation."""
    if all(map(_is_label, names)):
        return True
    collector.add(None, None, "names that are text or whole numbers", "something else")
    return False


def _is_label(name: Any) -> bool:
    if type(name) is int:
        return -_LARGEST <= name <= _LARGEST
    return type(name) is str and is_unicode(name)
