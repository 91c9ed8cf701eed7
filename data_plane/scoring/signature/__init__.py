"""A model's signature, compiled once per deployment and enforced on every request before the model is called.

The rule: a value is accepted if the declared type holds the value, and refused otherwise; no conversion is lossy. (A
float type holds the nearest value of a fraction.) The signature also decides the payload: columns make a frame, tensors
make arrays. Without a signature the shape of the body decides.

`schema.py` reads MLflow's signatures. `numbers.py`, `texts.py` and `nested.py` have one rule per type. `layouts.py`
finds the declared columns in a JSON body. `table.py` defines tables from other formats; `typed.py` applies the same
rules to such tables. `columns.py`, `tensors.py`, `unsigned.py`, `raw.py` and `params.py` build the payloads.
`docs/signature.md` lists the rule of each type and the differences from MLflow.
"""

from data_plane.scoring.payload.large_json import parse_large
from data_plane.scoring.signature.compiled import CompiledSignature, Enforced, compile_signature
from data_plane.scoring.signature.json_values import parse_json
from data_plane.scoring.signature.schema import ColumnSpec, InvalidSignature, ParamSpec, TensorSpec
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.violations import SignatureViolations, Violation

__all__ = [
    "ColumnSpec",
    "CompiledSignature",
    "Enforced",
    "InvalidSignature",
    "ParamSpec",
    "SignatureViolations",
    "Table",
    "TensorSpec",
    "TypedColumn",
    "Violation",
    "compile_signature",
    "parse_json",
    "parse_large",
]
