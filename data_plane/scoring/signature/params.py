"""The `params` of a request: declared ones are filled in and checked, others are left out, as in MLflow."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from data_plane.scoring.signature.numbers import DOUBLE, FLOAT
from data_plane.scoring.signature.rule import Rule, Unheld, add_unheld
from data_plane.scoring.signature.schema import ParamSpec
from data_plane.scoring.signature.texts import DATETIME
from data_plane.scoring.signature.violations import Findings, describe

_EPOCH = datetime(1970, 1, 1)
_LENGTH_OF_A_DATE = len("2024-05-31")


class Params:
    def __init__(self, specs: Sequence[ParamSpec]) -> None:
        self._specs = specs
        self._defaults = {spec.name: _default(spec) for spec in specs}

    def enforce(self, params: Any, findings: Findings) -> dict[str, Any] | None:
        """What predict is given; None for a model that declares no params."""
        if params is not None and not isinstance(params, dict):
            findings.add("params", None, "an object of params", describe(params))
            return None
        if not self._specs:
            return None
        if not params:
            return self._defaults
        given = [spec for spec in self._specs if spec.name in params]
        return {**self._defaults, **{spec.name: _held(spec, params[spec.name], findings) for spec in given}}


def _default(spec: ParamSpec) -> Any:
    """As MLmodel has it; a moment stands there as text."""
    try:
        return _moments(spec.default) if spec.rule is DATETIME else spec.default
    except Unheld:
        return spec.default


def _moments(default: Any) -> Any:
    if default is None:
        return None
    return list(map(_moment, default)) if isinstance(default, list) else _moment(default)


def _held(spec: ParamSpec, value: Any, findings: Findings) -> Any:
    # MLflow passes an explicit null on as None.
    if value is None:
        return None
    name = f"params.{spec.name}"
    if not spec.is_list:
        return _one(spec.rule, value, name, findings)
    if not isinstance(value, list):
        findings.add(name, None, f"a list, each item {spec.rule.expected}", describe(value))
        return None
    return [_one(spec.rule, item, f"{name}[{position}]", findings) for position, item in enumerate(value)]


def _one(rule: Rule, value: Any, name: str, findings: Findings) -> Any:
    if value is None:
        return None
    try:
        held = _moment(value) if rule is DATETIME else rule.one(value)
    except Unheld as unheld:
        add_unheld(rule, unheld, value, name, None, findings)
        return None
    # Params are Python values: a float is not cut to 32 bits.
    return DOUBLE.one(value) if rule is FLOAT else held


def _moment(value: Any) -> date:
    """Python's datetime, in UTC without a zone, or a date where no time is given: as MLflow has it of numpy."""
    nanoseconds = DATETIME.one(value)
    if nanoseconds % 1000:
        raise Unheld
    if len(value) == _LENGTH_OF_A_DATE:
        return date.fromisoformat(value)
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
