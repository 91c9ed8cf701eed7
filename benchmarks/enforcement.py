"""Parse and enforce a request with many columns, by Modelyard and by MLflow, in one process and with equal results."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd

from benchmarks.figures import percentile
from benchmarks.models import SavedModel
from benchmarks.servers.server import split
from data_plane.scoring.signature import CompiledSignature, Enforced, compile_signature
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.inputs import read_input
from modelyard.core.domain.mlmodel import parse_mlmodel

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Enforcement:
    columns: int
    rows: int
    ours_ms: float
    mlflow_ms: float
    is_equal: bool
    """Whether the model receives equal frames, values and dtypes included."""

    @property
    def ratio(self) -> float:
        return self.mlflow_ms / self.ours_ms


def compare(model: SavedModel, rows: int) -> Enforcement:
    frame = model.frames(rows, 1)[0]
    signature = _compiled(model)
    our_body = json.dumps({"input_data": split(frame)}).encode()
    their_body = json.dumps({"dataframe_split": split(frame)}).encode()
    theirs = _mlflows(model)
    return Enforcement(
        columns=len(frame.columns),
        rows=rows,
        ours_ms=_milliseconds(lambda: _ours(signature, our_body)),
        mlflow_ms=_milliseconds(lambda: theirs(their_body)),
        is_equal=_as_the_worker_reads(_ours(signature, our_body)).equals(theirs(their_body)),
    )


def _compiled(model: SavedModel) -> CompiledSignature:
    read = parse_mlmodel((model.folder / "MLmodel").read_bytes())
    return compile_signature(read.signature, type_hints=read.type_hints)


def _ours(signature: CompiledSignature, body: bytes) -> Enforced:
    return signature.enforce(orjson.loads(body)["input_data"], None)


def _mlflows(model: SavedModel) -> Callable[[bytes], pd.DataFrame]:
    """Return the steps of MLflow's scoring server before the call of the model."""
    import mlflow.models
    from mlflow.models.utils import _enforce_schema
    from mlflow.pyfunc.scoring_server import _parse_json_data

    metadata = mlflow.models.Model.load(str(model.folder))
    schema = metadata.get_input_schema()  # type: ignore[no-untyped-call]

    def parse_and_enforce(body: bytes) -> pd.DataFrame:
        parsed: Any = _parse_json_data(body.decode(), metadata, schema)  # type: ignore[no-untyped-call]
        enforced: pd.DataFrame = _enforce_schema(parsed.data, schema)
        return enforced

    return parse_and_enforce


def _as_the_worker_reads(enforced: Enforced) -> pd.DataFrame:
    reader = FrameReader()
    frames = [frame for buffer in encode_score(enforced.payload, request_id=1) for frame in reader.feed(buffer)]
    read: pd.DataFrame = read_input(unpack_meta(frames[0].meta)["payload"], frames[0].body)
    return read


def _milliseconds(call: Callable[[], object]) -> float:
    """Return the median duration over two seconds of calls."""
    call()
    times, ends_at = [], time.perf_counter() + _SECONDS
    while (begun := time.perf_counter()) < ends_at:
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return percentile(times, 50)
