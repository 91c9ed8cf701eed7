"""Compare the enforcement of a generated request by the platform, by the reference and by versions of MLflow."""

from collections.abc import Sequence
from typing import Any

from data_plane.scoring.payload.values import BlockPayload, FramePayload
from data_plane.scoring.signature import Enforced, SignatureViolations, compile_signature
from modelyard.core.domain.mlmodel import RawSignature
from tests.data_plane.scoring.signature.differential import differences, reference
from tests.data_plane.scoring.signature.differential.cases import Case
from tests.data_plane.scoring.signature.differential.mlflows import Oracle
from tests.data_plane.scoring.signature.signatures import values


def explained(case: Case, oracles: Sequence[Oracle]) -> set[str]:
    """Return the names of the differences shown by the request. Raises AssertionError for an unnamed difference."""
    enforced, places = enforce(case)
    for oracle in oracles:
        oracle.ask(case, enforced)
    answers = [(oracle.version, oracle.answer()) for oracle in oracles]
    check_rule(case, enforced, places)
    found: set[str | None] = set()
    for version, answer in answers:
        found |= _differences(case, version, answer, enforced, places)
        assert None not in found, f"MLflow {version}, unexplained: {case}\n{answer}\nrefused here: {sorted(places)}"
    return {name for name in found if name}


def explained_as_a_whole(case: Case, oracles: Sequence[Oracle], values_by_type: dict[str, list[Any]]) -> None:
    """Check tensors and params: accepted values are equal, and values accepted by MLflow alone have a named reason."""
    enforced, _ = enforce(case)
    for oracle in oracles:
        oracle.ask(case, enforced)
    # Read all answers before the first assertion, so that a failure leaves no answer for the next request.
    answers = [(oracle.version, oracle.answer()) for oracle in oracles]
    for version, answer in answers:
        theirs, ours = answer["mlflow"], answer["ours"]
        if "held" not in theirs or _is_lossy_in_numpy(values_by_type):
            continue
        if enforced is None:
            reasons = set().union(*(differences.of_values(*values) for values in values_by_type.items()))
            assert reasons, f"MLflow {version} accepts it: {case}"
            continue
        assert theirs["held"] == ours["held"], f"MLflow {version}: {case}\n{theirs}\n{ours}"
        assert case.params is None or theirs["params"] == ours["params"], f"MLflow {version}: {case}\n{theirs}\n{ours}"


def _is_lossy_in_numpy(values_by_type: dict[str, list[Any]]) -> bool:
    """Return whether numpy changes a text: numpy drops a final zero character and treats "false" as true."""
    texts = [text for text in values_by_type.get("string", []) if isinstance(text, str)]
    return any(text.endswith("\0") for text in texts) or str in set(map(type, values_by_type.get("boolean", [])))


def enforce(case: Case) -> tuple[Enforced | None, set[tuple[str, int]]]:
    """Return the platform's payload, or the refused columns and rows."""
    signature = compile_signature(RawSignature(case.inputs, None, case.params), type_hints=False)
    try:
        return signature.enforce(case.body, case.given_params), set()
    except SignatureViolations as refused:
        return None, {(_column_of(case, found.column or ""), found.row or 0) for found in refused.violations}


def _column_of(case: Case, path: str) -> str:
    """Return the column name without the path inside a nested value."""
    names = [str(name) for name, _, _ in case.columns()] if case.table else []
    return next((name for name in names if path == name or path.startswith((name + ".", name + "["))), path)


def check_rule(case: Case, enforced: Enforced | None, places: set[tuple[str, int]]) -> None:
    expected: list[list[Any]] = []
    refused = set()
    for name, entry, column in case.columns():
        expected.append([])
        for row, value in enumerate(column):
            try:
                expected[-1].append(reference.held(entry, value, is_required=entry["required"]))
            except reference.Refused:
                refused.add((str(name), row))
    assert places == refused, f"refused {sorted(places)}, and not {sorted(refused)}: {case}"
    if enforced is not None:
        assert isinstance(enforced.payload, FramePayload | BlockPayload)
        held = [_plain(column.type, values(column)) for column in enforced.payload.columns]
        assert reference.same(held, expected), f"held {held}, and not {expected}: {case}"


def _plain(logical_type: str, column: list[Any]) -> list[Any]:
    if logical_type != "datetime":
        return column
    return [None if timestamp is None else int(timestamp.astype("int64")) for timestamp in column]


def _differences(
    case: Case, version: str, answer: dict[str, Any], enforced: Enforced | None, places: set[tuple[str, int]]
) -> set[str | None]:
    theirs = answer["mlflow"].get("held")
    if theirs is None:
        # MLflow does not know the type, or refuses. The reference has checked the values accepted here.
        return set()
    if enforced is None:
        return differences.of_refusal(case, places)
    return _of_frames(case, version, theirs, answer["ours"]["held"])


def _of_frames(case: Case, version: str, theirs: dict[str, Any], ours: dict[str, Any]) -> set[str | None]:
    found: set[str | None] = set()
    by_name = {name: rest for name, *rest in theirs["frame"]}
    if [name for name, *_ in theirs["frame"]] != [name for name, *_ in ours["frame"]]:
        found.add(differences.of_order(case, version))
    for (_, entry, column), (name, *rest) in zip(case.columns(), ours["frame"], strict=True):
        if by_name.get(name) != rest:
            found.add(differences.of_column(case, version, entry, column))
    return found
