"""Refusals of tables say which names came, and the probable cause, online and in batch jobs."""

from typing import Any

import pytest

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.spans import Span
from data_plane.batch.mini_batch_scorer import _sentence
from data_plane.scoring.errors import InvalidRequest
from data_plane.scoring.signature import CompiledSignature, SignatureViolations
from data_plane.scoring.tables.csv_body import read_csv
from tests.data_plane.batch.input_files import InMemory
from tests.data_plane.scoring.signature.signatures import columns, tensor
from tests.data_plane.scoring.signature.signatures import compiled as compiled_signature

TWO = columns(a="double", b="long")
MISSING = "missing required columns 'a' (double), 'b' (long); the input has "
HEADER = "; the first line looks like values: write a line with the names of the columns before it"


def separator(character: str) -> str:
    return f"; the separator looks like {character!r}: write the table with commas"


CSV: dict[str, tuple[bytes, str]] = {
    "other case": (b"A,B\n1.0,1\n", MISSING + "'A', 'B'"),
    "blanks around the names": (b" a , b\n1.0,1\n", MISSING + "' a ', ' b'"),
    "quotes within the names": (b'"""a""",b\n1.0,1\n', "missing required column 'a' (double); the input has '\"a\"'"),
    "one column of two": (b"a,z\n1,2\n", "missing required column 'b' (long); the input has 'z'"),
    "no header": (b"1.0,1\n2.0,2\n", MISSING + "'1.0', '1'" + HEADER),
    "no header, numbers and texts": (b"rome,1\nlima,2\n", MISSING + "'rome', '1'" + HEADER),
    "semicolons": (b"a;b\n1.0;1\n", MISSING + "'a;b'" + separator(";")),
    "tabulators": (b"a\tb\n1.0\t1\n", MISSING + r"'a\tb'" + separator("\t")),
    "bars": (b"a|b\n1.0|1\n", MISSING + "'a|b'" + separator("|")),
    "control characters and a long name": (b"\x1b[31m" + b"x" * 5000 + b",b\n1,2\n", r"'\x1b[31m" + "x" * 35 + "…'"),
    "many other names": (
        ",".join(f"column {place}" for place in range(9)).encode() + b"\n" + b",".join([b"1"] * 9) + b"\n",
        "'column 0', 'column 1', 'column 2', 'column 3', 'column 4' and 4 more",
    ),
}


def online(body: bytes, signature: CompiledSignature) -> str:
    with pytest.raises(InvalidRequest) as refused:
        signature.enforce_table(read_csv(body, signature), None)
    if isinstance(refused.value, SignatureViolations):
        assert refused.value.sentences[0] in refused.value.message
        return refused.value.listing
    return refused.value.message


def in_errors_csv(body: bytes, signature: CompiledSignature) -> str:
    with pytest.raises((SignatureViolations, UnreadableFile)) as refused:
        list(read_chunks(InMemory(body), Span("a.csv", "a.csv"), signature))
    return _sentence(refused.value) if isinstance(refused.value, SignatureViolations) else str(refused.value)


@pytest.mark.parametrize("where", [online, in_errors_csv])
class TestCsv:
    @pytest.mark.parametrize("name", CSV)
    def test_refusal_names_the_missing_columns_and_what_came(self, where: Any, name: str) -> None:
        body, expected = CSV[name]
        sentence = where(body, TWO)
        assert expected in sentence
        assert sentence.isprintable()
        assert len(sentence) < 500

    def test_decimal_commas_between_semicolons_are_no_riddle(self, where: Any) -> None:
        assert where(b"a;b\n1,5;1\n2,5;2\n", TWO).endswith("not 1" + separator(";"))

    def test_many_missing_columns_are_counted(self, where: Any) -> None:
        wide = columns(**{f"c{place}": "double" for place in range(300)})
        sentence = where(b"x,y\n1,2\n", wide)
        assert "'c0' (double), 'c1' (double), 'c2' (double), 'c3' (double), 'c4' (double) and 295 more" in sentence
        assert len(sentence) < 500

    def test_wrong_values_are_named_beside_missing_columns(self, where: Any) -> None:
        sentence = where(b"a,B\nx,1\n", TWO)
        assert sentence == (
            "missing required column 'b' (long); the input has 'B'; "
            "column 'a', row 0: expected double, got the text \"x\""
        )

    def test_a_declared_column_that_is_there_twice_is_named(self, where: Any) -> None:
        assert where(b"a,b,a\n1,1,2\n", TWO) == "the CSV has the column 'a' more than once"


class TestJson:
    def test_names_that_look_like_values_are_no_first_line_in_json(self) -> None:
        with pytest.raises(SignatureViolations) as refused:
            TWO.enforce([{"1": 5, "2": 6}], None)
        assert refused.value.listing == MISSING + "'1', '2'"
        assert [detail["target"] for detail in refused.value.details] == ["a", "b"]

    def test_missing_tensors_are_listed_as_tensors(self) -> None:
        named = compiled_signature([tensor("float32", -1, name="x"), tensor("float32", -1, name="y")])
        with pytest.raises(SignatureViolations) as refused:
            named.enforce({"X": [1], "Y": [2]}, None)
        assert "missing required tensors 'x' (float32" in refused.value.listing
        assert refused.value.listing.endswith("the input has 'X', 'Y'")
