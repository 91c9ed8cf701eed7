"""What gateways are told."""

from pathlib import Path

from data_plane.host.running import Phase
from data_plane.host.snapshot import build_routes
from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.host.worlds import generation, running, wanted, worker

HERE = {"bundle-1": Path("/b/1"), "bundle-2": Path("/b/2")}


def blue(wish, runs, bundles=HERE):
    return build_routes(wish, runs, bundles)["wines"].deployments.get("blue")


class TestADeploymentsRoute:
    def test_names_ready_workers_in_the_order_of_their_places(self):
        route = blue(wanted(instance_count=2), running(worker(1), worker(0)))
        assert [each.guest_id for each in route.workers] == ["g1-0", "g1-1"]
        assert (route.generation, route.bundle_dir) == (1, "/b/1")

    def test_leaves_out_whoever_is_not_ready(self):
        for phase in (Phase.LOADING, Phase.LOST, Phase.DRAINING):
            assert blue(wanted(), running(worker(phase=phase))).workers == ()

    def test_leaves_out_whoever_is_one_too_many(self):
        assert [each.guest_id for each in blue(wanted(), running(worker(0), worker(1))).workers] == ["g1-0"]

    def test_leads_to_the_serving_generation_alone(self):
        route = blue(wanted(candidate=generation(2)), running(worker(0, 1), worker(0, 2)))
        assert [each.guest_id for each in route.workers] == ["g1-0"]

    def test_exists_before_any_worker_is_ready(self):
        assert blue(wanted(), running()).workers == ()

    def test_does_not_exist_before_something_serves(self):
        assert blue(wanted(serving=None, candidate=generation(1)), running(worker())) is None

    def test_does_not_exist_without_its_bundle(self):
        assert blue(wanted(), running(worker()), bundles={}) is None

    def test_ends_with_its_deletion(self):
        assert blue(wanted(state=ProvisioningState.DELETING), running(worker())) is None


class TestAnEndpointsRoute:
    def test_knows_keys_or_a_token_key_but_not_both(self):
        by_key = build_routes(wanted(), running(), HERE)["wines"]
        by_token = build_routes(wanted(endpoint={"auth_mode": "AMLToken"}), running(), HERE)["wines"]
        assert (by_key.key_digests, by_key.token_public_key) == (("a", "b"), None)
        assert (by_token.key_digests, by_token.token_public_key) == ((), "public")

    def test_ends_with_its_deletion(self):
        assert build_routes(wanted(endpoint={"state": ProvisioningState.DELETING}), running(), HERE) == {}
