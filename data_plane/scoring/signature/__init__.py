"""A model's signature, compiled once and enforced on every request before the model is touched.

The rule: a value is accepted when the declared type holds it, and refused otherwise; nothing is converted with loss.
The signature also decides how a body is read: columns make a frame, tensors make arrays, and without a signature the
body's own shape decides.

`schema.py` reads what MLflow wrote. One rule per type stands in `numbers.py`, `texts.py` and `nested.py`. `layouts.py`
finds the declared columns in a JSON body and `table.py` says what other tables look like; `typed.py` holds their values
to the same rules. `columns.py`, `tensors.py`, `unsigned.py`, `raw.py` and `params.py` put payloads together.
`docs/signature.md` has the rule of each type and where it differs from MLflow's.
"""

from data_plane.scoring.signature.compiled import CompiledSignature, Enforced, compile_signature
from data_plane.scoring.signature.json_values import parse_json
from data_plane.scoring.signature.large_json import parse_large
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
