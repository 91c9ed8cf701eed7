import csv
import io
import json
import math

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.batch.output import PartWriter, WrongResult
from data_plane.scoring.payload.text_column import TextColumn
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result
from modelyard.core.domain.batch import BatchSettings, OutputAction, OutputFormat
from tests.data_plane.batch.written_output import Answered, azure_frame, most_memory, part

AZURE = BatchSettings()
# Long fields are read back too.
csv.field_size_limit(1 << 27)


def lines(result: Result, rows: int, file: str = "heart.csv", first_row: int = 0) -> list[str]:
    return part([Answered(rows, result, file, first_row)], AZURE).decode().split("\n")[:-1]


def predictions(result: Result, rows: int) -> list[str]:
    """Return the fields of the middle column as a CSV reader gets them."""
    content = part([Answered(rows, result)], AZURE).decode()
    read = list(csv.reader(io.StringIO(content, newline="")))
    assert [row[0] for row in read] == [str(row) for row in range(rows)]
    assert {row[2] for row in read} <= {"heart.csv"}
    return [row[1] for row in read]


def columns(*named: Column) -> FrameResult:
    return FrameResult(named, len(named[0].values))


def as_json(value: object) -> JsonResult:
    return JsonResult(json.dumps(value).encode())


class TestAzureRows:
    def test_line_is_row_prediction_and_path_without_a_header(self):
        expected = ["7,1,a/b/heart.csv", "8,0,a/b/heart.csv"]
        assert lines(ArrayResult(np.array([1, 0])), 2, "a/b/heart.csv", 7) == expected

    def test_pandas_reads_the_file_as_in_azures_notebooks(self):
        content = part([Answered(3, ArrayResult(np.array([0.5, 1.0, 0.1 + 0.2])))], AZURE)
        frame = azure_frame(content)
        assert frame["row"].tolist() == [0, 1, 2]
        assert frame["prediction"].tolist() == [0.5, 1.0, 0.1 + 0.2]
        assert frame["file"].tolist() == ["heart.csv"] * 3

    def test_row_numbers_restart_with_each_file(self):
        answers = [
            Answered(1, ArrayResult(np.array([1])), "a.csv"),
            Answered(1, ArrayResult(np.array([2])), "b.csv", 4),
        ]
        assert part(answers, AZURE) == b"0,1,a.csv\n4,2,b.csv\n"

    def test_file_without_rows_writes_nothing(self):
        for empty in (ArrayResult(np.zeros(0)), ArrayResult(np.zeros((0, 3))), JsonResult(b"[]"), FrameResult((), 0)):
            assert part([Answered(0, empty)], AZURE) == b""


class TestNumbers:
    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50))
    def test_doubles_are_written_as_python_writes_them(self, numbers):
        assert predictions(ArrayResult(np.array(numbers)), len(numbers)) == list(map(repr, numbers))

    def test_exponents_are_written_as_python_writes_them(self):
        numbers = [1e-4, 9.999e-5, 1e-5, 9.999e-6, 5e-324, 9999999999999998.0, 1e16, 1.5e16, 9.9e16, 1e17, 1.7e308, 0.0]
        assert predictions(ArrayResult(np.array(numbers)), len(numbers)) == list(map(repr, numbers))

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50))
    def test_single_precision_reads_back_as_the_same_number(self, numbers):
        written = predictions(ArrayResult(np.array(numbers, np.float32)), len(numbers))
        assert list(map(float, written)) == numbers

    def test_random_doubles_read_back_bit_by_bit(self):
        numbers = np.random.default_rng(4).integers(0, 2**64, 20_000, np.uint64).view(np.float64)
        numbers = numbers[np.isfinite(numbers)]
        written = predictions(ArrayResult(numbers), len(numbers))
        assert np.array_equal(np.array(list(map(float, written))).view(np.int64), numbers.view(np.int64))
        assert written == list(map(repr, numbers.tolist()))

    def test_nan_is_missing_and_infinity_reads_back(self):
        result = ArrayResult(np.array([math.nan, math.inf, -math.inf, -0.0]))
        assert lines(result, 4) == ["0,,heart.csv", "1,inf,heart.csv", "2,-inf,heart.csv", "3,-0.0,heart.csv"]
        read = azure_frame(part([Answered(4, result)], AZURE))["prediction"].tolist()
        assert math.isnan(read[0])
        assert read[1:] == [math.inf, -math.inf, 0.0]

    @pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
    def test_integers_of_every_width_read_back(self, dtype):
        info = np.iinfo(dtype)
        assert predictions(ArrayResult(np.array([info.min, info.max], dtype)), 2) == [str(info.min), str(info.max)]

    def test_half_precision_is_widened(self):
        assert predictions(ArrayResult(np.array([0.5, 65504], "f2")), 2) == ["0.5", "65504.0"]

    def test_booleans_are_written_as_in_python(self):
        assert predictions(ArrayResult(np.array([True, False])), 2) == ["True", "False"]

    def test_array_of_one_column_is_single_values(self):
        assert predictions(ArrayResult(np.array([[1.5], [2.0]])), 2) == ["1.5", "2.0"]


class TestSeveralValuesPerRow:
    def test_row_of_an_array_is_json(self):
        result = ArrayResult(np.array([[0.25, 1e-7], [math.nan, math.inf]]))
        assert predictions(result, 2) == ["[0.25,1e-07]", "[null,null]"]

    @pytest.mark.parametrize("shape", [(2, 3), (2, 2, 3), (3, 1, 2, 2), (2, 0), (2, 2, 0), (4, 0, 2), (1, 1, 1)])
    def test_arrays_of_any_shape_are_json(self, shape):
        array = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
        assert [json.loads(text) for text in predictions(ArrayResult(array), shape[0])] == array.tolist()

    def test_row_with_more_values_than_a_block_is_written(self):
        array = np.arange(1_400_000, dtype=np.float32).reshape(2, 700_000)
        assert [json.loads(text) for text in predictions(ArrayResult(array), 2)] == array.tolist()

    def test_row_of_a_table_is_a_json_record(self):
        result = columns(
            Column("a", "long", np.array([1, 2]), np.array([False, True])),
            Column('say "b"', "string", ['q"', None]),
            Column(3, "boolean", np.array([True, False])),
        )
        assert [json.loads(text) for text in predictions(result, 2)] == [
            {"a": 1, 'say "b"': 'q"', "3": True},
            {"a": None, 'say "b"': None, "3": False},
        ]

    def test_table_of_one_column_is_single_values(self):
        assert predictions(columns(Column("risk", "double", np.array([0.5, 1.0]))), 2) == ["0.5", "1.0"]

    def test_table_without_columns_has_empty_records(self):
        assert predictions(FrameResult((), 2), 2) == ["{}", "{}"]


class TestColumns:
    def test_text_from_the_worker_is_written(self):
        data = "ä,b".encode()
        texts = TextColumn(memoryview(data), np.array([0, 2, len(data), len(data)]))
        column = Column("t", "string", texts, np.array([False, False, True]))
        assert lines(columns(column), 3) == ["0,ä,heart.csv", '1,",b",heart.csv', "2,,heart.csv"]

    def test_datetimes_are_iso_with_their_own_digits(self):
        moments = np.array(["2026-11-21T08:59:06.000000001", "2026-11-21", "NaT"], "datetime64[ns]")
        written = predictions(columns(Column("t", "datetime", moments)), 3)
        assert written == ["2026-11-21T08:59:06.000000001", "2026-11-21T00:00:00", ""]
        assert pd.to_datetime(written[0]) == pd.Timestamp(moments[0])

    def test_bytes_are_base64_and_json_is_json(self):
        result = columns(Column("b", "binary", [b"\xff\x00", None]), Column("j", "json", [{"x": [1]}, None]))
        assert [json.loads(text) for text in predictions(result, 2)] == [
            {"b": "/wA=", "j": {"x": [1]}},
            {"b": None, "j": None},
        ]


class TestJsonResults:
    def test_mixed_values_are_written_one_by_one(self):
        values = [1, 2.0, 1e22, True, None, "text", [1, 2.5], {"a": "ü"}, 2**63, 12345678901234567890123]
        assert predictions(as_json(values), len(values)) == [
            *("1", "2.0", "1e+22", "True", "", "text", "[1,2.5]", '{"a":"ü"}'),
            *("9223372036854775808", "12345678901234567890123"),
        ]

    @pytest.mark.parametrize("values", [[1, None, 3], [0.5, None, 1.0], [True, None], ["a", None, ""], [2**63, 1]])
    def test_values_of_one_type_are_written_as_in_a_mixed_column(self, values):
        among = predictions(as_json([*values, {}]), len(values) + 1)
        assert predictions(as_json(values), len(values)) == among[:-1]

    def test_dict_of_lists_is_a_table(self):
        assert predictions(as_json({"a": [1, 2], "b": ["x", None]}), 2) == ['{"a":1,"b":"x"}', '{"a":2,"b":null}']


AWKWARD = [
    "",
    " ",
    ",",
    '"',
    '""',
    "\n",
    "\r",
    "a\r\nb",
    'say "hi", twice\n',
    "nul\0nul",
    "=1+1",
    "\ufeff",
    "\u2028",
    "'",
]


class TestText:
    @pytest.mark.parametrize("text", AWKWARD)
    def test_awkward_text_reads_back(self, text):
        assert predictions(as_json([text, "next"]), 2) == [text, "next"]

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.text(), min_size=1, max_size=10))
    def test_any_text_reads_back(self, texts):
        assert predictions(as_json(texts), len(texts)) == texts
        content = part([Answered(len(texts), as_json(texts))], AZURE)
        assert azure_frame(content, keep_default_na=False, dtype=str)["prediction"].tolist() == texts

    def test_half_a_surrogate_pair_becomes_the_replacement_character(self):
        assert predictions(JsonResult(b'["\\ud800", "a", ["\\udfff"]]'), 3) == ["\ufffd", "a", '["\ufffd"]']
        assert predictions(JsonResult(b'["\\ud800", "a"]'), 2) == ["\ufffd", "a"]

    def test_empty_text_differs_from_a_missing_value(self):
        assert lines(as_json(["", None]), 2) == ['0,"",heart.csv', "1,,heart.csv"]

    def test_large_text_reads_back(self):
        texts = ["x" * 5_000_000 + '"', "y"]
        assert predictions(as_json(texts), 2) == texts

    @pytest.mark.parametrize("name", ["a,b.csv", 'say "hi".csv', "two\nlines.csv", "ä ö.csv", "=cmd().csv"])
    def test_awkward_file_names_read_back(self, name):
        content = part([Answered(2, as_json([1, 2]), name)], AZURE)
        assert azure_frame(content)["file"].tolist() == [name, name]

    def test_file_name_outside_utf_8_is_written_as_utf_8(self):
        broken = b"caf\xe9.csv".decode("utf-8", "surrogateescape")
        assert lines(as_json([1]), 1, broken) == ["0,1,caf\ufffd.csv"]


class TestWrongResults:
    @pytest.mark.parametrize(
        ("result", "said"),
        [
            (ArrayResult(np.zeros((2, 3))), "an array of shape (2, 3)"),
            (ArrayResult(np.array(1.0)), "an array of shape ()"),
            (columns(Column("a", "long", np.array([1]))), "a DataFrame of 1 row"),
            (as_json([1, 2]), "a list of length 2"),
            (as_json({"predictions": [1, 2]}), "a dict"),
            (as_json("yes"), "one value"),
        ],
    )
    def test_result_without_one_entry_per_row_names_the_expected_length(self, result, said):
        writer = PartWriter(AZURE, None)
        with pytest.raises(WrongResult) as refused:
            writer.add("data/heart.csv", 100, 3, result)
        assert str(refused.value) == (
            f"the model was given 3 rows of 'data/heart.csv', from row 100 on, and answered with {said}; "
            "predict must return one entry per row: an array, a list or a DataFrame of length 3"
        )
        assert (writer.rows, b"".join(writer.content())) == (0, b"")

    @pytest.mark.parametrize("depth", [1020, 100_000])
    def test_too_deeply_nested_lists_are_rejected_and_leave_no_rows(self, depth):
        writer = PartWriter(AZURE, None)
        deep = b"[" + b"1," * 70_000 + b"[" * depth + b"]" * depth + b"]"
        with pytest.raises(WrongResult):
            writer.add("a.csv", 0, 70_001, JsonResult(deep))
        assert (writer.rows, b"".join(writer.content())) == (0, b"")

    def test_wrong_result_is_rejected_for_summary_only(self):
        writer = PartWriter(BatchSettings(output_action=OutputAction.SUMMARY_ONLY), None)
        with pytest.raises(WrongResult):
            writer.add("a.csv", 0, 3, ArrayResult(np.zeros(2)))


class TestSingleInputFiles:
    @pytest.mark.parametrize(
        ("result", "prediction"),
        [
            (ArrayResult(np.array([[0.25, 0.75]])), "[0.25,0.75]"),
            (ArrayResult(np.array([0.25, 0.75])), "[0.25,0.75]"),
            (ArrayResult(np.array([7])), "7"),
            (ArrayResult(np.array(7)), "7"),
            (as_json(["cat"]), "cat"),
            (as_json("cat"), "cat"),
            (as_json(["cat", "dog"]), '["cat","dog"]'),
            (as_json({"label": "cat"}), '{"label":"cat"}'),
            (columns(Column("label", "string", ["cat"])), "cat"),
            (columns(Column("label", "string", ["cat", "dog"])), '[{"label":"cat"},{"label":"dog"}]'),
        ],
    )
    def test_whole_result_is_the_files_prediction(self, result, prediction):
        writer = PartWriter(AZURE, None)
        writer.add("images/cat.png", 0, 1, result, is_single=True)
        assert list(csv.reader([b"".join(writer.content()).decode()])) == [["0", prediction, "images/cat.png"]]


class TestPartWriter:
    def test_writer_counts_rows(self):
        writer = PartWriter(AZURE, None)
        for rows in (2, 3):
            writer.add("a.csv", 0, rows, ArrayResult(np.zeros(rows)))
        assert writer.rows == 5

    def test_content_may_be_read_twice_and_extended(self):
        writer = PartWriter(AZURE, None)
        writer.add("a.csv", 0, 1, ArrayResult(np.array([1])))
        assert b"".join(writer.content()) == b"".join(writer.content()) == b"0,1,a.csv\n"
        writer.add("a.csv", 1, 1, ArrayResult(np.array([2])))
        assert b"".join(writer.content()) == b"0,1,a.csv\n1,2,a.csv\n"

    def test_summary_only_counts_rows_and_keeps_none(self):
        writer = PartWriter(BatchSettings(output_action=OutputAction.SUMMARY_ONLY), None)
        writer.add("a.csv", 0, 2, ArrayResult(np.zeros(2)))
        assert (writer.rows, b"".join(writer.content())) == (2, b"")

    @pytest.mark.parametrize("output_format", list(OutputFormat))
    @pytest.mark.parametrize("rows", [3, 600_000])
    def test_going_back_to_a_mark_removes_a_bad_files_rows(self, output_format, rows):
        writers = [PartWriter(BatchSettings(output_format=output_format), None) for _ in range(2)]
        for writer in writers:
            writer.add("good.csv", 0, 2, ArrayResult(np.array([1.0, 2.0])))
        mark = writers[0].mark()
        writers[0].add("bad.csv", 0, rows, ArrayResult(np.zeros(rows)))
        writers[0].rewind(mark)
        for writer in writers:
            writer.add("other.csv", 0, 1, ArrayResult(np.array([3.0])))
        assert writers[0].rows == writers[1].rows == 3
        assert b"".join(writers[0].content()) == b"".join(writers[1].content())

    def test_large_part_is_not_held_in_memory(self):
        rows, numbers = 50_000, np.random.default_rng(0).random((50_000, 8))
        with most_memory() as most:
            writer = PartWriter(AZURE, None)
            for number in range(15):
                writer.add("a.csv", number * rows, rows, ArrayResult(numbers))
            assert sum(map(len, writer.content())) > 120_000_000
        assert most() < 100_000_000

    def test_json_of_a_row_is_read_by_orjson(self):
        numbers = np.random.default_rng(1).integers(0, 2**64, 6000, np.uint64).view(np.float64).reshape(-1, 3)
        for text, row in zip(predictions(ArrayResult(numbers), len(numbers)), numbers.tolist(), strict=True):
            assert orjson.loads(text) == [number if math.isfinite(number) else None for number in row]
