"""A model's signature, compiled once and enforced on every request before a worker gets the request.

The rule: a value is accepted when the declared type holds it, and refused otherwise. No conversion loses anything. The
signature also decides how a body is read: columns make a frame, tensors make arrays, and without a signature the shape
of the body decides.

`schema.py` reads MLflow's schema. `numbers.py`, `texts.py` and `nested.py` have one rule per type. `layouts.py` finds
the declared columns in a JSON body, `table.py` describes other tables, and `typed.py` converts their values by the same
rules. `columns.py`, `tensors.py`, `unsigned.py`, `raw.py` and `params.py` make payloads. `docs/signature.md` has the
rule of each type and the differences from MLflow.
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
