"""A signature's inputs and outputs as tensors of the protocol's metadata, named and described as in MLServer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from data_plane.scoring.codecs.open_inference.datatypes import datatype_name
from data_plane.scoring.signature import InvalidSignature
from data_plane.scoring.signature.schema import ColumnSpec, InputSpecs, TensorSpec, read_inputs
from data_plane.scoring.types import TYPES

SOLE_OUTPUT = "predict"
"""The only output of a signature without a name for it."""


class DeclaredTensor(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]
    content_type: str

    def to_json(self) -> dict[str, Any]:
        parameters = {"content_type": self.content_type}
        return {"name": self.name, "datatype": self.datatype, "shape": self.shape, "parameters": parameters}


def declared_inputs(specs: InputSpecs) -> tuple[DeclaredTensor, ...]:
    return _all_declared(specs, "input")


@lru_cache(maxsize=1024)
def declared_outputs(text: str | None) -> tuple[DeclaredTensor, ...]:
    """Read the signature's outputs. Outputs are not enforced, so a broken text declares no tensor."""
    try:
        specs: InputSpecs = read_inputs(text) if text else ()
    except InvalidSignature:
        return ()
    if len(specs) == 1:
        return (_declared(specs[0], SOLE_OUTPUT),)
    return _all_declared(specs, "output")


def _all_declared(specs: Sequence[ColumnSpec | TensorSpec], kind: str) -> tuple[DeclaredTensor, ...]:
    return tuple(_declared(spec, f"{kind}-{position}") for position, spec in enumerate(specs))


def _declared(spec: ColumnSpec | TensorSpec, default_name: str) -> DeclaredTensor:
    name = default_name if spec.name is None else str(spec.name)
    if isinstance(spec, TensorSpec):
        return DeclaredTensor(name, datatype_name(spec.dtype), spec.shape, "np")
    forms = TYPES[spec.rule.logical_type]
    return DeclaredTensor(name, forms.datatype, (-1, 1), forms.content_type)
