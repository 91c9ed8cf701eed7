"""A difference between arrays and DataFrames that one worker finds turns the shortcut off for the generation."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.data_plane.gateway.gateway_process import GatewayProcess
from tests.data_plane.replicas.worker_harness import eventually
from tests.data_plane.worker.shortcut_models import SCRIPT

COLUMNS = json.dumps([{"type": "double", "name": name, "required": True} for name in "abcd"])
FOUND = "Array shortcut off from now on: the result from an array was not the same"
TOLD = "Array shortcut off from now on: another worker of the generation found a difference"


def test_other_workers_of_the_generation_turn_the_shortcut_off(gateway: GatewayProcess) -> None:
    workers = gateway.serve(SCRIPT, instances=2, inputs=COLUMNS)
    assert gateway.score(_row(42.0)).status == 200
    with ThreadPoolExecutor(8) as threads:

        def both_are_off() -> bool:
            assert {answer.status for answer in threads.map(gateway.score, [_row(1.0)] * 8)} == {200}
            logs = [worker.log.read_text() for worker in workers]
            return any(FOUND in log for log in logs) and any(TOLD in log for log in logs)

        eventually(both_are_off)


def _row(first: float) -> dict[str, Any]:
    return {"columns": list("abcd"), "data": [[first, 0.0, 0.0, 0.0]]}
