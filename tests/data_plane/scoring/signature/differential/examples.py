"""An example request for each difference from MLflow in docs/signature.md."""

from typing import Any

from tests.data_plane.scoring.signature.differential.cases import Case


def case(kind: Any, *values: Any, envelope: str = "dataframe_records", required: bool = True) -> Case:
    entry = {"type": kind} if isinstance(kind, str) else kind
    table = {"a": list(values)}
    records = [{"a": value} for value in values]
    body = table if envelope == "inputs" else records[0] if envelope == "unwrapped" else records
    return Case([{**entry, "required": required, "name": "a"}], table, len(values), envelope, body)


def array(items: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": items}}


BY_NAME = {
    "null where a value is required": case("string", None),
    "an empty object without its required properties": case(
        {"type": "object", "properties": {"p": {"type": "long", "required": True}}}, {}, required=False
    ),
    "the truth of any value": case("boolean", "no"),
    "any value as a string": case("string", 5, "x"),
    "text that is no base64": case("binary", "?"),
    "a boolean as a number": case("long", True, 1),
    "an object as a column": case("double", {"k": 1}, envelope="unwrapped"),
    "a number as a datetime": case("datetime", 5),
    "a datetime that is not ISO 8601": case("datetime", "31 May 2024"),
    "a fraction cut off": case("long", 63.5),
    "an integer that wraps around": case("integer", 2**31),
    "an integer rounded": case("double", 2**53 + 1),
    "a number that overflows": case("float", 1e39),
    "a number that JSON does not spell so": case("double", "1_0"),
    "single values beside a list are repeated": Case(
        [{"type": "long", "required": True, "name": "a"}],
        {"a": [1], "extra": [[1, 2]]},
        1,
        "unwrapped",
        {"a": 1, "extra": [1, 2]},
    ),
    "a missing boolean is false": case("boolean", None, True, required=False),
    "an integer beyond 64 bits stays one of Python": case("double", 2**64, envelope="unwrapped"),
    "base64 is decoded on some ways only": case("binary", "eA==", envelope="inputs"),
    "moments in arrays are numbers": case(array("datetime"), ["2024-05-31"], envelope="unwrapped"),
    "instances and inputs make arrays of nested values": case("any", 1, "x", envelope="instances"),
    "a zero character at the end is lost": case(array("string"), ["x\0"]),
    "null is the text None": case("string", None, "x", envelope="inputs", required=False),
    "optional columns come last": Case(
        [{"type": "long", "required": False, "name": "a"}, {"type": "long", "required": True, "name": "b"}],
        {"a": [1], "b": [2]},
        1,
        "dataframe_records",
        [{"a": 1, "b": 2}],
    ),
}

# Values of the declared type that MLflow refuses.
REFUSED_BY_MLFLOW = {
    "a whole number with a point, in text": case("long", "63.0"),
    "a datetime with a zone": case("datetime", "2024-05-31T12:30:00+02:00"),
    "null in an optional number": case("long", None, 1, required=False),
    "whole numbers in an Array(double)": case(array("double"), [2, 3]),
    "rows of arrays as instances": case(array("double"), [1.5], [2.5], envelope="instances"),
    "numbers beyond 32 bits in a double, unwrapped": case("double", 2**40, envelope="unwrapped"),
}
