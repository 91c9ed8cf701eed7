import gzip
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.batch.failures import InvalidInput
from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.listing import list_input
from data_plane.batch.input.spans import Span
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.batch import InputFile, InputKind
from tests.data_plane.batch.input_files import (
    UNSIGNED,
    CrumblingStore,
    blocks_of,
    chunks_of,
    columns,
    planned,
    put,
    tensor,
    values_of,
)

TEXTS = columns(a="string?", b="string?", c="string?")
NASTY = (
    'a,b,c\r\n1,"two\nlines","quo""ted"\n\n"é,ü",😀,\r\n"",NA," x "\r\n   \n"a\r\nb\r\n",5" pipe,say "hi"\n'
    '"x"y,"""","\n"\r\n日本,"""a"",""b""",last without a newline'
).encode()


@pytest.fixture
def store(tmp_path: Path) -> CrumblingStore:
    return CrumblingStore(tmp_path)


def as_pandas_reads(content: bytes) -> dict[str, list[str | None]]:
    frame = pd.read_csv(io.BytesIO(content), dtype=str)
    return {name: [None if pd.isna(value) else value for value in frame[name]] for name in frame}


class TestSplitting:
    def test_split_file_has_the_rows_that_pandas_reads(self, store: CrumblingStore) -> None:
        expected = as_pandas_reads(NASTY)
        for size in (*range(1, 60), 1000):
            store.piece = 1 + size % 9
            with blocks_of(size):
                plan = planned(store, [put(store, "nasty.csv", NASTY)], TEXTS)
                assert values_of(chunks_of(store, plan, TEXTS)) == expected
            assert plan.rows in (6, None)
            assert len(plan.mini_batches) > 1 or size > 40

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("lines", [b"\n", b"\r\n", b"\r"])
    def test_every_kind_of_line_break_ends_a_row(self, store: CrumblingStore, lines: bytes, mark: bytes) -> None:
        content = mark + lines.join([b"a,b,c", b"1,2,3", b"", b"4,5,6", b"7,8,9"])
        with blocks_of(5):
            plan = planned(store, [put(store, "a.csv", content)], TEXTS)
            values = values_of(chunks_of(store, plan, TEXTS))
        assert values == {"a": ["1", "4", "7"], "b": ["2", "5", "8"], "c": ["3", "6", "9"]}
        assert plan.rows == 3

    def test_each_span_has_its_first_row_and_row_count(self, store: CrumblingStore) -> None:
        content = b"a,b,c\n" + b"".join(b"%d,2,3\n" % row for row in range(100))
        with blocks_of(64):
            plan = planned(store, [put(store, "a.csv", content)], TEXTS)
            spans = [span for spans in plan.mini_batches for span in spans]
            assert [span.first_row for span in spans] == np.cumsum([0, *(span.rows for span in spans[:-1])]).tolist()
            # In any order, and after a trip through the database.
            for span in reversed(spans):
                (chunk,) = read_chunks(store, Span.from_dict(span.to_dict()), TEXTS)
                assert chunk.rows == span.rows
                assert chunk.enforced.payload.columns[0].values[0] == str(span.first_row)

    def test_splitting_holds_one_block_in_memory(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        line = b'12345,67890,"a\nb"\n'
        file = InputFile("big.csv", "big.csv", store.put("big.csv", many(b"a,b,c\n", line * 50_000, 60)))
        tracemalloc.start()
        try:
            with blocks_of(1 << 20):
                plan = planned(store, [file], TEXTS)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert plan.rows == 3_000_000
        assert file.size > 50 << 20
        assert peak < 24 << 20

    def test_json_lines_are_split_at_line_ends(self, store: CrumblingStore) -> None:
        content = b'\xef\xbb\xbf{"a": "1\\n"}\r\n\n{"a": "\xc3\xa9"}\n \n{"a": null}\n{}'
        signature = columns(a="string?")
        for size in range(1, 40):
            with blocks_of(size):
                plan = planned(store, [put(store, "a.jsonl", content)], signature)
                assert plan.rows == 4
                assert values_of(chunks_of(store, plan, signature)) == {"a": ["1\n", "é", None, None]}

    def test_parquet_is_split_at_row_groups(self, store: CrumblingStore) -> None:
        sink = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"a": range(1000)}), sink, row_group_size=300)
        signature = columns(a="long")
        with blocks_of(10), pytest.MonkeyPatch.context() as patch:
            patch.setattr("data_plane.batch.input.parquet_reader._SPAN_BYTES", 1)
            plan = planned(store, [put(store, "a.parquet", sink.getvalue())], signature)
            assert [span.first_row for (span,) in plan.mini_batches] == [0, 300, 600, 900]
            assert values_of(chunks_of(store, plan, signature)) == {"a": list(range(1000))}

    def test_large_row_group_is_read_in_several_chunks(self, store: CrumblingStore) -> None:
        store.piece = 1 << 20
        sink = io.BytesIO()
        values = np.random.default_rng(0).normal(size=(2, 1_200_000))
        pyarrow.parquet.write_table(pyarrow.table({"a": values[0], "b": values[1]}), sink, row_group_size=1_200_000)
        signature = columns(a="double", b="double")
        plan = planned(store, [put(store, "a.parquet", sink.getvalue())], signature)
        chunks = chunks_of(store, plan, signature)
        assert plan.rows == 1_200_000
        assert len(chunks) > 1
        assert np.array_equal(np.concatenate([chunk.enforced.payload.columns[1].values for chunk in chunks]), values[1])


def many(first: bytes, block: bytes, times: int) -> Iterator[bytes]:
    yield first
    for _ in range(times):
        yield block


def as_written(cell: str) -> str:
    """Quote only where necessary, unlike pandas."""
    is_bare = not cell.startswith('"') and not set(cell) & set(",\r\n") and cell.strip(" \t")
    return cell if is_bare else '"' + cell.replace('"', '""') + '"'


CELLS = st.text(alphabet='ab"\n\r, é😀', max_size=6)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8)


class TestAnyFile:
    @settings(max_examples=150, deadline=None)
    @given(rows=ROWS, breaks=st.sampled_from(["\n", "\r\n"]), size=st.integers(1, 40), piece=st.integers(1, 9))
    def test_random_csv_is_read_as_pandas_reads_it(
        self,
        rows: list[tuple[str, str, str]],
        breaks: str,
        size: int,
        piece: int,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        store = CrumblingStore(tmp_path_factory.getbasetemp() / "any", piece)
        content = breaks.join(["a,b,c", *(",".join(map(as_written, row)) for row in rows)]).encode()
        with blocks_of(size):
            plan = planned(store, [put(store, "any.csv", content)], TEXTS)
            assert values_of(chunks_of(store, plan, TEXTS)) == as_pandas_reads(content)


class TestMiniBatches:
    def test_small_files_are_grouped_and_parts_of_large_files_are_alone(self, store: CrumblingStore) -> None:
        small = b"a,b,c\n1,2,3\n"
        files = [put(store, name, small) for name in ("a.csv", "b.csv", "c.csv")]
        files += [put(store, "d.csv", small * 5), put(store, "e.csv", small)]
        with blocks_of(20):
            plan = planned(store, files, TEXTS, mini_batch_size=2)
        assert [[span.path for span in spans] for spans in plan.mini_batches] == [
            ["a.csv", "b.csv"],
            ["c.csv"],
            ["d.csv"],
            ["d.csv"],
            ["d.csv"],
            ["e.csv"],
        ]

    def test_model_that_is_not_row_by_row_gets_whole_files(self, store: CrumblingStore) -> None:
        content = b"a,b,c\n" + b"1,2,3\n" * 50
        with blocks_of(16):
            plan = planned(store, [put(store, "a.csv", content)], TEXTS, row_by_row=False)
            (chunk,) = chunks_of(store, plan, TEXTS)
        assert chunk.rows == 50

    def test_file_for_a_tensor_with_fixed_rows_is_not_split(self, store: CrumblingStore) -> None:
        signature = tensor("float64", 50, 3)
        with blocks_of(16):
            plan = planned(store, [put(store, "a.csv", b"a,b,c\n" + b"1,2,3.5\n" * 50)], signature)
            (chunk,) = chunks_of(store, plan, signature)
        assert chunk.enforced.payload.array.shape == (50, 3)

    def test_file_of_an_unknown_format_fails_alone(self, store: CrumblingStore) -> None:
        files = [put(store, "a.avro", b"?"), put(store, "b.csv", b"a,b,c\n1,2,3\n"), put(store, "noname", b"?")]
        plan = planned(store, files, TEXTS)
        assert [failure.file for failure in plan.failures] == ["a.avro", "noname"]
        assert "'avro' is not supported: supported are .csv" in plan.failures[0].reason
        assert len(plan.mini_batches) == 1

    def test_large_file_that_cannot_be_split_fails_alone(self, store: CrumblingStore) -> None:
        files = [
            put(store, "a.csv", b'a,b,c\n1,"never closed,3\n' + b"4,5,6\n" * 10),
            put(store, "b.parquet", b"PAR1" + b"x" * 90),
            put(store, "c.csv", "a,b,c\n1,2,3".encode("utf-16")),
            put(store, "d.csv", b"a,b,c\n1,2,3\n4,5,6\n"),
        ]
        with blocks_of(10):
            plan = planned(store, files, TEXTS)
        assert [failure.file for failure in plan.failures] == ["a.csv", "b.parquet", "c.csv"]
        assert "inside of quotes" in plan.failures[0].reason
        assert "damaged" in plan.failures[1].reason
        assert "UTF-16" in plan.failures[2].reason
        assert plan.mini_batches

    def test_compressed_file_is_one_span(self, tmp_path: Path) -> None:
        store = FolderStore(tmp_path)
        with blocks_of(1 << 20):
            file = put(store, "a.csv.gz", gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 400_000, 1))
            plan = planned(store, [file], TEXTS)
            rows = [chunk.rows for chunk in chunks_of(store, plan, TEXTS)]
        assert len(plan.mini_batches) == 1
        assert plan.rows is None
        assert sum(rows) == 400_000
        assert max(rows) < 400_000


class TestTypesWithoutASignature:
    FILE = b"a,b,c,d,e,f\n" + b"".join(
        b"%d,%s,%s,%s,%s,%s\n"
        % (
            row,
            b"0.5" if row == 99 else b"7",
            b"" if row == 3 else b"8",
            b"x" if row == 98 else b"9",
            b"true",
            b"NA",
        )
        for row in range(100)
    )

    @pytest.mark.parametrize("row_by_row", [True, False])
    def test_every_part_has_the_types_of_the_whole_file(self, store: CrumblingStore, row_by_row: bool) -> None:
        expected = pd.read_csv(io.BytesIO(self.FILE)).dtypes
        with blocks_of(64):
            plan = planned(store, [put(store, "a.csv", self.FILE)], UNSIGNED, row_by_row=row_by_row)
            chunks = chunks_of(store, plan, UNSIGNED)
        assert len(chunks) == (1 if not row_by_row else len(plan.mini_batches))
        types = {"int64": "long", "float64": "double", "bool": "boolean", "str": "string", "object": "string"}
        for chunk in chunks:
            assert [column.type for column in chunk.enforced.payload.columns] == [
                types[dtype.name] for dtype in expected
            ]
        assert values_of(chunks)["d"][97:99] == ["9", "x"]
        assert values_of(chunks)["c"][2:5] == [8.0, None, 8.0]


class TestListing:
    def test_folder_is_listed_recursively_without_hidden_files(self, store: CrumblingStore) -> None:
        for key in ("b.csv", "2024/01/a.csv", "_SUCCESS", ".crc", "2024/_tmp/a.csv"):
            store.put(f"data/x/{key}", [b"12"])
        store.put("data/xyz/other.csv", [b""])
        found = list_input(store, files=None, key="data/x", kind=InputKind.URI_FOLDER)
        assert found == [
            InputFile("2024/01/a.csv", "data/x/2024/01/a.csv", 2),
            InputFile("b.csv", "data/x/b.csv", 2),
        ]

    def test_file_as_input_is_listed_alone(self, store: CrumblingStore) -> None:
        store.put("data/_a.csv", [b"1"])
        found = list_input(store, files=None, key="data/_a.csv", kind=InputKind.URI_FILE)
        assert found == [InputFile("_a.csv", "data/_a.csv", 1)]

    def test_empty_input_is_rejected_with_the_reason(self, store: CrumblingStore) -> None:
        store.put("data/_SUCCESS", [b""])
        with pytest.raises(InvalidInput, match="no files in the input data"):
            list_input(store, files=None, key="data", kind=InputKind.URI_FOLDER)
        with pytest.raises(InvalidInput, match="is a folder"):
            list_input(store, files=None, key="data", kind=InputKind.URI_FILE)
        with pytest.raises(InvalidInput, match="there is no file"):
            list_input(store, files=None, key="nothing.csv", kind=InputKind.URI_FILE)
        with pytest.raises(InvalidInput, match="no files"):
            list_input(store, files=[], key=None, kind=InputKind.URI_FOLDER)
