"""The bodies of requests and answers as named schemas. References among them are bare names."""

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from data_plane.gateway.swagger.schemas import (
    ANYTHING,
    Schema,
    any_of,
    list_of,
    object_of,
    of_column,
    of_params,
    of_record,
    of_tensor,
)
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.sample_request import sample_request
from data_plane.scoring.signature import ColumnSpec, CompiledSignature, InvalidSignature, TensorSpec
from data_plane.scoring.signature.schema import InputSpecs, read_inputs
from modelyard.core.domain.bundle import Bundle

SERVICE_INPUT, SERVICE_OUTPUT, ERROR = "ServiceInput", "ServiceOutput", "ErrorResponse"
MLFLOW_INPUT, MLFLOW_OUTPUT, MLFLOW_ERROR = "MlflowInput", "MlflowOutput", "MlflowError"
_FRAME, _RECORD, _OUTPUT_RECORD, _PARAMS = "Frame", "Record", "OutputRecord", "Params"

_TEXT: Schema = {"type": "string"}
_ROWS = list_of(list_of(ANYTHING))


def schemas_of(loaded: LoadedBundle) -> dict[str, Schema]:
    signature, outputs = loaded.signature, _output_specs(loaded.bundle)
    sample = sample_request(loaded)
    example = {} if sample is None else {"example": sample}
    return {
        SERVICE_INPUT: {**_with_params({"input_data": _input(signature)}, signature, ["input_data"]), **example},
        SERVICE_OUTPUT: _output(outputs),
        ERROR: _error(),
        MLFLOW_INPUT: _with_params(_mlflow_inputs(signature), signature),
        MLFLOW_OUTPUT: object_of({"predictions": _ref(SERVICE_OUTPUT)}, ["predictions"]),
        MLFLOW_ERROR: object_of({"error_code": _TEXT, "message": _TEXT}, ["error_code", "message"]),
        **_frames(signature),
        **({_PARAMS: of_params(signature.params)} if signature.params else {}),
        **({_OUTPUT_RECORD: of_record(outputs)} if _are_named_columns(outputs) else {}),
    }


def _ref(name: str) -> Schema:
    return {"$ref": name}


def _with_params(inputs: Mapping[str, Schema], signature: CompiledSignature, required: Sequence[str] = ()) -> Schema:
    params = {"params": _ref(_PARAMS)} if signature.params else {}
    return object_of({**inputs, **params}, required)


def _frames(signature: CompiledSignature) -> dict[str, Schema]:
    if signature.is_raw or not _are_named_columns(signature.inputs):
        return {}
    names = [str(column.name) for column in signature.inputs]
    properties = {
        "columns": {**list_of(_TEXT), "example": names},
        "index": list_of(ANYTHING),
        "data": _ROWS,
    }
    return {_FRAME: object_of(properties, ["columns", "data"]), _RECORD: of_record(signature.inputs)}


def _input(signature: CompiledSignature) -> Schema:
    specs = signature.inputs
    if signature.is_raw:
        return _of_type_hint(specs)
    if _are_named_columns(specs):
        columns = object_of({str(column.name): list_of(of_column(column)) for column in specs})
        return any_of(_ref(_FRAME), list_of(_ref(_RECORD)), _ROWS, columns, _ref(_RECORD))
    if _are_columns(specs):
        return list_of(of_column(specs[0])) if len(specs) == 1 else _ROWS
    return _tensors(specs)


def _of_type_hint(specs: InputSpecs) -> Schema:
    """A list of the hinted type, for which MLflow writes a signature with a single column."""
    return list_of(of_column(specs[0])) if _are_columns(specs) and len(specs) == 1 else ANYTHING


def _mlflow_inputs(signature: CompiledSignature) -> dict[str, Schema]:
    if signature.is_raw:
        return {"inputs": _of_type_hint(signature.inputs)}
    unwrapped = _input(signature)
    if not _are_named_columns(signature.inputs):
        return {"inputs": unwrapped, "instances": list_of(ANYTHING)}
    records = list_of(_ref(_RECORD))
    return {"dataframe_split": _ref(_FRAME), "dataframe_records": records, "inputs": unwrapped, "instances": records}


def _output(specs: InputSpecs) -> Schema:
    if _are_named_columns(specs):
        return list_of(_ref(_OUTPUT_RECORD))
    if _are_columns(specs):
        return list_of(of_column(specs[0])) if len(specs) == 1 else ANYTHING
    return _tensors(specs)


def _tensors(specs: InputSpecs) -> Schema:
    tensors = {spec.name: of_tensor(spec) for spec in specs if isinstance(spec, TensorSpec)}
    if None in tensors:
        return tensors[None]
    named = {name: tensor for name, tensor in tensors.items() if name is not None}
    return object_of(named, [*named]) if named else ANYTHING


def _output_specs(bundle: Bundle) -> InputSpecs:
    """Outputs are not enforced, so a broken text declares no outputs."""
    text = bundle.signature.outputs if bundle.signature else None
    try:
        return read_inputs(text) if text else ()
    except InvalidSignature:
        return ()


def _are_columns(specs: InputSpecs) -> TypeGuard[tuple[ColumnSpec, ...]]:
    return bool(specs) and all(isinstance(spec, ColumnSpec) for spec in specs)


def _are_named_columns(specs: InputSpecs) -> TypeGuard[tuple[ColumnSpec, ...]]:
    return _are_columns(specs) and all(spec.name is not None for spec in specs)


def _error() -> Schema:
    detail = object_of({"code": _TEXT, "message": _TEXT, "target": _TEXT}, ["code", "message"])
    error = object_of({"code": _TEXT, "message": _TEXT, "details": list_of(detail)}, ["code", "message"])
    return object_of({"error": error, "message": _TEXT}, ["error", "message"])
