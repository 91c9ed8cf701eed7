"""`compile_signature` once per deployment, `enforce` on every request."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from data_plane.guests.codec import Payload
from data_plane.signature.columns import ColumnInputs
from data_plane.signature.params import Params
from data_plane.signature.schema import ColumnSpec, TensorSpec, read_inputs, read_params
from data_plane.signature.tensors import NamedTensorInputs, TensorInput
from data_plane.signature.unsigned import RawInputs, UnsignedInputs
from data_plane.signature.violations import Findings
from modelyard.core.domain.mlmodel import RawSignature


class _Inputs(Protocol):
    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        """The payload, or None when `findings` says why there is none."""


class Enforced(NamedTuple):
    payload: Payload
    """What the guest worker is given."""
    params: dict[str, Any] | None
    """None for a model that declares none."""
    surplus: tuple[str, ...] = ()
    """Columns of the body that the signature does not declare, and that were left out."""


@dataclass(frozen=True, slots=True)
class CompiledSignature:
    _inputs: _Inputs
    _params: Params

    def enforce(self, input_data: Any, params: Any) -> Enforced:
        """Raises SignatureViolations with everything that is wrong."""
        findings = Findings()
        payload = self._inputs.payload(input_data, findings)
        held_params = self._params.enforce(params, findings)
        findings.raise_if_any()
        assert payload is not None, "a payload is missing only where a violation says why"
        return Enforced(payload, held_params)


def compile_signature(signature: RawSignature | None, *, type_hints: bool) -> CompiledSignature:
    """Raises InvalidSignature for one that cannot be enforced."""
    inputs = signature.inputs if signature else None
    params = signature.params if signature else None
    specs = read_params(params) if params else ()
    return CompiledSignature(RawInputs() if type_hints else _compile_inputs(inputs), Params(specs))


def _compile_inputs(inputs: str | None) -> _Inputs:
    specs = read_inputs(inputs) if inputs else ()
    tensors = [spec for spec in specs if isinstance(spec, TensorSpec)]
    columns = [spec for spec in specs if isinstance(spec, ColumnSpec)]
    if tensors:
        return TensorInput(tensors[0]) if tensors[0].name is None else NamedTensorInputs(tensors)
    return ColumnInputs(columns) if columns else UnsignedInputs()
