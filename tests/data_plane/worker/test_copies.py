"""Large frames on the way to the model: a buffer per column or block, and no copies but the socket's."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_plane.scoring.payload.values import (
    ArrayPayload,
    ArraysPayload,
    BlockPayload,
    Column,
    FramePayload,
    JsonResult,
    Payload,
)
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import Frame, FrameReader, unpack_meta
from data_plane.worker.inputs import read_input
from tests.data_plane.replicas.worker_harness import PATIENCE, WorkerHarness

ROWS = 100_000
MEGABYTE = 1 << 20

# Memory in bytes that the worker needed beyond its need before the first frame.
MEASURED = """
    import re

    def status(name):
        with open("/proc/self/status") as lines:
            return int(re.search(name + r":\\s+(\\d+) kB", lines.read())[1]) << 10

    def init():
        import pandas
        pandas.DataFrame({"a": [1.0]})

    def run(input_data, params=None):
        if params == "now":
            return status("VmRSS")
        return [float(input_data.iloc[-1, -1]), status("VmHWM")]
"""


def sent(payload: Payload) -> list[Any]:
    return encode_score(payload, request_id=1)


def received(payload: Payload) -> tuple[Any, Frame]:
    (frame,) = FrameReader().feed(b"".join(sent(payload)))
    return read_input(unpack_meta(frame.meta)["payload"], frame.body), frame


def doubles() -> np.ndarray:
    return np.arange(ROWS, dtype="f8")


class TestGatewaySide:
    @pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4"])
    def test_column_is_sent_without_a_copy(self, dtype: str) -> None:
        names = {"f8": "double", "f4": "float", "i8": "long", "i4": "integer"}
        values = np.arange(ROWS).astype(dtype)
        buffers = sent(FramePayload((Column("a", names[dtype], values),), ROWS))  # type: ignore[arg-type]
        assert any(np.shares_memory(values, np.frombuffer(buffer, "u1")) for buffer in buffers)

    def test_block_is_sent_as_one_buffer(self) -> None:
        block = np.arange(10.0 * ROWS).reshape(10, ROWS)
        head, data = sent(BlockPayload(tuple("abcdefghij"), "double", block))
        assert np.shares_memory(block, np.frombuffer(data, "u1"))
        assert len(head) < 1000

    def test_tensor_is_sent_without_a_copy(self) -> None:
        tensor = np.zeros((ROWS, 3), dtype="f4")
        _, data = sent(ArraysPayload({"x": tensor}))
        assert np.shares_memory(tensor, np.frombuffer(data, "u1"))

    def test_texts_and_bytes_are_sent_concatenated(self) -> None:
        size = sum(map(len, sent(FramePayload((Column("s", "string", ["ab"] * ROWS),), ROWS))))
        assert size < ROWS * (2 + 8) + 1000
        size = sum(map(len, sent(FramePayload((Column("b", "binary", [b"\xff\x00"] * ROWS),), ROWS))))
        assert size < ROWS * (2 + 8) + 1000

    def test_nested_values_are_sent_as_json_without_spaces(self) -> None:
        size = sum(map(len, sent(FramePayload((Column("j", "json", [{"a": [1, 2]}] * ROWS),), ROWS))))
        assert size < ROWS * (len('{"a":[1,2]}') + 8) + 1000


class TestModelSide:
    def test_column_lies_in_the_frame(self) -> None:
        frame, wire = received(
            FramePayload((Column("a", "double", doubles()), Column("s", "string", ["x"] * ROWS)), ROWS)
        )
        assert np.shares_memory(frame["a"].to_numpy(), np.frombuffer(wire.body, "u1"))

    def test_block_lies_in_the_frame(self) -> None:
        frame, wire = received(BlockPayload(("a", "b"), "double", np.arange(2.0 * ROWS).reshape(2, ROWS)))
        assert isinstance(frame, pd.DataFrame)
        for name in frame:
            assert np.shares_memory(frame[name].to_numpy(), np.frombuffer(wire.body, "u1"))
        assert np.shares_memory(frame.to_numpy(), np.frombuffer(wire.body, "u1"))

    def test_array_lies_in_the_frame_and_is_writable(self) -> None:
        array, wire = received(ArrayPayload(np.zeros((ROWS, 3), dtype="f4")))
        assert np.shares_memory(array, np.frombuffer(wire.body, "u1"))
        assert array.flags.writeable


@pytest.fixture
def harness() -> Iterator[WorkerHarness]:
    with tempfile.TemporaryDirectory(prefix="my-harness-") as folder:
        harness = WorkerHarness(Path(folder), Path(sys.executable))
        yield harness
        harness.end()


def test_worker_needs_little_more_memory_than_the_frame(harness: WorkerHarness) -> None:
    _, connection = harness.ready(MEASURED)
    block = np.ones((10, MEGABYTE))
    small = BlockPayload(("a",), "double", np.ones((1, 1)))
    before = _number(connection.score(small, params="now", timeout=PATIENCE))
    result = connection.score(BlockPayload(tuple("abcdefghij"), "double", block), timeout=PATIENCE)
    assert isinstance(result, JsonResult)
    last, peak = json.loads(result.text)
    assert last == 1.0
    assert peak - before < 1.6 * block.nbytes


def _number(result: Any) -> int:
    return int(result.text)
