"""Entry points: `compile_signature` once per deployment; `enforce`, `enforce_table`, `enforce_tensors` per request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from data_plane.scoring.payload.values import Payload
from data_plane.scoring.signature.columns import ColumnInputs
from data_plane.scoring.signature.params import Params
from data_plane.scoring.signature.raw import RawInputs
from data_plane.scoring.signature.schema import ColumnSpec, InputSpecs, ParamSpec, TensorSpec, read_inputs, read_params
from data_plane.scoring.signature.table import Table
from data_plane.scoring.signature.tensors import NamedTensorInputs, TensorInput
from data_plane.scoring.signature.unsigned import UnsignedInputs
from data_plane.scoring.signature.violations import Noun, ViolationCollector, encodable
from modelyard.core.domain.mlmodel import RawSignature


class _Inputs(Protocol):
    """Conversion of input to the payload. None: the reasons are in `collector`."""

    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        """Convert a JSON value, in any of the usual layouts."""

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        """Convert CSV, Parquet, or the columns of an Open Inference request."""

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        """Convert the tensors of an Open Inference request."""


class Enforced(NamedTuple):
    payload: Payload
    params: dict[str, Any] | None
    """None, or {} in a request with params: the model declares no params."""
    extra_columns: tuple[str, ...] = ()
    """Undeclared columns of the body, absent from the payload."""
    extra_params: tuple[str, ...] = ()
    """Undeclared params of the body, absent from `params`."""


@dataclass(frozen=True, slots=True)
class CompiledSignature:
    """The three `enforce` methods apply the same rules. Each raises SignatureViolations with every violation found."""

    inputs: InputSpecs
    """Empty without a signature."""
    params: tuple[ParamSpec, ...]
    is_raw: bool
    """Whether a type hint declares the model's input. The model then receives the JSON value without conversion."""
    _inputs: _Inputs
    _params: Params
    _noun: Noun

    def enforce(self, input_data: Any, params: Any) -> Enforced:
        collector = ViolationCollector(self._noun)
        return self._enforced(self._inputs.from_json(input_data, collector), params, collector)

    def enforce_table(self, table: Table, params: Any) -> Enforced:
        collector = ViolationCollector(self._noun)
        collector.has_header = table.is_text
        return self._enforced(self._inputs.from_table(table, collector), params, collector)

    def enforce_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], params: Any) -> Enforced:
        """A model of one unnamed tensor accepts a single tensor of any name."""
        collector = ViolationCollector(self._noun)
        return self._enforced(self._inputs.from_tensors(arrays, collector), params, collector)

    def _enforced(self, payload: Payload | None, params: Any, collector: ViolationCollector) -> Enforced:
        converted_params = self._params.enforce(params, collector)
        collector.raise_if_any()
        assert payload is not None, "a payload is missing only where a violation says why"
        extra_columns = tuple(map(encodable, collector.extra_columns))
        return Enforced(payload, converted_params, extra_columns, tuple(map(encodable, collector.extra_params)))


def compile_signature(signature: RawSignature | None, *, type_hints: bool) -> CompiledSignature:
    """Raises InvalidSignature for an unknown type or a malformed signature."""
    inputs = read_inputs(signature.inputs) if signature and signature.inputs else ()
    params = read_params(signature.params) if signature and signature.params else ()
    enforcing = RawInputs(inputs) if type_hints else _enforcing(inputs)
    noun: Noun = "tensor" if inputs and isinstance(inputs[0], TensorSpec) else "column"
    return CompiledSignature(inputs, params, type_hints, enforcing, Params(params), noun)


def _enforcing(inputs: InputSpecs) -> _Inputs:
    tensors = [spec for spec in inputs if isinstance(spec, TensorSpec)]
    columns = [spec for spec in inputs if isinstance(spec, ColumnSpec)]
    if tensors:
        return TensorInput(tensors[0]) if tensors[0].name is None else NamedTensorInputs(tensors)
    return ColumnInputs(columns) if columns else UnsignedInputs()
