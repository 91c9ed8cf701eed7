"""Generate requests: a column signature, a table with fitting and unfitting values, and a body in a usual layout."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

_NUMBERS = st.sampled_from(
    [
        0,
        1,
        -1,
        7,
        63,
        63.0,
        63.5,
        -0.0,
        0.1,
        1e18,
        1e39,
        1e300,
        2**24 + 1,
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        2**53,
        2**53 + 1,
        -(2**53) - 1,
        2**63 - 1,
        2**63,
        -(2**63),
        2**64,
        2**64 + 1,
        10**25,
    ]
)
_TEXTS = st.sampled_from(
    [
        "",
        "63",
        "63.0",
        "63.5",
        "1e3",
        "-0",
        "NaN",
        "inf",
        " 63",
        "1_0",
        "true",
        "True",
        "FALSE",
        "yes",
        "abc",
        "Zürich",
        "AAH/",
        "AAH",
        "AAE",
        "AA",
        "AAH/\n",
        "AAH/\r\nAA==\n",
        "AA==",
        "2024-05-31",
        "2024-05-31T12:30:00",
        "2024-05-31T12:30:00.123456789",
        "2024-02-30",
        "2024-05-31T12:30:00Z",
        "2024-05-31 12:30:00+02:00",
        "1600-01-01",
        "9007199254740993",
        "1e400",
    ]
)
_ODD = st.sampled_from([None, True, False, [], {}, [1, 2], ["x"], {"a": 1}])
ANYTHING = st.one_of(_NUMBERS, _TEXTS, _ODD)

_FITTING: dict[str, Any] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": st.text(st.characters(codec="utf-8"), max_size=6),
    "binary": st.sampled_from(["", "AA==", "AAH/", "eA=="]),
    "datetime": st.datetimes().map(lambda value: value.replace(year=1700 + value.year % 500).isoformat()),
    "any": ANYTHING,
}
_SCALARS = sorted(set(_FITTING) - {"any"})


def _types() -> Any:
    scalars = st.sampled_from(_SCALARS).map(lambda name: {"type": name})
    nested = st.recursive(scalars, _nested_in, max_leaves=3)
    return st.one_of(scalars, scalars, scalars, nested, st.just({"type": "any"}))


def _nested_in(inner: Any) -> Any:
    member = st.builds(lambda entry, required: {**entry, "required": required}, inner, st.booleans())
    return st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda values: {"type": "map", "values": values}),
        st.dictionaries(st.sampled_from(["p", "q"]), member, min_size=1, max_size=2).map(
            lambda properties: {"type": "object", "properties": properties}
        ),
    )


def fitting(entry: dict[str, Any]) -> Any:
    match entry["type"]:
        case "array":
            return st.lists(fitting(entry["items"]), max_size=3)
        case "map":
            return st.dictionaries(st.sampled_from(["k", "l", ""]), fitting(entry["values"]), max_size=2)
        case "object":
            properties = {name: fitting(part) for name, part in entry["properties"].items()}
            needed = {name: part for name, part in properties.items() if entry["properties"][name]["required"]}
            optional = {name: part for name, part in properties.items() if name not in needed}
            return st.fixed_dictionaries(needed, optional=optional)
        case name:
            return _FITTING[name]


@dataclass(frozen=True)
class Case:
    entries: list[dict[str, Any]]
    """The signature's inputs."""
    table: dict[str, list[Any]]
    """The values of each column of the body, undeclared columns included."""
    rows: int
    envelope: str
    body: Any
    is_named: bool = True
    params: str | None = None
    given_params: Any = None

    def columns(self) -> list[tuple[str | int, dict[str, Any], list[Any]]]:
        """Return name, entry and values of each declared column of the body."""
        if not self.is_named:
            named = zip(self.table.items(), self.entries, strict=False)
            return [(place, entry, column) for place, ((_, column), entry) in enumerate(named)]
        return [
            (entry["name"], entry, self.table[entry["name"]]) for entry in self.entries if entry["name"] in self.table
        ]

    @property
    def inputs(self) -> str:
        return json.dumps(self.entries)


@st.composite
def cases(draw: Any) -> Case:
    is_named = draw(st.integers(0, 9)) > 0
    rows = draw(st.integers(1, 4))
    entries, table = [], {}
    for place in range(draw(st.integers(1, 3))):
        required = not is_named or draw(st.integers(0, 3)) > 0
        entry = {**draw(_types()), "required": required}
        name = draw(st.sampled_from(["a", "b c", "ä"])) + str(place)
        if required or draw(st.booleans()) or place == 0:
            table[name] = draw(_column(entry, rows))
        entries.append({**entry, "name": name} if is_named else entry)
    if is_named and draw(st.integers(0, 4)) == 0:
        table["extra"] = draw(st.lists(ANYTHING, min_size=rows, max_size=rows))
        table = {name: table[name] for name in draw(st.permutations(list(table)))}
    envelope, body = draw(_bodies(table, rows, entries, is_named))
    return Case(entries, table, rows, envelope, body, is_named)


def _column(entry: dict[str, Any], rows: int) -> Any:
    fits = fitting(entry)

    def listed(value: Any) -> Any:
        return st.lists(value, min_size=rows, max_size=rows)

    return st.one_of(listed(fits), listed(fits), listed(fits | st.none()), listed(fits | ANYTHING), listed(ANYTHING))


@st.composite
def _bodies(
    draw: Any, table: dict[str, list[Any]], rows: int, entries: list[dict[str, Any]], is_named: bool
) -> tuple[str, Any]:
    names = list(table)
    by_row = [list(row) for row in zip(*table.values(), strict=True)]
    records = [dict(zip(names, row, strict=True)) for row in by_row]
    split: dict[str, Any] = {"columns": names, "data": by_row}
    if draw(st.booleans()):
        split["index"] = list(range(rows))
    choices = [("dataframe_split", split), ("dataframe_records", records)]
    scalars = [entry["name"] for entry in entries if is_named and entry["type"] in _SCALARS and entry["name"] in table]
    if is_named:
        choices.append(("instances", records))
    if scalars:
        choices.append(("inputs", table))
    if rows == 1 and is_named and _is_one_row(records[0], scalars, entries):
        choices += [("unwrapped", records[0]), ("inputs", records[0])]
    if not is_named:
        choices.append(("dataframe_split", {"data": by_row}))
    if not is_named and [entry["type"] for entry in entries] != ["array"]:
        choices.append(("inputs", by_row))
    return draw(st.sampled_from(choices))  # type: ignore[no-any-return]


def _is_one_row(record: dict[str, Any], scalars: list[str], entries: list[dict[str, Any]]) -> bool:
    """Return whether MLflow reads a dict as a single row."""
    if scalars:
        return not any(isinstance(record[name], list) for name in scalars)
    return any(entry["type"] in ("array", "object") for entry in entries)
