"""Input of models with type hints: the JSON value goes to the worker as is, and MLflow validates the value there."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from data_plane.scoring.payload.values import JsonPayload, Payload
from data_plane.scoring.signature.json_values import can_be_sent
from data_plane.scoring.signature.table import Table
from data_plane.scoring.signature.violations import ViolationCollector

_JSON = "a JSON value, because the model declares its input by a type hint"


class RawInputs:
    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        return JsonPayload(input_data) if can_be_sent(input_data, collector) else None

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        collector.add(None, None, _JSON, "a table")
        return None

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        if len(arrays) != 1:
            collector.add(None, None, f"one tensor, or {_JSON}", f"{len(arrays)} tensors")
            return None
        (array,) = arrays.values()
        return self.from_json(array.tolist(), collector)
