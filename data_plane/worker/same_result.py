"""Compares two results of a model: type, dtype, shape, labels, and every bit that a caller gets."""

import sys
from typing import Any, Optional, Sequence

from .results import describe_result


def difference(expected: Any, actual: Any) -> Optional[str]:
    """Return the first difference in words, or None for equal results."""
    if type(expected) is not type(actual):
        return "a {} in place of a {}".format(_name(actual), _name(expected))
    if isinstance(expected, (list, tuple)):
        return _difference_of_items(expected, actual)
    if isinstance(expected, dict):
        return _difference_of_items(list(expected), list(actual)) or _difference_of_items(
            list(expected.values()), list(actual.values())
        )
    return _difference_of_labels(expected, actual) or _difference_of_values(expected, actual)


def _difference_of_items(expected: Any, actual: Any) -> Optional[str]:
    if len(expected) != len(actual):
        return "{} entries in place of {}".format(len(actual), len(expected))
    differences = (difference(one, other) for one, other in zip(expected, actual))
    return next((found for found in differences if found is not None), None)


def _difference_of_labels(expected: Any, actual: Any) -> Optional[str]:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(expected, pandas.DataFrame):
        return (
            _difference_of_index("index", expected.index, actual.index)
            or _difference_of_index("column names", expected.columns, actual.columns)
            or difference(list(map(str, expected.dtypes)), list(map(str, actual.dtypes)))
        )
    if pandas is not None and isinstance(expected, pandas.Series):
        found = _difference_of_index("index", expected.index, actual.index)
        return found or _difference_of_attributes(expected, actual, ("dtype", "name"))
    return _difference_of_attributes(expected, actual, ("dtype", "shape"))


def _difference_of_index(noun: str, expected: Any, actual: Any) -> Optional[str]:
    is_same = type(expected) is type(actual) and expected.equals(actual) and list(expected.names) == list(actual.names)
    return None if is_same else "other {}".format(noun)


def _difference_of_attributes(expected: Any, actual: Any, attributes: Sequence[str]) -> Optional[str]:
    for attribute in attributes:
        one, other = getattr(expected, attribute, None), getattr(actual, attribute, None)
        if type(one) is not type(other) or one != other:
            return "the {} {} in place of {}".format(attribute, other, one)
    return None


def _difference_of_values(expected: Any, actual: Any) -> Optional[str]:
    try:
        (one, one_body), (other, other_body) = describe_result(expected), describe_result(actual)
    except Exception as error:  # noqa: BLE001 - a result that cannot be sent cannot be compared
        return "a result that cannot be compared: {!r}".format(error)
    if one != other or b"".join(one_body.buffers) != b"".join(other_body.buffers):
        return "other values"
    return None


def _name(value: Any) -> str:
    return type(value).__name__
