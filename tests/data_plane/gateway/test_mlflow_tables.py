"""CSV and Parquet on `/invocations`: the value of each cell, and large, damaged and hostile files."""

import base64
import io
import json
import random
import threading
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas._libs.parsers import STR_NA_VALUES

from data_plane.scoring.tables.csv_body import MISSING
from tests.data_plane.gateway.conftest import StartGateway
from tests.data_plane.gateway.gateway_process import GatewayProcess, Reply
from tests.data_plane.gateway.mlflow_peer import CSV, PARQUET, WITNESS
from tests.data_plane.replicas.worker_harness import eventually

RUN = """
    def init():
        pass

    def run(input_data, params=None):
        return predict(input_data, params)
"""
TYPES = ("long", "double", "boolean", "string", "datetime", "binary")
TYPED = json.dumps([{"type": kind, "name": kind, "required": False} for kind in TYPES])
LONGS = json.dumps([{"type": "long", "name": "n", "required": True}])
COUNTER = """
    def init():
        pass

    def run(input_data, params=None):
        return len(input_data)
"""
LARGE_ROWS = 400_000
# With a wrong byte in the footer: Arrow 25 ends the reading process.
ABORTING = base64.b64decode(
    "UEFSMRUEFQoVCkwVAhUAEgAAAQAAAGEVABUSFRIsFQQVEBUGFQYcAAAAAgAAAAMBAQIAFQQZLDUAGAZzY2hlbWEVAgAVDCUCGAFuJQBMHAAAAB"
    "YEGRwZHCYAHBUMGTUABhAZGAFuFQAWBBZeFl4mLiYIKSwVBBUAFQIAFQAVEBUCADwWAgkGGSYCAgAAABZeFgQmCBZeACggcGFycXVldC1jcHAt"
    "YXJyb3cgdmVyc2lvbiAyNS4wLjEZHBwAAACMAAAAUEFSMQ=="
)


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    typed, _ = module_gateway.deployment(WITNESS + RUN, name="typed", inputs=TYPED)
    unsigned, _ = module_gateway.deployment(WITNESS + RUN, name="unsigned")
    counter, _ = module_gateway.deployment(COUNTER, name="counter", inputs=LONGS)
    module_gateway.endpoint(typed, unsigned, counter)
    module_gateway.publish()
    return module_gateway


def send(gateway: GatewayProcess, deployment: str, body: bytes, media_type: str) -> Reply:
    headers = {"azureml-model-deployment": deployment, "Content-Type": media_type}
    return gateway.request("POST", "/wines/invocations", body, headers)


def given(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return reply.json["predictions"]["given"]["frame"]


def refusal(reply: Reply) -> str:
    assert reply.status == 400, reply
    message: str = reply.json["message"]
    return message


def parquet(table: pa.Table, **options: Any) -> bytes:
    written = io.BytesIO()
    pq.write_table(table, written, **options)
    return written.getvalue()


class TestCsv:
    def test_only_pandas_default_tokens_are_missing_values_in_csv(self) -> None:
        assert set(MISSING) == set(STR_NA_VALUES)

    @pytest.mark.parametrize(
        ("column", "written", "value"),
        [
            ("long", "63", 63),
            ("long", "63.0", 63),
            ("long", "9007199254740993", 9007199254740993),
            ("double", "1e-3", 0.001),
            ("boolean", "TRUE", True),
            ("boolean", "false", False),
            ("string", "007", "007"),
            ("string", "true", "true"),
            ("string", '"NaN?"', "NaN?"),
            ("datetime", "2024-05-31T12:00:00+02:00", "2024-05-31T10:00:00"),
            ("binary", "AP8=", "bytes AP8="),
        ],
    )
    def test_signature_decides_the_type_of_a_csv_value(
        self, gateway: GatewayProcess, column: str, written: str, value: Any
    ) -> None:
        assert given(send(gateway, "typed", f"{column}\n{written}\n".encode(), CSV)) == {column: [value]}

    @pytest.mark.parametrize(
        ("column", "written"),
        [("long", "63.5"), ("long", "x"), ("long", "9223372036854775808"), ("boolean", "yes"), ("boolean", "1.5"),
         ("datetime", "yesterday"), ("binary", "%%%"), ("double", "1e999")],
    )  # fmt: skip
    def test_csv_value_that_the_type_does_not_hold_is_refused_with_column_and_row(
        self, gateway: GatewayProcess, column: str, written: str
    ) -> None:
        reply = send(gateway, "typed", f"{column}\n{written}\n".encode(), CSV)
        assert f"column {column!r}, row 0: expected" in refusal(reply)

    def test_csv_types_without_a_signature_are_inferred_as_by_pandas(self, gateway: GatewayProcess) -> None:
        body = b"a,b,c,d,e\n1,1.5,true,x,\n2,,false,NA,\n"
        reply = send(gateway, "unsigned", body, CSV)
        assert given(reply) == {"a": [1, 2], "b": [1.5, None], "c": [True, False], "d": ["x", None], "e": [None, None]}
        theirs = pd.read_csv(io.BytesIO(body))
        kinds = [str(kind).replace("object", "text").replace("str", "text") for kind in theirs.dtypes]
        assert reply.json["predictions"]["given"]["dtypes"] == kinds

    def test_repeated_csv_column_names_become_distinct_as_in_pandas(self, gateway: GatewayProcess) -> None:
        assert given(send(gateway, "unsigned", b"a,a,,a\n1,2,3,4\n", CSV)) == {
            "a": [1], "a.1": [2], "Unnamed: 2": [3], "a.2": [4],
        }  # fmt: skip

    def test_csv_header_alone_is_a_table_without_rows(self, gateway: GatewayProcess) -> None:
        assert given(send(gateway, "typed", b"long,double", CSV)) == {"long": [], "double": []}

    def test_every_csv_line_of_another_width_is_named(self, gateway: GatewayProcess) -> None:
        message = refusal(send(gateway, "typed", b"long,double\n1,2\n1\n3,4\n1,2,3\n", CSV))
        assert "line 3 has 1, not 2; line 5 has 3, not 2" in message

    @pytest.mark.parametrize("line", [b"\xff,x", b"\xed\xa0\x80", b"1,x,\xc3"])
    def test_csv_line_with_invalid_utf8_is_named(self, gateway: GatewayProcess, line: bytes) -> None:
        assert "line 3 has a byte that is not valid" in refusal(
            send(gateway, "typed", b"long,string\n1,a\n%b\n2,b\n" % line, CSV)
        )

    def test_unclosed_csv_quote_is_named_by_its_line(self, gateway: GatewayProcess) -> None:
        assert "opened in line 3" in refusal(send(gateway, "typed", b'long,string\n1,"a""b"\n2,"x\n3,y\n', CSV))

    def test_quotes_inside_a_csv_value_are_part_of_the_value(self, gateway: GatewayProcess) -> None:
        assert given(send(gateway, "typed", b'string\n5" pipe\n', CSV)) == {"string": ['5" pipe']}

    def test_other_requests_are_answered_while_a_large_csv_is_read(self, gateway: GatewayProcess) -> None:
        large = b"n\n" + b"".join(b"%d\n" % number for number in range(LARGE_ROWS))
        answers: list[Reply] = []
        asking = threading.Thread(target=lambda: answers.append(send(gateway, "counter", large, CSV)))
        asking.start()
        meanwhile = 0
        while not answers and asking.is_alive():
            assert send(gateway, "typed", b"long\n1\n", CSV).status == 200
            meanwhile += 1
        asking.join()
        assert answers[0].json == {"predictions": LARGE_ROWS}
        assert meanwhile > 1


class TestParquet:
    def test_every_parquet_type_becomes_its_declared_type(self, gateway: GatewayProcess) -> None:
        moment = pd.Timestamp("2024-05-31T12:00:00+02:00")
        frame = pd.DataFrame(
            {"long": pd.array([1, 2], dtype="int32"), "double": [1.5, None], "boolean": [True, False],
             "string": pd.Categorical(["x", None]), "datetime": [moment, moment], "binary": [b"\x00\xff", b""]},
        )  # fmt: skip
        assert given(send(gateway, "typed", frame_bytes(frame), PARQUET)) == {
            "long": [1, 2],
            "double": [1.5, None],
            "boolean": [True, False],
            "string": ["x", None],
            "datetime": ["2024-05-31T10:00:00"] * 2,
            "binary": ["bytes AP8=", "bytes "],
        }

    def test_nullable_parquet_integers_without_a_missing_value_are_longs(self, gateway: GatewayProcess) -> None:
        whole = pd.DataFrame({"n": pd.array([1, 2], dtype="Int64")})
        missing = pd.DataFrame({"n": pd.array([1, None], dtype="Int64")})
        assert send(gateway, "counter", frame_bytes(whole), PARQUET).json == {"predictions": 2}
        assert "column 'n', row 1" in refusal(send(gateway, "counter", frame_bytes(missing), PARQUET))

    def test_model_without_a_signature_gets_nested_parquet_values(self, gateway: GatewayProcess) -> None:
        table = pa.table({"l": [["x"], None], "s": [{"a": 1}, {"a": 2}]})
        assert given(send(gateway, "unsigned", parquet(table), PARQUET)) == {
            "l": [["x"], None],
            "s": [{"a": 1}, {"a": 2}],
        }

    @pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
    def test_every_parquet_compression_is_read(self, gateway: GatewayProcess, compression: str) -> None:
        body = parquet(pa.table({"n": list(range(1000))}), compression=compression)
        assert send(gateway, "counter", body, PARQUET).json == {"predictions": 1000}

    def test_parquet_type_without_a_model_input_type_is_named(self, gateway: GatewayProcess) -> None:
        table = pa.table({"wait": pa.array([1], pa.duration("s"))})
        assert "'wait' is of type duration[s]" in refusal(send(gateway, "unsigned", parquet(table), PARQUET))


def frame_bytes(frame: pd.DataFrame) -> bytes:
    written = io.BytesIO()
    frame.to_parquet(written)
    return written.getvalue()


def repeated_text() -> bytes:
    return parquet(pa.table({"n": pa.array(["x" * 1_000_000]).take(pa.array(np.zeros(2000, "i4")))}))


def nested_repeated_text() -> bytes:
    indices = pa.array(np.zeros(2000, "i4"))
    values = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 1_000_000]))
    return parquet(pa.table({"n": pa.ListArray.from_arrays([0, 2000], values)}))


def many_equal_numbers() -> bytes:
    return parquet(pa.table({"n": pa.array(np.zeros(50_000_000, "i1"))}), compression="zstd")


def many_numbers_in_one_row() -> bytes:
    zeros = pa.array(np.zeros(50_000_000, "i1"))
    return parquet(pa.table({"n": pa.ListArray.from_arrays([0, 50_000_000], zeros)}), compression="zstd")


def text_of_shared_beginnings() -> bytes:
    texts = pa.array(["x" * 1_000_000]).take(pa.array(np.zeros(1000, "i4")))
    options = {"use_dictionary": False, "column_encoding": {"n": "DELTA_BYTE_ARRAY"}}
    return parquet(pa.table({"n": texts}), **options)


class TestHostileParquet:
    @pytest.mark.parametrize(
        "make",
        [repeated_text, nested_repeated_text, many_equal_numbers, many_numbers_in_one_row, text_of_shared_beginnings],
    )
    def test_small_parquet_file_that_decompresses_beyond_the_limit_is_refused(
        self, gateway: GatewayProcess, make: Any
    ) -> None:
        body = make()
        assert len(body) < 1 << 20
        process = psutil.Process(gateway.process.pid)
        before = process.memory_info().rss
        refusal(send(gateway, "counter", body, PARQUET))
        assert process.memory_info().rss - before < 200 << 20

    def test_damaged_parquet_file_affects_no_other_request(self, gateway: GatewayProcess) -> None:
        seed = random.randrange(2**32)
        print("seed", seed)
        rng = random.Random(seed)
        whole = parquet(pa.table({"n": list(range(50)), "s": ["a", None] * 25, "l": [[1], []] * 25}))
        for _ in range(20):
            reply = send(gateway, "counter", damaged(whole, rng), PARQUET)
            assert reply.status in {200, 400}, reply
        assert send(gateway, "counter", whole, PARQUET).json == {"predictions": 50}
        assert gateway.process.poll() is None

    def test_parquet_file_that_aborts_its_reader_is_refused(self, gateway: GatewayProcess) -> None:
        for _ in range(3):
            assert "damaged" in refusal(send(gateway, "counter", ABORTING, PARQUET))
        assert send(gateway, "counter", parquet(pa.table({"n": [1, 2]})), PARQUET).json == {"predictions": 2}

    @pytest.mark.parametrize("body", [b"", b"PAR1", b"PAR1PAR1", b"PAR1" + b"\xff" * 8 + b"PAR1"])
    def test_body_that_is_not_parquet_is_refused(self, gateway: GatewayProcess, body: bytes) -> None:
        assert "Parquet" in refusal(send(gateway, "counter", body, PARQUET))

    def test_parquet_process_ends_with_the_gateway(self, start_gateway: StartGateway) -> None:
        gateway = start_gateway()
        gateway.serve(COUNTER, inputs=LONGS)
        assert send(gateway, "blue", frame_bytes(pd.DataFrame({"n": [1]})), PARQUET).status == 200
        readers = psutil.Process(gateway.process.pid).children()
        assert readers
        gateway.process.kill()
        gateway.process.wait()
        eventually(lambda: not any(is_running(reader) for reader in readers))


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def damaged(file: bytes, rng: random.Random) -> bytes:
    changed = bytearray(file)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(4, len(changed) - 4)] = rng.randrange(256)
    return bytes(changed) if rng.random() < 0.8 else bytes(changed[: rng.randrange(len(changed))])
