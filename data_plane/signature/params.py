"""The `params` of a request: declared ones are filled in and checked, others are left out, as in MLflow."""

from collections.abc import Sequence
from typing import Any

from data_plane.signature.numbers import DOUBLE, FLOAT
from data_plane.signature.rule import Rule, Unheld, add_unheld
from data_plane.signature.schema import ParamSpec
from data_plane.signature.texts import DATETIME
from data_plane.signature.violations import Findings, describe


class Params:
    def __init__(self, specs: Sequence[ParamSpec]) -> None:
        self._specs = specs
        self._defaults = {spec.name: spec.default for spec in specs}

    def enforce(self, params: Any, findings: Findings) -> dict[str, Any] | None:
        """What predict is given; None for a model that declares no params."""
        if params is not None and not isinstance(params, dict):
            findings.add("params", None, "an object of params", describe(params))
            return None
        if not self._specs:
            return None
        if not params:
            return self._defaults
        return {spec.name: _held(spec, params, findings) for spec in self._specs}


def _held(spec: ParamSpec, params: dict[str, Any], findings: Findings) -> Any:
    value = params.get(spec.name, spec.default)
    # MLflow passes an explicit null on as None.
    if value is None or spec.name not in params:
        return value
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
        held = rule.one(value)
    except Unheld as unheld:
        add_unheld(rule, unheld, value, name, None, findings)
        return None
    # Params are Python values: a float is not cut to 32 bits, and a moment travels as its text.
    if rule is FLOAT:
        return DOUBLE.one(value)
    return value if rule is DATETIME else held
