"""Enforce the `params` of a request: check declared params, add defaults, drop undeclared params, as MLflow does."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from data_plane.scoring.signature.numbers import DOUBLE, FLOAT
from data_plane.scoring.signature.rule import Rule, TypeMismatch, add_mismatch
from data_plane.scoring.signature.schema import ParamSpec
from data_plane.scoring.signature.texts import DATETIME
from data_plane.scoring.signature.violations import ViolationCollector, describe

_EPOCH = datetime(1970, 1, 1)
_LENGTH_OF_A_DATE = len("2024-05-31")


class Params:
    def __init__(self, specs: Sequence[ParamSpec]) -> None:
        self._specs = specs
        self._defaults = {spec.name: _default(spec) for spec in specs}

    def enforce(self, params: Any, collector: ViolationCollector) -> dict[str, Any] | None:
        """Return the params for predict. A model that declares no params gets None, or {} if the request has params."""
        if params is not None and not isinstance(params, dict):
            collector.add("params", None, "an object", describe(params), noun="param")
            return None
        if params and not params.keys() <= self._defaults.keys():
            collector.extra_params = tuple(name for name in params if name not in self._defaults)
        if not self._specs:
            return None if params is None else {}
        if not params:
            return self._defaults
        given = [spec for spec in self._specs if spec.name in params]
        return {**self._defaults, **{spec.name: _convert(spec, params[spec.name], collector) for spec in given}}


def _default(spec: ParamSpec) -> Any:
    """Return the default in the MLmodel file. A datetime is text there and is parsed."""
    try:
        return _timestamps(spec.default) if spec.rule is DATETIME else spec.default
    except TypeMismatch:
        return spec.default


def _timestamps(default: Any) -> Any:
    if default is None:
        return None
    return list(map(_timestamp, default)) if isinstance(default, list) else _timestamp(default)


def _convert(spec: ParamSpec, value: Any, collector: ViolationCollector) -> Any:
    # MLflow passes an explicit null on as None.
    if value is None:
        return None
    name = f"params.{spec.name}"
    if not spec.is_list:
        return _convert_item(spec.rule, value, name, collector)
    if not isinstance(value, list):
        collector.add(name, None, f"list, each item {spec.rule.expected}", describe(value), noun="param")
        return None
    return [_convert_item(spec.rule, item, f"{name}[{position}]", collector) for position, item in enumerate(value)]


def _convert_item(rule: Rule, value: Any, name: str, collector: ViolationCollector) -> Any:
    if value is None:
        return None
    try:
        converted = _timestamp(value) if rule is DATETIME else rule.convert_one(value)
    except TypeMismatch as mismatch:
        add_mismatch(rule, mismatch, value, name, None, collector, noun="param")
        return None
    # Params are Python values: a float is not cut to 32 bits.
    return DOUBLE.convert_one(value) if rule is FLOAT else converted


def _timestamp(value: Any) -> date:
    """Parse a datetime in UTC without time zone, or a date for text without a time: MLflow's types, through numpy."""
    nanoseconds = DATETIME.convert_one(value)
    if nanoseconds % 1000:
        raise TypeMismatch
    if len(value) == _LENGTH_OF_A_DATE:
        return date.fromisoformat(value)
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
