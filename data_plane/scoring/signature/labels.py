"""Check the names of columns or tensors in a body, for signatures without names."""

from collections.abc import Iterable
from typing import Any

from data_plane.scoring.signature.texts import is_unicode
from data_plane.scoring.signature.violations import ViolationCollector

_MAX_INTEGER = 2**53


def check_labels(names: Iterable[Any], collector: ViolationCollector) -> bool:
    """Return whether all names are valid column names. If not, add a violation."""
    if all(map(_is_label, names)):
        return True
    collector.add(None, None, "names that are text or whole numbers", "something else")
    return False


def _is_label(name: Any) -> bool:
    if type(name) is int:
        return -_MAX_INTEGER <= name <= _MAX_INTEGER
    return type(name) is str and is_unicode(name)
