"""What gateways are told."""

import json
from dataclasses import replace
from pathlib import Path

from data_plane.host.snapshot import build_routes
from data_plane.replicas.port import Phase
from modelyard.core.domain.deployment import RequestSettings
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.routing import RoutingSnapshot
from tests.data_plane.host.states import generation, observed, wanted, worker

HERE = {"bundle-1": Path("/b/1"), "bundle-2": Path("/b/2")}


def blue(state, runs, bundles=HERE):
    return build_routes(state, runs, bundles)["wines"].deployments.get("blue")


class TestADeploymentsRoute:
    def test_names_ready_workers_in_the_order_of_their_places(self):
        route = blue(wanted(instance_count=2), observed(worker(1), worker(0)))
        assert [each.worker_id for each in route.workers] == ["g1-0", "g1-1"]
        assert (route.generation, route.bundle_dir) == (1, "/b/1")

    def test_leaves_out_whoever_is_not_ready(self):
        for phase in (Phase.STARTING, Phase.LOST, Phase.DRAINING):
            assert blue(wanted(), observed(worker(phase=phase))).workers == ()

    def test_leaves_out_whoever_is_one_too_many(self):
        assert [each.worker_id for each in blue(wanted(), observed(worker(0), worker(1))).workers] == ["g1-0"]

    def test_says_how_many_instances_there_are_whatever_the_workers_of_each(self):
        two_each = generation(1, spec=replace(generation(1).spec, environment_variables={"WORKER_COUNT": "2"}))
        route = blue(wanted(serving=two_each, instance_count=2), observed(*map(worker, range(5))))
        assert route.instance_count == 2
        assert [each.worker_id for each in route.workers] == ["g1-0", "g1-1", "g1-2", "g1-3"]

    def test_says_how_requests_are_batched(self):
        settings = RequestSettings(batching="off", max_batch_delay_seconds=0.01, max_batch_rows=8)
        serving = generation(1, spec=replace(generation(1).spec, request_settings=settings))
        route = blue(wanted(serving=serving), observed())
        assert (route.batching, route.max_batch_delay_seconds, route.max_batch_rows) == ("off", 0.01, 8)

    def test_leads_to_the_serving_generation_alone(self):
        route = blue(wanted(candidate=generation(2)), observed(worker(0, 1), worker(0, 2)))
        assert [each.worker_id for each in route.workers] == ["g1-0"]

    def test_exists_before_any_worker_is_ready(self):
        assert blue(wanted(), observed()).workers == ()

    def test_does_not_exist_before_something_serves(self):
        assert blue(wanted(serving=None, candidate=generation(1)), observed(worker())) is None

    def test_does_not_exist_without_its_bundle(self):
        assert blue(wanted(), observed(worker()), bundles={}) is None

    def test_ends_with_its_deletion(self):
        assert blue(wanted(state=ProvisioningState.DELETING), observed(worker())) is None


class TestASnapshotOnDisk:
    def test_is_read_as_it_was_written(self):
        snapshot = RoutingSnapshot(3, 1, build_routes(wanted(), observed(worker()), HERE))
        assert RoutingSnapshot.from_json(snapshot.to_json()) == snapshot

    def test_of_an_earlier_host_is_read_though_it_says_less(self):
        snapshot = RoutingSnapshot(3, 1, build_routes(wanted(), observed(worker()), HERE))
        document = json.loads(snapshot.to_json())
        route = document["endpoints"]["wines"]["deployments"]["blue"]
        for name in ("instance_count", "batching", "max_batch_delay_seconds", "max_batch_rows"):
            del route[name]
        assert RoutingSnapshot.from_json(json.dumps(document).encode()) == snapshot


class TestAnEndpointsRoute:
    def test_knows_keys_or_a_token_key_but_not_both(self):
        by_key = build_routes(wanted(), observed(), HERE)["wines"]
        by_token = build_routes(wanted(endpoint={"auth_mode": "AMLToken"}), observed(), HERE)["wines"]
        assert (by_key.key_digests, by_key.token_public_key) == (("a", "b"), None)
        assert (by_token.key_digests, by_token.token_public_key) == ((), "public")

    def test_ends_with_its_deletion(self):
        assert build_routes(wanted(endpoint={"state": ProvisioningState.DELETING}), observed(), HERE) == {}
