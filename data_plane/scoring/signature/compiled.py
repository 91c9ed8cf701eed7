"""`compile_signature` once per deployment, then `enforce`, `enforce_table` or `enforce_tensors` on every request."""

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
from data_plane.scoring.signature.violations import Noun, ViolationCollector, sendable
from modelyard.core.domain.mlmodel import RawSignature


class _Inputs(Protocol):
    """Input to payload. None: the violations in `collector` are the reason."""

    def payload(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        """Convert a JSON value in any of the layouts in docs/signature.md."""

    def of_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        """Convert CSV, Parquet, or the columns of an Open Inference request."""

    def of_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        """Convert the tensors of an Open Inference request."""


class Enforced(NamedTuple):
    payload: Payload
    params: dict[str, Any] | None
    """None for a model that declares none."""
    extra_columns: tuple[str, ...] = ()
    """Columns of the body that the signature does not declare. The payload is without them."""


@dataclass(frozen=True, slots=True)
class CompiledSignature:
    """All three methods follow the same rules, and raise SignatureViolations with every violation."""

    inputs: InputSpecs
    """Empty without a signature."""
    params: tuple[ParamSpec, ...]
    is_raw: bool
    """Whether the model declares its input by a type hint, and gets the value as the caller sent it."""
    _inputs: _Inputs
    _params: Params
    _noun: Noun

    def enforce(self, input_data: Any, params: Any) -> Enforced:
        collector = ViolationCollector(self._noun)
        return self._enforced(self._inputs.payload(input_data, collector), params, collector)

    def enforce_table(self, table: Table, params: Any) -> Enforced:
        collector = ViolationCollector(self._noun)
        return self._enforced(self._inputs.of_table(table, collector), params, collector)

    def enforce_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], params: Any) -> Enforced:
        """For a model of one unnamed tensor, the name of the only tensor does not matter."""
        collector = ViolationCollector(self._noun)
        return self._enforced(self._inputs.of_tensors(arrays, collector), params, collector)

    def _enforced(self, payload: Payload | None, params: Any, collector: ViolationCollector) -> Enforced:
        converted_params = self._params.enforce(params, collector)
        collector.raise_if_any()
        assert payload is not None, "a payload is missing only where a violation says why"
        return Enforced(payload, converted_params, tuple(map(sendable, collector.extra_columns)))


def compile_signature(signature: RawSignature | None, *, type_hints: bool) -> CompiledSignature:
    """Raises InvalidSignature for one that cannot be enforced."""
    inputs = read_inputs(signature.inputs) if signature and signature.inputs else ()
    params = read_params(signature.params) if signature and signature.params else ()
    enforcing = RawInputs() if type_hints else _enforcing(inputs)
    noun: Noun = "tensor" if inputs and isinstance(inputs[0], TensorSpec) else "column"
    return CompiledSignature(inputs, params, type_hints, enforcing, Params(params), noun)


def _enforcing(inputs: InputSpecs) -> _Inputs:
    tensors = [spec for spec in inputs if isinstance(spec, TensorSpec)]
    columns = [spec for spec in inputs if isinstance(spec, ColumnSpec)]
    if tensors:
        return TensorInput(tensors[0]) if tensors[0].name is None else NamedTensorInputs(tensors)
    return ColumnInputs(columns) if columns else UnsignedInputs()
