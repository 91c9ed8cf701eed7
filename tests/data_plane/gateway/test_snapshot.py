"""The routing file: a newer snapshot is applied and reported; an older or unreadable snapshot is ignored."""

import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from data_plane.gateway.snapshot_watcher import SnapshotWatcher
from modelyard.core.domain.routing import RoutingSnapshot
from tests.data_plane.gateway.gateway_process import KEY, MIRROR, GatewayProcess, digest
from tests.data_plane.replicas.worker_harness import eventually

CONSTANT = """
    def init():
        pass

    def run(input_data, params=None):
        return "{}"
"""


def test_a_newer_snapshot_is_applied_and_reported(new_gateway: GatewayProcess) -> None:
    new_gateway.serve(MIRROR)
    assert json.loads(new_gateway.applied_file.read_text()) == {
        "version": 1,
        "pid": new_gateway.process.pid,
        "revision": 1,
        "sequence": 0,
    }
    assert stat.S_IMODE(new_gateway.applied_file.stat().st_mode) == 0o600
    new_gateway.endpoint(*new_gateway.endpoints["wines"].deployments.values(), key_digests=(digest("new"),))
    new_gateway.publish()
    assert new_gateway.score([1]).status == 401
    assert new_gateway.score([1], headers={"Authorization": "Bearer new"}).status == 200


def test_an_older_snapshot_is_ignored(tmp_path: Path) -> None:
    applied: list[tuple[int, int]] = []
    file, report = tmp_path / "routing.json", tmp_path / "gateway-0.applied"
    watcher = SnapshotWatcher(file, report, lambda snapshot: applied.append(snapshot.order))
    watcher.look()
    for order in [(5, 2), (5, 1), (4, 9), (5, 2), (5, 3), (3, 0), (6, 0)]:
        file.with_suffix(".new").write_bytes(RoutingSnapshot(*order).to_json())
        file.with_suffix(".new").rename(file)
        watcher.look()
        watcher.look()
    assert applied == [(5, 2), (5, 3), (6, 0)]
    assert json.loads(report.read_text()) == {"version": 1, "pid": os.getpid(), "revision": 6, "sequence": 0}


def test_the_sequence_counts_within_a_revision(new_gateway: GatewayProcess) -> None:
    new_gateway.serve(MIRROR)
    new_gateway.write(RoutingSnapshot(1, 1, {}))
    eventually(lambda: new_gateway.applied() == (1, 1))
    assert new_gateway.score([1]).status == 404
    new_gateway.write(RoutingSnapshot(1, 0, new_gateway.endpoints))
    new_gateway.write(RoutingSnapshot(2, 0, new_gateway.endpoints))
    eventually(lambda: new_gateway.applied() == (2, 0))
    assert new_gateway.score([1]).status == 200


def test_unreadable_routing_file_keeps_the_last_snapshot(gateway: GatewayProcess) -> None:
    gateway.serve(MIRROR)
    for content in (b"", b"{", b'{"revision": 9}', b"[]"):
        writing = gateway.harness.data_dir.run / "broken"
        writing.write_bytes(content)
        writing.rename(gateway.harness.data_dir.routing_file)
        assert gateway.score([1]).status == 200
    eventually(lambda: "cannot be read" in gateway.log.read_text())
    gateway.publish()
    assert gateway.score([1]).status == 200


def test_restarted_gateway_applies_the_last_snapshot(start_gateway: Callable[[], GatewayProcess]) -> None:
    first = start_gateway()
    first.serve(MIRROR)
    second = start_gateway()
    assert second.score([1]).status == 200


def test_deployment_with_a_missing_bundle_does_not_affect_other_deployments(gateway: GatewayProcess) -> None:
    good, _ = gateway.deployment(MIRROR, name="good")
    gateway.endpoint(good, replace(good, name="broken", bundle_dir="/nowhere"))
    gateway.publish()
    assert gateway.score([1]).status == 200
    reply = gateway.score([1], headers={"azureml-model-deployment": "broken"})
    assert (reply.status, reply.error["code"]) == (503, "DeploymentBroken")
    assert "retry-after" not in reply.headers


def test_next_snapshot_tries_an_unusable_bundle_again(gateway: GatewayProcess, tmp_path: Path) -> None:
    good, _ = gateway.deployment(MIRROR, name="good")
    late = tmp_path / "late"
    gateway.endpoint(replace(good, bundle_dir=str(late)))
    gateway.publish()
    assert gateway.score([1]).status == 503
    shutil.copytree(good.bundle_dir, late)
    gateway.publish()
    assert gateway.score([1]).status == 200


def test_weights_divide_the_traffic(gateway: GatewayProcess) -> None:
    routes = [gateway.deployment(CONSTANT.format(name), name=name)[0] for name in ("blue", "green", "grey")]
    gateway.endpoint(*routes, traffic={"blue": 75, "green": 25, "grey": 0})
    gateway.publish()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    answers: Counter[str] = Counter()
    with closing(gateway.connection()) as connection:
        for _ in range(400):
            connection.request("POST", "/wines/score", '{"input_data": [1]}', headers)
            answers[json.loads(connection.getresponse().read())] += 1
    # Six standard deviations to either side.
    assert 248 <= answers["blue"] <= 352
    assert answers["blue"] + answers["green"] == 400
