"""A model's signature, compiled once and enforced on every request before the model is touched.

The rule: a value is accepted when the declared type holds it, and refused otherwise; nothing is converted with loss.
The signature also decides how a body is read: columns make a frame, tensors make arrays, and without a signature the
body's own shape decides.

`schema.py` reads what MLflow wrote, `numbers.py`, `texts.py` and `nested.py` hold one rule per type, `layouts.py`
finds the declared columns in a body, `columns.py`, `tensors.py`, `unsigned.py` and `params.py` put payloads together.
"""

from data_plane.signature.compiled import CompiledSignature, Enforced, compile_signature
from data_plane.signature.schema import InvalidSignature
from data_plane.signature.violations import SignatureViolations, Violation

__all__ = ["CompiledSignature", "Enforced", "InvalidSignature", "SignatureViolations", "Violation", "compile_signature"]
