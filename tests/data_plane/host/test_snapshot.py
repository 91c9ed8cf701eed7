"""The routing snapshot for the gateways."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_plane.host.snapshot import RouteBuilder, build_routes
from data_plane.host.wanted import Wanted
from data_plane.replicas.port import Phase
from modelyard.core.domain.deployment import RequestSettings
from modelyard.core.domain.derived_tokens import DerivedTokenSigner
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.routing import RoutingSnapshot, SnapshotDecoder, SnapshotEncoder
from modelyard.supervisor.generated_secrets import new_master_key
from tests.data_plane.host.states import generation, observed, wanted, worker

HERE = {"bundle-1": Path("/b/1"), "bundle-2": Path("/b/2")}


def blue(state, runs, bundles=HERE):
    return build_routes(state, runs, bundles)["wines"].deployments.get("blue")


class TestDeploymentRoute:
    def test_route_lists_ready_workers_in_slot_order(self):
        route = blue(wanted(instance_count=2), observed(worker(1), worker(0)))
        assert [each.worker_id for each in route.workers] == ["g1-0", "g1-1"]
        assert (route.generation, route.bundle_dir) == (1, "/b/1")

    def test_route_leaves_out_workers_that_are_not_ready(self):
        for phase in (Phase.STARTING, Phase.LOST, Phase.DRAINING):
            assert blue(wanted(), observed(worker(phase=phase))).workers == ()

    def test_route_leaves_out_surplus_workers(self):
        assert [each.worker_id for each in blue(wanted(), observed(worker(0), worker(1))).workers] == ["g1-0"]

    def test_instance_count_does_not_depend_on_workers_per_instance(self):
        two_each = generation(1, spec=replace(generation(1).spec, environment_variables={"WORKER_COUNT": "2"}))
        route = blue(wanted(serving=two_each, instance_count=2), observed(*map(worker, range(5))))
        assert route.instance_count == 2
        assert [each.worker_id for each in route.workers] == ["g1-0", "g1-1", "g1-2", "g1-3"]

    def test_route_has_the_batching_settings(self):
        settings = RequestSettings(batching="off", max_batch_delay_seconds=0.01, max_batch_rows=8)
        serving = generation(1, spec=replace(generation(1).spec, request_settings=settings))
        route = blue(wanted(serving=serving), observed())
        assert (route.batching, route.max_batch_delay_seconds, route.max_batch_rows) == ("off", 0.01, 8)

    def test_route_leads_to_the_serving_generation_only(self):
        route = blue(wanted(candidate=generation(2)), observed(worker(0, 1), worker(0, 2)))
        assert [each.worker_id for each in route.workers] == ["g1-0"]

    def test_route_exists_before_a_worker_is_ready(self):
        assert blue(wanted(), observed()).workers == ()

    def test_route_does_not_exist_before_a_generation_serves(self):
        assert blue(wanted(serving=None, candidate=generation(1)), observed(worker())) is None

    def test_route_does_not_exist_without_the_bundle(self):
        assert blue(wanted(), observed(worker()), bundles={}) is None

    def test_route_ends_with_the_deletion(self):
        assert blue(wanted(state=ProvisioningState.DELETING), observed(worker())) is None


class TestSnapshotFile:
    def test_snapshot_is_read_as_written(self):
        snapshot = RoutingSnapshot(3, 1, build_routes(wanted(), observed(worker()), HERE))
        assert RoutingSnapshot.from_json(snapshot.to_json()) == snapshot

    def test_keys_of_derived_tokens_are_for_endpoints_that_take_roles(self):
        keys = DerivedTokenSigner(new_master_key()).public_keys
        for auth_mode, expected in (("AADToken", keys), ("Key", ()), ("AMLToken", ())):
            endpoint = wanted(endpoint={"auth_mode": auth_mode})
            snapshot = RoutingSnapshot(3, 1, build_routes(endpoint, observed(), HERE, keys))
            read = RoutingSnapshot.from_json(snapshot.to_json())
            assert read.endpoints["wines"].derived_token_keys == expected

    def test_snapshot_of_an_earlier_host_is_read(self):
        snapshot = RoutingSnapshot(3, 1, build_routes(wanted(), observed(worker()), HERE))
        document = json.loads(snapshot.to_json())
        route = document["endpoints"]["wines"]["deployments"]["blue"]
        for name in ("instance_count", "batching", "max_batch_delay_seconds", "max_batch_rows"):
            del route[name]
        assert RoutingSnapshot.from_json(json.dumps(document).encode()) == snapshot


class TestManyEndpoints:
    """Unchanged endpoints cost nothing: their routes stay the same objects, in the host and in the gateways."""

    @staticmethod
    def many(*names: str, **first: Any) -> Wanted:
        endpoints = [
            wanted(endpoint={"id": number, "name": name, **(first if number == 0 else {})}).endpoints[0]
            for number, name in enumerate(names)
        ]
        return Wanted(revision=1, applied=1, endpoints=tuple(endpoints))

    def test_routes_of_unchanged_endpoints_stay_the_same_objects(self):
        builder, runs = RouteBuilder(), observed(worker())
        before = self.many("a", "b", "c")
        routes = builder.build(before, runs, HERE)
        assert builder.build(before, runs, HERE) is routes
        changed = replace(before.endpoints[0], traffic={})
        after = builder.build(replace(before, endpoints=(changed, *before.endpoints[1:])), runs, HERE)
        assert after["a"].traffic == {}
        assert after["b"] is routes["b"]

    def test_routes_follow_workers_new_endpoints_deletions_and_removals(self):
        builder = RouteBuilder()
        states = [self.many("a", "b"), self.many("a", "b", "c"), self.many("a", state=ProvisioningState.DELETING)]
        for state in (*states, self.many("c"), Wanted(revision=2, applied=2)):
            for runs in (observed(), observed(worker()), observed(worker(phase=Phase.LOST))):
                for bundles in ({}, HERE):
                    assert builder.build(state, runs, bundles) == build_routes(state, runs, bundles)

    def test_decoder_keeps_the_routes_of_unchanged_lines(self):
        encoder, decoder = SnapshotEncoder(), SnapshotDecoder()
        routes = build_routes(self.many("a", "b"), observed(worker()), HERE)
        first = decoder.decode(encoder.encode(RoutingSnapshot(1, 1, routes)))
        changed = {**routes, "a": replace(routes["a"], traffic={})}
        second = decoder.decode(encoder.encode(RoutingSnapshot(2, 2, changed)))
        assert second == RoutingSnapshot(2, 2, changed)
        assert second.endpoints["b"] is first.endpoints["b"]
        third = decoder.decode(encoder.encode(RoutingSnapshot(3, 3, {"b": routes["b"]})))
        assert third.endpoints == {"b": routes["b"]}

    def test_snapshot_is_json_for_gateways_of_the_release_before(self):
        routes = build_routes(self.many("a", 'b",\n"x'), observed(worker()), HERE)
        content = RoutingSnapshot(3, 1, routes).to_json()
        document = json.loads(content)
        assert (document["revision"], document["sequence"], document["endpoints"].keys()) == (3, 1, routes.keys())
        assert RoutingSnapshot.from_json(content).endpoints == routes

    @pytest.mark.parametrize("names", [(), ("a",), ("a", "b")])
    def test_snapshot_of_a_host_that_writes_one_line_is_read(self, names):
        snapshot = RoutingSnapshot(3, 1, build_routes(self.many(*names), observed(worker()), HERE))
        one_line = json.dumps(json.loads(snapshot.to_json()), sort_keys=True).encode()
        assert RoutingSnapshot.from_json(one_line) == snapshot

    @pytest.mark.parametrize("end", [1, 2, 4, 200])
    def test_cut_snapshot_is_refused(self, end):
        content = RoutingSnapshot(3, 1, build_routes(self.many("a", "b"), observed(worker()), HERE)).to_json()
        with pytest.raises((ValueError, KeyError)):
            RoutingSnapshot.from_json(content.rstrip()[:-end])


class TestEndpointRoute:
    def test_route_has_key_digests_or_a_token_key_but_not_both(self):
        by_key = build_routes(wanted(), observed(), HERE)["wines"]
        by_token = build_routes(wanted(endpoint={"auth_mode": "AMLToken"}), observed(), HERE)["wines"]
        assert (by_key.key_digests, by_key.token_public_key) == (("a", "b"), None)
        assert (by_token.key_digests, by_token.token_public_key) == ((), "public")

    def test_route_ends_with_the_deletion(self):
        assert build_routes(wanted(endpoint={"state": ProvisioningState.DELETING}), observed(), HERE) == {}
