import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.batch.failures import FileFailure
from data_plane.batch.output import PartMissing, PartWriter, assemble, write_errors
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.batch import BatchSettings, FileColumn, OutputAction, OutputFormat
from tests.data_plane.batch.written_output import OUTPUT, Answered, Output, azure_frame, most_memory

HEADED, PARQUET = OutputFormat.CSV_WITH_HEADER, OutputFormat.PARQUET
FRAME = FrameResult(
    (
        Column("risk", "double", np.array([0.5, 1.0, 0.1])),
        Column("label", "string", ["no, thanks", None, ""]),
        Column("sure", "boolean", np.array([True, False, False]), np.array([False, False, True])),
    ),
    3,
)


def as_json(value: object) -> JsonResult:
    return JsonResult(json.dumps(value).encode())


def array(*values: object, dtype: str | None = None) -> ArrayResult:
    return ArrayResult(np.array(values, dtype))


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


class TestAzureFile:
    def test_parts_are_in_the_order_of_their_mini_batches(self, tmp_path):
        content = Output(tmp_path, OutputFormat.AZURE).of(
            [Answered(2, array(1, 0), "b.csv")], [], [Answered(1, array(1), "a.csv")]
        )
        assert content == b"0,1,b.csv\n1,0,b.csv\n0,1,a.csv\n"

    def test_azures_notebook_counts_positives_per_file(self, tmp_path):
        rng = np.random.default_rng(0)
        answers = {f"heart-{letter}.csv": rng.integers(0, 2, 100) for letter in "abc"}
        content = Output(tmp_path, OutputFormat.AZURE).of(
            *([Answered(100, ArrayResult(answer), name)] for name, answer in answers.items())
        )
        counted = azure_frame(content).groupby("file")["prediction"].sum()
        assert counted.to_dict() == {name: answer.sum() for name, answer in answers.items()}

    def test_no_rows_give_an_empty_file(self, tmp_path):
        assert Output(tmp_path, OutputFormat.AZURE).of() == b""


class TestCsvWithHeader:
    def test_columns_of_a_table_keep_their_names_and_file_is_last(self, tmp_path):
        content = Output(tmp_path, HEADED).of([Answered(3, FRAME)])
        assert content.decode().splitlines() == [
            "row,risk,label,sure,file",
            '0,0.5,"no, thanks",True,heart.csv',
            "1,1.0,,False,heart.csv",
            '2,0.1,"",,heart.csv',
        ]

    def test_pandas_and_arrow_read_the_same_values(self, tmp_path):
        content = Output(tmp_path, HEADED).of([Answered(3, FRAME)])
        frame = pd.read_csv(io.BytesIO(content))
        assert frame["risk"].tolist() == [0.5, 1.0, 0.1]
        options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        table = pyarrow.csv.read_csv(io.BytesIO(content), convert_options=options)
        assert table.column("label").to_pylist() == ["no, thanks", None, ""]
        assert table.column("sure").to_pylist() == [True, False, None]

    @pytest.mark.parametrize(
        ("result", "names", "header"),
        [
            (array(1, 2), None, "row,prediction,file"),
            (array(1, 2), ["risk"], "row,risk,file"),
            (array([1], [2]), ["risk"], "row,risk,file"),
            (array([1, 2], [3, 4]), None, "row,0,1,file"),
            (array([1, 2], [3, 4]), ["no", "yes"], "row,no,yes,file"),
            (array([1, 2], [3, 4]), ["only one"], "row,0,1,file"),
            (array([[1], [2]], [[3], [4]]), ["cube"], "row,cube,file"),
            (as_json([1, "a"]), None, "row,prediction,file"),
            (as_json([1, "a"]), ["risk"], "row,risk,file"),
            (as_json([{"a": 1}, {"b": 2}]), ["risk"], "row,a,b,file"),
            (as_json({"x": [1, 2], "y,z": [1, 2]}), None, 'row,x,"y,z",file'),
            (FrameResult((Column(0, "long", np.array([1, 2])),), 2), ["risk"], "row,risk,file"),
            (FrameResult((Column("mine", "long", np.array([1, 2])),), 2), ["risk"], "row,mine,file"),
            (FrameResult((), 2), None, "row,prediction,file"),
        ],
    )
    def test_names_of_prediction_columns(self, tmp_path, result, names, header):
        content = Output(tmp_path, HEADED, names).of([Answered(2, result)])
        assert content.decode().splitlines()[0] == header

    def test_column_names_are_unique(self, tmp_path):
        named = [Column(name, "long", np.array([place])) for place, name in enumerate(["file", "row", "a", "a", "a_1"])]
        content = Output(tmp_path, HEADED).of([Answered(1, FrameResult(tuple(named), 1))])
        assert content == b"row,file_1,row_1,a,a_1,a_1_1,file\n0,0,1,2,3,4,heart.csv\n"

    def test_rows_with_other_columns_are_rearranged(self, tmp_path):
        content = Output(tmp_path, HEADED).of(
            [Answered(2, as_json([{"a": "x,\n", "b": 1}, None]), "1.csv")],
            [Answered(2, as_json([{"b": 'q"', "c": ""}, 7]), "2,.csv")],
        )
        assert list(csv.reader(io.StringIO(content.decode(), newline=""))) == [
            ["row", "a", "b", "c", "prediction", "file"],
            ["0", "x,\n", "1", "", "", "1.csv"],
            ["1", "", "", "", "", "1.csv"],
            ["0", "", 'q"', "", "", "2,.csv"],
            ["1", "", "", "", "7", "2,.csv"],
        ]
        assert b'0,,"q""","",,"2,.csv"\n' in content

    def test_no_rows_give_a_header(self, tmp_path):
        assert Output(tmp_path, HEADED).of([]) == b"row,prediction,file\n"


class TestParquet:
    def test_columns_are_typed(self, tmp_path):
        table = Output(tmp_path, PARQUET).table([Answered(3, FRAME, "d/a.csv", 5)])
        assert table.schema.names == ["row", "risk", "label", "sure", "file"]
        assert table.schema.types == [
            *(pa.int64(), pa.float64(), pa.large_string(), pa.bool_()),
            pa.dictionary(pa.int32(), pa.string()),
        ]
        assert table.to_pydict() == {
            "row": [5, 6, 7],
            "risk": [0.5, 1.0, 0.1],
            "label": ["no, thanks", None, ""],
            "sure": [True, False, None],
            "file": ["d/a.csv"] * 3,
        }

    @pytest.mark.parametrize("dtype", ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])
    def test_arrays_keep_their_type(self, tmp_path, dtype):
        table = Output(tmp_path, PARQUET).table([Answered(2, array(0, 1, dtype=dtype))])
        assert table.column("prediction").type == pa.from_numpy_dtype(np.dtype(dtype))
        assert table.column("prediction").to_pylist() == [0, 1]

    def test_datetimes_and_bytes_keep_their_types(self, tmp_path):
        moments = np.array(["2026-11-21T08:59:06.000000001", "NaT"], "datetime64[ns]")
        columns = (Column("t", "datetime", moments), Column("b", "binary", [b"\xff", None]))
        table = Output(tmp_path, PARQUET).table([Answered(2, FrameResult(columns, 2))])
        assert table.schema.types[1:3] == [pa.timestamp("ns"), pa.large_binary()]
        assert table.column("t").cast(pa.int64()).to_pylist() == [1795251546000000001, None]
        assert table.column("b").to_pylist() == [b"\xff", None]

    @pytest.mark.parametrize(
        ("first", "second", "kind", "values"),
        [
            (array(1), array(0.5), pa.float64(), [1.0, 0.5]),
            (array(1), as_json([None]), pa.int64(), [1, None]),
            (array(1, dtype="i4"), array(2), pa.int64(), [1, 2]),
            (array(1, dtype="i4"), array(0.5, dtype="f4"), pa.float64(), [1.0, 0.5]),
            (as_json([2**60 + 1]), as_json([0.5]), pa.float64(), [float(2**60), 0.5]),
            (array(1.0), as_json(["x"]), pa.large_string(), ["1.0", "x"]),
            (array(True), array(1), pa.large_string(), ["True", "1"]),
            (as_json([True]), as_json([None]), pa.bool_(), [True, None]),
            (as_json([None]), as_json([None]), pa.large_string(), [None, None]),
            (as_json([[1, 2]]), as_json([3]), pa.large_string(), ["[1,2]", "3"]),
            (as_json([2**70]), as_json([3]), pa.large_string(), [str(2**70), "3"]),
        ],
    )
    @pytest.mark.parametrize("turned", [False, True])
    def test_parts_with_different_types_get_a_common_type(self, tmp_path, first, second, kind, values, turned):
        answers = [[Answered(1, first)], [Answered(1, second)]]
        table = Output(tmp_path, PARQUET).table(*(reversed(answers) if turned else answers))
        assert table.column("prediction").type == kind
        assert table.column("prediction").to_pylist() == (values[::-1] if turned else values)

    def test_columns_that_a_part_lacks_are_null(self, tmp_path):
        table = Output(tmp_path, PARQUET).table(
            [Answered(1, as_json([{"a": 1}]))], [Answered(1, as_json([{"b": 0.5}]))]
        )
        assert table.select(["a", "b"]).to_pydict() == {"a": [1, None], "b": [None, 0.5]}

    def test_no_rows_give_an_empty_table(self, tmp_path):
        table = Output(tmp_path, PARQUET).table([])
        assert (table.num_rows, table.schema.names) == (0, ["row", "prediction", "file"])

    def test_large_texts_end_a_row_group_early_for_every_split(self, tmp_path):
        texts = ["x" * 6_000_000] * 13
        output = Output(tmp_path, PARQUET)
        content = output.of([Answered(13, as_json(texts))])
        file = pq.ParquetFile(io.BytesIO(content))
        assert [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)] == [6, 6, 1]
        assert file.read().column("prediction").to_pylist() == texts
        assert output.of([Answered(4, as_json(texts[:4]))], [Answered(9, as_json(texts[4:]), first_row=4)]) == content


ENTRIES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b", "file", "row"]), st.one_of(st.integers(0, 3), st.text(max_size=2))),
)


def whole_and_cut(result: Result | list[object], cuts: Sequence[int], rows: int) -> Iterator[Answered]:
    for start, stop in zip([0, *cuts], [*cuts, rows], strict=True):
        match result:
            case ArrayResult(array=entries):
                yield Answered(stop - start, ArrayResult(entries[start:stop]), "a.csv", start)
            case FrameResult(columns=columns):
                cut = tuple(column.cut(slice(start, stop)) for column in columns)
                yield Answered(stop - start, FrameResult(cut, stop - start), "a.csv", start)
            case _:
                yield Answered(stop - start, as_json(result[start:stop]), "a.csv", start)


def results(rows: int) -> st.SearchStrategy[Result | list[object]]:
    rng = np.random.default_rng(rows)
    numbers = rng.integers(0, 2**64, (rows, 2), np.uint64).view(np.float64)
    columns = (
        Column("a", "long", rng.integers(0, 9, rows), rng.random(rows) < 0.3),
        Column("a", "string", [None if number % 3 == 0 else f'"{number}"\n' for number in range(rows)]),
        Column("t", "datetime", rng.integers(0, 2**60, rows).view("datetime64[ns]")),
    )
    fixed = [
        ArrayResult(numbers),
        ArrayResult(numbers[:, 0]),
        ArrayResult(numbers[:, :1] > 0),
        FrameResult(columns, rows),
    ]
    return st.one_of(st.sampled_from(fixed), st.lists(ENTRIES, min_size=rows, max_size=rows))


class TestSplitting:
    @pytest.mark.parametrize("output_format", list(OutputFormat))
    def test_bytes_do_not_depend_on_the_split(self, tmp_path, output_format):
        output = Output(tmp_path, output_format)

        @settings(max_examples=100, deadline=None, derandomize=True, database=None)
        @given(st.data())
        def holds(data: st.DataObject) -> None:
            rows = data.draw(st.integers(1, 12))
            result = data.draw(results(rows))
            cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
            chunks = list(whole_and_cut(result, cuts, rows))
            ends = sorted(data.draw(st.lists(st.integers(0, len(chunks)), max_size=3)))
            mini_batches = [chunks[a:b] for a, b in zip([0, *ends], [*ends, len(chunks)], strict=True)]
            assert output.of(*mini_batches) == output.of(list(whole_and_cut(result, [], rows)))

        holds()

    @pytest.mark.parametrize("output_format", list(OutputFormat))
    def test_bytes_of_a_long_output_do_not_depend_on_the_split(self, tmp_path, output_format):
        rows = 400_000
        result = ArrayResult(np.random.default_rng(5).random((rows, 2)))
        output = Output(tmp_path, output_format)
        cuts = sorted(random.Random(1).sample(range(rows), 5))
        chunks = list(whole_and_cut(result, cuts, rows))
        assert output.of(*([chunk] for chunk in chunks)) == output.of(list(whole_and_cut(result, [], rows)))
        if output_format is PARQUET:
            assert pq.ParquetFile(io.BytesIO(output.of(chunks))).num_row_groups == 2


class TestAssemble:
    @pytest.mark.parametrize("output_format", list(OutputFormat))
    @pytest.mark.parametrize(
        ("column", "expected"),
        [
            (FileColumn.PATH, ["a/x.csv", "b/x.csv", "b/x.csv", 'd "q",/é.csv']),
            (FileColumn.NAME, ["x.csv", "x.csv", "x.csv", "é.csv"]),
        ],
    )
    def test_file_is_named_by_its_path_or_as_in_azure_by_its_base_name(self, tmp_path, output_format, column, expected):
        output = Output(tmp_path, output_format)
        output.settings = replace(output.settings, output_file_column=column)
        result = ArrayResult(np.array([0.5]))
        files = ["a/x.csv", "b/x.csv", "b/x.csv", 'd "q",/é.csv']
        content = output.of(
            [Answered(1, result, file) for file in files[:2]], [Answered(1, result, f) for f in files[2:]]
        )
        match output_format:
            case OutputFormat.PARQUET:
                found = pq.read_table(io.BytesIO(content))["file"].to_pylist()
            case OutputFormat.AZURE:
                found = azure_frame(content)["file"].tolist()
            case _:
                found = pd.read_csv(io.BytesIO(content))["file"].tolist()
        assert found == expected

    @pytest.mark.parametrize("output_format", list(OutputFormat))
    def test_assembling_twice_gives_the_same_bytes(self, tmp_path, output_format):
        output = Output(tmp_path, output_format)
        answers = [Answered(3, FRAME)], [Answered(2, as_json([1, {"z": 2}]))]
        assert output.of(*answers) == output.of(*answers)

    @pytest.mark.parametrize("output_format", list(OutputFormat))
    def test_missing_part_leaves_no_output_and_is_named(self, store, output_format):
        settings_ = BatchSettings(output_format=output_format)
        writer = PartWriter(settings_, None)
        writer.add("a.csv", 0, 3, FRAME)
        store.put("batch/7/0", writer.content())
        with pytest.raises(PartMissing, match=r"batch/7/1.*start the job again"):
            assemble(store, ["batch/7/0", "batch/7/1"], OUTPUT, settings_)
        assert not store.exists(OUTPUT)

    def test_output_exists_after_assembly(self, store):
        assemble(store, [], OUTPUT, BatchSettings())
        assert store.exists(OUTPUT)

    def test_summary_only_writes_nothing(self, store):
        summary = BatchSettings(output_action=OutputAction.SUMMARY_ONLY)
        store.put("batch/7/0", [])
        assemble(store, ["batch/7/0"], OUTPUT, summary)
        assert not store.exists(OUTPUT)

    @pytest.mark.parametrize("output_format", list(OutputFormat))
    def test_memory_does_not_grow_with_the_output(self, store, output_format):
        settings_ = BatchSettings(output_format=output_format)
        writer = PartWriter(settings_, None)
        for number in range(10):
            chunk = ArrayResult(np.random.default_rng(number).random(200_000))
            writer.add("a.csv", number * 200_000, 200_000, chunk)
        store.put("batch/7/0", writer.content())
        peaks = []
        for parts in (1, 4):
            with most_memory() as most:
                assemble(store, ["batch/7/0"] * parts, OUTPUT, settings_)
            peaks.append(most())
        assert store.size(OUTPUT) > 60_000_000
        assert peaks[1] < 60_000_000
        assert peaks[1] < 1.2 * peaks[0] + 1_000_000


class TestErrors:
    def test_failures_are_sorted_by_file_and_row(self, store):
        failures = [
            FileFailure("z.csv", None, None, "no CSV: unclosed quote"),
            FileFailure("a,1.csv", 100, 50, 'the model raised ValueError("bad, \n value")'),
            FileFailure("a,1.csv", 0, 50, "=1+1"),
            FileFailure("a,1.csv", None, None, "\ud800"),
        ]
        key = write_errors(store, OUTPUT, failures)
        assert key == "datastores/workspaceblobstore/azureml/job-run/score/errors.csv"
        content = b"".join(store.get(key))
        assert list(csv.reader(io.StringIO(content.decode(), newline=""))) == [
            ["file", "first_row", "rows", "reason"],
            ["a,1.csv", "", "", "\\ud800"],
            ["a,1.csv", "0", "50", "=1+1"],
            ["a,1.csv", "100", "50", 'the model raised ValueError("bad, \n value")'],
            ["z.csv", "", "", "no CSV: unclosed quote"],
        ]
        write_errors(store, OUTPUT, reversed(failures))
        assert b"".join(store.get(key)) == content

    def test_job_without_failures_has_no_errors_file(self, store):
        assert write_errors(store, OUTPUT, []) is None
        assert list(store.list("")) == []

    def test_output_named_errors_csv_is_not_overwritten(self, store):
        assert write_errors(store, "out/errors.csv", [FileFailure("a", None, None, "b")]) == "out/failures.csv"
