import gzip
import io
import json
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input import parquet_reader, small_csv_blocks
from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.chunks import Chunk
from data_plane.batch.input.spans import Span
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import ArrayPayload
from data_plane.scoring.signature import CompiledSignature, Enforced, SignatureViolations, compile_signature
from data_plane.scoring.tables.csv_body import read_csv
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.batch import InputFile
from modelyard.core.domain.mlmodel import RawSignature
from tests.data_plane.batch.input_files import (
    UNSIGNED,
    CrumblingStore,
    InMemory,
    blocks_of,
    chunks_of,
    columns,
    labels_of,
    planned,
    put,
    tensor,
    values_of,
)

NUMBERS = columns(a="double", b="long")
# Without a time stamp: the bytes become part of test names.
zipped = partial(gzip.compress, mtime=0)
ROWS = b"a,b\n0.5,1\n-2e3,2\n"
VALUES = {"a": [0.5, -2000.0], "b": [1, 2]}


@pytest.fixture
def store(tmp_path: Path) -> CrumblingStore:
    return CrumblingStore(tmp_path)


def read_file(
    store: FolderStore, path: str, content: bytes, signature: CompiledSignature = NUMBERS, *, is_whole: bool = False
) -> list[Chunk]:
    file = put(store, path, content)
    return list(read_chunks(store, Span(file.path, file.key, is_whole=is_whole), signature))


class TestFormats:
    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("a.csv", ROWS),
            ("A.CSV", b"\xef\xbb\xbf" + ROWS),
            ("a.csv.gz", zipped(ROWS)),
            ("a.csv.gz", zipped(ROWS[:9]) + zipped(ROWS[9:])),
            ("a.csv.zst", pyarrow.compress(ROWS, "zstd", asbytes=True)),
            ("a.jsonl", b'{"b": 1, "a": 0.5}\n{"a": -2e3, "b": 2}'),
            ("a.ndjson.gz", zipped(b'{"a": 0.5, "b": 1}\r\n\r\n{"a": -2000, "b": 2.0, "c": []}\r\n')),
            ("a.csv", b'surplus,b,a\nx,"1",0.5\n"y\nz",2,"-2e3"\n'),
        ],
    )
    def test_every_text_format_gives_the_same_rows(self, store: CrumblingStore, path: str, content: bytes) -> None:
        assert values_of(read_file(store, path, content)) == VALUES
        assert values_of(read_file(store, path, content, is_whole=True)) == VALUES

    @pytest.mark.parametrize("is_whole", [True, False])
    def test_parquet_gives_the_same_rows_and_pandas_index_apart(self, store: CrumblingStore, is_whole: bool) -> None:
        sink = io.BytesIO()
        pd.DataFrame({"b": [1, 2], "a": [0.5, -2000]}, index=["x", "y"]).to_parquet(sink)
        signed = read_file(store, "a.pqt", sink.getvalue(), is_whole=is_whole)
        unsigned = read_file(store, "a.pqt", sink.getvalue(), UNSIGNED, is_whole=is_whole)
        assert values_of(signed) == VALUES
        assert values_of(unsigned) == {"b": VALUES["b"], "a": VALUES["a"]}
        assert labels_of(signed) == labels_of(unsigned) == ["x", "y"]

    @pytest.mark.parametrize("index", [pd.RangeIndex(5, 205, 2), pd.Index(range(0, 200, 2))], ids=["range", "stored"])
    def test_every_part_of_a_split_parquet_file_has_its_own_labels(
        self, store: CrumblingStore, index: pd.Index, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet_reader, "_SPAN_BYTES", 500)
        sink = io.BytesIO()
        pd.DataFrame({"a": np.arange(100.0), "b": range(100)}, index=index).to_parquet(sink, row_group_size=30)
        file = put(store, "a.parquet", sink.getvalue())
        spans = list(parquet_reader.split_parquet(store, Span(file.path, file.key)))
        chunks = [chunk for span in spans for chunk in read_chunks(store, span, NUMBERS)]
        assert len(spans) > 1
        assert labels_of(chunks) == list(index)

    def test_first_column_of_csv_is_never_taken_for_the_index(self, store: CrumblingStore) -> None:
        written = pd.DataFrame({"a": [0.5], "b": [1]}, index=["x"]).to_csv().encode()
        (chunk,) = read_file(store, "a.csv", written, UNSIGNED)
        assert [column.name for column in chunk.enforced.payload.columns] == ["Unnamed: 0", "a", "b"]
        assert chunk.enforced.payload.row_index == ()

    @pytest.mark.parametrize(
        "header", ["", '""', "a,", '"a",a', "\n \na b , c", '"x\ny",z', "é,日本", ",", "Unnamed: 1,"]
    )
    def test_duplicate_column_names_are_renamed_as_in_pandas(self, store: CrumblingStore, header: str) -> None:
        body = f"{header or 'a'}\n" + ("x\n" if "," not in header else "x,y\n")
        (chunk,) = read_file(store, "a.csv", body.encode(), UNSIGNED)
        names = [column.name for column in chunk.enforced.payload.columns]
        assert names == list(pd.read_csv(io.BytesIO(body.encode())).columns)

    @pytest.mark.parametrize("path", ["a.csv", "a.jsonl", "a.csv.gz", "a.jsonl.zst"])
    def test_empty_file_has_no_rows(self, store: CrumblingStore, path: str) -> None:
        packed = {"gz": zipped(b""), "zst": pyarrow.compress(b"", "zstd", asbytes=True)}
        assert read_file(store, path, packed.get(path.rpartition(".")[2], b"")) == []

    @pytest.mark.parametrize("content", [b"a,b", b"a,b\n", b"\xef\xbb\xbfa,b\r\n\r\n", b"\n\n", b'"a","b"'])
    @pytest.mark.parametrize("is_whole", [True, False])
    def test_header_alone_has_no_rows(self, store: CrumblingStore, content: bytes, is_whole: bool) -> None:
        assert read_file(store, "a.csv", content, is_whole=is_whole) == []

    def test_optional_column_of_json_lines_is_in_every_chunk(self, store: CrumblingStore) -> None:
        signature = columns(a="string?", b="long")
        chunks = read_file(store, "a.jsonl", b'{"b": 1}\n{"b": 2}\n', signature)
        assert values_of(chunks) == {"a": [None, None], "b": [1, 2]}

    def test_type_hint_models_get_the_values_of_json_lines(self, store: CrumblingStore) -> None:
        signature = compile_signature(None, type_hints=True)
        (chunk,) = read_file(store, "a.jsonl", b'{"x": [1]}\n"text"\n', signature, is_whole=True)
        assert chunk.enforced.payload.value == [{"x": [1]}, "text"]
        assert chunk.rows == 2

    @pytest.mark.parametrize(
        ("item", "path", "content", "expected"),
        [
            pytest.param("double", "a.parquet", pd.DataFrame({"n": [1.5, 2.0]}).to_parquet(), [1.5, 2.0], id="parquet"),
            ("string", "a.csv", b"text\nhello\n5\n", ["hello", "5"]),
            ("long", "a.csv", b"n\n1\n2\n", [1, 2]),
            ("any", "a.csv", b"a,b\n1,x\n2,y\n", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ],
    )
    def test_type_hint_models_get_values_or_records_of_tables(
        self, store: CrumblingStore, item: str, path: str, content: bytes, expected: Any
    ) -> None:
        raw = RawSignature(json.dumps([{"type": item, "required": True}]), None, None)
        chunks = read_file(store, path, content, compile_signature(raw, type_hints=True))
        assert [value for chunk in chunks for value in chunk.enforced.payload.value] == expected


class TestDamagedFiles:
    @pytest.mark.parametrize(
        ("path", "content", "reason"),
        [
            ("a.csv.gz", zipped(ROWS * 100)[:-9], "damaged, or is not a gzip"),
            ("a.csv.gz", ROWS, "damaged, or is not a gzip"),
            ("a.csv.zst", pyarrow.compress(ROWS * 100, "zstd", asbytes=True)[:-5], "damaged, or is not a zstd"),
            ("a.parquet", b"PAR1 and nothing else PAR1", "damaged, or is not a Parquet file"),
            ("a.png", b"\x89PNG and nothing else", "needs a model whose signature is a single tensor"),
            ("a.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
            ("a.csv", b"a,b\n1,2\n\xff,3\n", "UTF-8"),
            ("a.csv", b"a\xff,b\n1,2\n", "UTF-8"),
            ("a.csv", b"a,b\n1,2\n\n3\n  \n4,5,6\n", "row 1 has 1, not 2; row 2 has 3, not 2"),
            ("a.csv", b'a,b\n1,2\n3,"4\n5,6\n', "inside of quotes"),
            ("a.csv", b'a,"b\n1,2\n3,4\n', "inside of quotes"),
            ("a.csv", b"a,b,a\n1,2,3\n", "more than once"),
            ("a.jsonl", b'{"a": 1, "b": 1}\n{"a": 1\n', "row 1 is not valid JSON"),
            ("a.jsonl", b'{"a": 1, "b": 1}\n[1, 2]\n', "row 1 is not a JSON object"),
            ("a.xlsx", b"", "'xlsx' is not supported"),
        ],
    )
    def test_damaged_file_names_the_problem(
        self, store: CrumblingStore, path: str, content: bytes, reason: str
    ) -> None:
        for is_whole in (True, False):
            with pytest.raises(UnreadableFile, match=reason):
                read_file(store, path, content, is_whole=is_whole)

    def test_damaged_parquet_page_names_the_problem(self, store: CrumblingStore) -> None:
        sink = io.BytesIO()
        pd.DataFrame({"a": np.random.default_rng(0).normal(size=9999), "b": range(9999)}).to_parquet(sink)
        content = bytearray(sink.getvalue())
        content[4:40] = bytes(36)
        with pytest.raises(UnreadableFile, match="damaged, or is not a Parquet file"):
            read_file(store, "a.parquet", bytes(content))

    def test_file_deleted_after_planning_is_unreadable(self, store: CrumblingStore) -> None:
        with pytest.raises(UnreadableFile, match="no longer in the object store"):
            list(read_chunks(store, Span("a.csv", "in/a.csv"), NUMBERS))


class TestViolations:
    def test_violations_of_csv_have_the_files_row_numbers(self, store: CrumblingStore) -> None:
        content = b"a,b\n" + b"1,2\n" * 60 + b"1,x\n1,\n"
        with blocks_of(200):
            plan = planned(store, [put(store, "a.csv", content)], NUMBERS)
            with pytest.raises(SignatureViolations) as refused:
                chunks_of(store, plan, NUMBERS)
        assert [(violation.column, violation.row) for violation in refused.value.violations] == [("b", 60), ("b", 61)]
        assert "row 60: expected long" in str(refused.value)
        assert 'got the text "x"' in str(refused.value)

    def test_violations_of_a_whole_file_have_the_files_row_numbers(self, store: CrumblingStore) -> None:
        content = b"a,b\n" + b"1,2\n" * 60 + b"1,x\n1,\n"
        with blocks_of(32), pytest.raises(SignatureViolations) as refused:
            read_file(store, "a.csv", content, is_whole=True)
        assert [(violation.column, violation.row) for violation in refused.value.violations] == [("b", 60), ("b", 61)]
        assert 'got the text "x"' in str(refused.value)

    def test_violations_of_json_lines_and_parquet_have_the_files_row_numbers(self, store: CrumblingStore) -> None:
        sink = io.BytesIO()
        pd.DataFrame({"a": [0.5] * 9, "b": [1.0] * 8 + [1.5]}).to_parquet(sink, row_group_size=2)
        file = put(store, "a.parquet", sink.getvalue())
        with pytest.raises(SignatureViolations, match="row 8"):
            list(read_chunks(store, Span(file.path, file.key, first_row=6, start=3, end=5), NUMBERS))
        file = put(store, "a.jsonl", b'{"a": 1, "b": 1}\n{"a": 1, "b": 1.5}\n')
        with pytest.raises(SignatureViolations, match="row 1"):
            list(read_chunks(store, Span(file.path, file.key), NUMBERS))

    def test_violations_of_a_tensor_have_the_files_row_numbers(self, store: CrumblingStore) -> None:
        file = put(store, "a.csv", b"a,b\n" + b"1,2\n" * 20 + b"1,x\n")
        signature = tensor("float64", -1, 2)
        with blocks_of(16), pytest.raises(SignatureViolations, match="row 20"):
            chunks_of(store, planned(store, [file], signature), signature)


ODD = [
    "63", "63.0", "63.00", "6.3e1", "63.5", ".5", "1.", "+1", "-0", "0", "00", "01", "-01", "inf", "-inf", "NaN", "",
    "NA", "null", "None", " 1", "1 ", "1e400", "-1e400", "1e-400", "1e39", "3.4028235e38", "1E5", "1e+5", "1e05",
    "1_0", "0x10", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "2147483648", "-2147483649", "9007199254740992", "9007199254740993", "9007199254740993.0", "-9007199254740991",
    "16777216", "16777217", "16777217.0", "0.1", "0.30000000000000004", "0.99999999999999999999", "4.9e-324",
    "123456789012345678901234567890", "2.2250738585072011e-308", "true", "٣", "-", "e", "1e", "--1", "1.2.3", '"63"',
    '""', '"1,5"', '" 1"',
]  # fmt: skip

Outcome = tuple[object, ...]


def outcome(enforce: Callable[..., list[Enforced]], *arguments: Any) -> Outcome:
    """Return the values, with types and signs, or the violations."""
    try:
        held = enforce(*arguments)
    except SignatureViolations as refused:
        return refused.violations
    return tuple(chain.from_iterable(map(_contents, held)))


def _contents(held: Enforced) -> list[object]:
    if isinstance(held.payload, ArrayPayload):
        return [held.payload.array.dtype, held.payload.array.tobytes()]
    return [
        (column.type, np.asarray(column.values).dtype, np.asarray(column.values).tobytes(), column.nulls is None)
        for column in held.payload.columns
    ]


def online(body: bytes, signature: CompiledSignature) -> list[Enforced]:
    return [signature.enforce_table(read_csv(body, signature), None)]


def batch(body: bytes, signature: CompiledSignature, is_whole: bool = False) -> list[Enforced]:
    span = Span("a.csv", "a.csv", is_whole=is_whole)
    return [chunk.enforced for chunk in read_chunks(InMemory(body), span, signature)]


@pytest.fixture(params=["few rows", "many rows"])
def ways_to_read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small and large blocks have different readers."""
    if request.param == "many rows":
        monkeypatch.setattr(small_csv_blocks, "_MAX_BYTES", 0)


@pytest.mark.usefixtures("ways_to_read")
class TestNumbers:
    """Plain numbers are parsed at once; all other texts are treated as online."""

    @pytest.mark.parametrize("optional", ["", "?"])
    @pytest.mark.parametrize("kind", ["integer", "long", "float", "double"])
    def test_numbers_are_converted_and_rejected_as_online(self, kind: str, optional: str) -> None:
        alone, beside = columns(a=kind + optional), columns(a=kind + optional, b="string")
        for odd in ODD:
            for rows in (["1", odd or '""'], [odd or '""', "-7", "NA"]):
                body = "\n".join(["a", *rows, ""]).encode()
                assert outcome(batch, body, alone) == outcome(online, body, alone), rows
                # Beside a column of text the block as a whole is not plain.
                body = "\n".join(["a,b", *(f"{row},x" for row in rows)]).encode()
                assert outcome(batch, body, beside) == outcome(online, body, beside), rows

    @pytest.mark.parametrize("between", ["\r", "\r\n", "\n\n", "\n", "\n ", ",\n", "],[", "\n5\r,6\n"])
    def test_numbers_in_lines_are_read_as_online(self, between: str) -> None:
        signature = columns(a="double", b="long")
        body = between.join(["a,b\n0.5,1", "2,7", "3,4\n"]).encode()
        results = []
        for read_all in (batch, online):
            try:
                results.append(outcome(read_all, body, signature))
            except (UnreadableFile, InvalidBody):
                results.append(("refused",))
        assert results[0] == results[1]

    @pytest.mark.parametrize("kind", ["integer", "long", "float", "double"])
    def test_numbers_of_whole_files_in_many_blocks_are_read_as_online(self, kind: str) -> None:
        signature = columns(a=kind)
        for odd in ODD:
            body = f"a,b\n1,x\n2.0,x\n3,x\n{odd},x\n5,x\n".encode()
            with blocks_of(4):
                assert outcome(batch, body, signature, True) == outcome(online, body, signature), odd

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
    def test_numbers_of_a_tensor_are_read_as_online(self, dtype: str) -> None:
        signature = tensor(dtype, -1, 2)
        for odd in ODD:
            body = f"a,b\n1,2\n{odd},4\n".encode()
            found, expected = outcome(batch, body, signature), outcome(online, body, signature)
            # Only the position of the value is written differently.
            assert found == expected or len(found) == len(expected) == 1, odd

    def test_numbers_without_a_signature_have_pandas_types(self) -> None:
        for odd in ODD:
            body = f"a,b\n1,x\n2,x\n{odd},x\n".encode()
            (kind, dtype, values, _), _ = outcome(online, body, UNSIGNED)
            store = InMemory(body)
            with blocks_of(4):
                plan = planned(store, [InputFile("a.csv", "a.csv", len(body))], UNSIGNED)
                parts = [chunk.enforced.payload.columns[0] for chunk in chunks_of(store, plan, UNSIGNED)]
                assert outcome(batch, body, UNSIGNED) == outcome(online, body, UNSIGNED), odd
            assert {part.type for part in parts} == {kind}, odd
            assert np.concatenate([np.asarray(part.values) for part in parts]).astype(dtype).tobytes() == values, odd


class TestImages:
    def image(self, mode: str = "RGB", form: str = "png") -> bytes:
        sink = io.BytesIO()
        Image.fromarray(np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)).convert(mode).save(sink, form)
        return sink.getvalue()

    def test_image_is_a_batch_of_one_in_the_declared_type(self, store: CrumblingStore) -> None:
        (chunk,) = read_file(store, "a.PNG", self.image(), tensor("float32", -1, 4, 5, 3))
        expected = np.arange(4 * 5 * 3, dtype=np.float32).reshape(1, 4, 5, 3)
        assert np.array_equal(chunk.enforced.payload.array, expected)
        assert chunk.enforced.payload.array.dtype == np.float32
        assert chunk.rows == 1

    def test_grey_image_gets_the_declared_channel(self, store: CrumblingStore) -> None:
        (chunk,) = read_file(store, "a.bmp", self.image("L", "bmp"), tensor("uint8", -1, 4, 5, 1))
        assert chunk.enforced.payload.array.shape == (1, 4, 5, 1)
        (chunk,) = read_file(store, "a.bmp", self.image("L", "bmp"), tensor("uint8", -1, 20))
        assert chunk.enforced.payload.array.shape == (1, 20)

    def test_image_without_a_signature_has_bytes(self, store: CrumblingStore) -> None:
        (chunk,) = read_file(store, "a.gif", self.image("P", "gif"), UNSIGNED)
        assert chunk.enforced.payload.array.shape == (1, 4, 5, 3)
        assert chunk.enforced.payload.array.dtype == np.uint8

    def test_image_of_another_size_is_rejected(self, store: CrumblingStore) -> None:
        with pytest.raises(SignatureViolations, match="shape"):
            read_file(store, "a.tiff", self.image("RGB", "tiff"), tensor("uint8", -1, 8, 8, 3))

    def test_damaged_image_names_the_problem(self, store: CrumblingStore) -> None:
        with pytest.raises(UnreadableFile, match="damaged, or is not an image"):
            read_file(store, "a.jpg", self.image("RGB", "jpeg")[:300], tensor("uint8", -1, 4, 5, 3))
        with pytest.raises(UnreadableFile, match="damaged, or is not an image"):
            read_file(store, "a.jpeg", json.dumps("no image").encode(), tensor("uint8", -1, 4, 5, 3))


def parquet_of_one_repeated_text(rows: int, length: int) -> bytes:
    """A file of about 1 kB whose texts have rows * length characters."""
    texts = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array(["x" * length])
    )
    table = pyarrow.table({"t": texts})
    file = io.BytesIO()
    options = {"compression": "zstd", "dictionary_pagesize_limit": 16 << 20, "store_schema": False}
    pyarrow.parquet.write_table(table, file, **options)
    return file.getvalue()


class TestBombs:
    def test_repeated_texts_of_a_small_parquet_file_come_in_chunks_that_fit(self, store):
        content = parquet_of_one_repeated_text(2_000, 1_000_000)
        assert len(content) < 10_000
        file = put(store, "bomb.parquet", content)
        chunks = read_chunks(store, Span(file.path, file.key), columns(t="string"))
        first = next(iter(chunks))
        assert first.first_row == 0
        assert 1 <= first.rows <= 67

    def test_chunks_of_repeated_texts_have_every_row_once(self, store):
        content = parquet_of_one_repeated_text(1_000, 200_000)
        chunks = read_file(store, "many.parquet", content, columns(t="string"))
        assert [chunk.first_row for chunk in chunks] == [sum(c.rows for c in chunks[:n]) for n in range(len(chunks))]
        assert sum(chunk.rows for chunk in chunks) == 1_000

    def test_whole_file_that_unpacks_to_40_gb_is_unreadable_at_once(self, store):
        content = parquet_of_one_repeated_text(40_000, 1_000_000)
        with pytest.raises(UnreadableFile, match="unpacks to 40000000000 bytes"):
            read_file(store, "bomb.parquet", content, columns(t="string"), is_whole=True)

    def test_whole_file_of_a_billion_constant_numbers_is_unreadable_at_once(self, store, monkeypatch):
        monkeypatch.setattr("data_plane.batch.input.parquet_reader._LARGEST_WHOLE", 1_000_000)
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"a": np.zeros(2_000_000), "b": np.zeros(2_000_000, int)}), file)
        with pytest.raises(UnreadableFile, match="unpacks to"):
            read_file(store, "zeros.parquet", file.getvalue(), is_whole=True)
