"""What the database hears of, and when."""

from dataclasses import replace

from data_plane.host.observed import Preparation
from data_plane.host.reports import (
    Applied,
    DeploymentGone,
    EndpointGone,
    GenerationFailed,
    GenerationReady,
    Scaled,
    ScalingFailed,
    due_reports,
)
from data_plane.replicas.port import Phase
from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.host.states import NOW, broken, generation, observed, slot, wanted, worker

CREATING = {"serving": None, "candidate": generation(1), "state": ProvisioningState.CREATING}
DELETING = {"state": ProvisioningState.DELETING}


class TestACandidate:
    def test_is_ready_when_all_its_workers_are(self):
        state = wanted(**CREATING, instance_count=2)
        assert due_reports(state, observed(worker(0), worker(1, phase=Phase.STARTING))) == ()
        assert due_reports(state, observed(worker(0), worker(1))) == (GenerationReady(101),)

    def test_fails_with_the_models_own_words_and_where_to_read_more(self):
        after = observed(histories={slot(): broken(reason="init failed", final_reason="ValueError: no weights")})
        (report,) = due_reports(wanted(**CREATING), after)
        assert report == GenerationFailed(
            101,
            "ValueError: no weights. The model's log says more: modelyard online-deployment get-logs -n blue -e wines",
        )

    def test_is_not_given_up_for_two_deaths_while_it_loads(self):
        assert due_reports(wanted(**CREATING), observed(histories={slot(): broken(2)})) == ()

    def test_fails_with_its_third_death(self):
        (report,) = due_reports(wanted(**CREATING), observed(histories={slot(): broken(3)}))
        assert report.message.startswith("killed by signal 9 (SIGKILL). ")

    def test_fails_when_its_files_cannot_be_had(self):
        preparation = Preparation()
        for _ in range(3):
            preparation = preparation.failed("the model is missing", now=NOW)
        (report,) = due_reports(wanted(**CREATING), observed(preparations={101: preparation}))
        assert report.message.startswith("the model is missing. ")

    def test_says_nothing_of_what_serves(self):
        assert due_reports(wanted(), observed(histories={slot(): broken(9)})) == ()


class TestAScaling:
    def test_is_over_when_every_place_has_a_ready_worker(self):
        state = wanted(state=ProvisioningState.SCALING, instance_count=2)
        assert due_reports(state, observed(worker(0))) == ()
        assert due_reports(state, observed(worker(0), worker(1))) == (Scaled(7, 2),)

    def test_is_over_when_the_surplus_has_ended(self):
        state = wanted(state=ProvisioningState.SCALING)
        assert due_reports(state, observed(worker(0), worker(1, phase=Phase.DRAINING))) == ()
        assert due_reports(state, observed(worker(0))) == (Scaled(7, 1),)

    def test_is_reported_once(self):
        state = wanted(state=ProvisioningState.SCALING, awaits_revision=2, revision=1)
        assert due_reports(state, observed(worker())) == ()

    def test_fails_when_a_worker_will_not_start(self):
        state = wanted(state=ProvisioningState.SCALING, instance_count=2)
        (report,) = due_reports(state, observed(worker(0), histories={slot(1): broken(3)}))
        assert isinstance(report, ScalingFailed)
        assert (report.deployment_id, report.instance_count) == (7, 2)

    def test_fails_when_nothing_serves(self):
        (report,) = due_reports(wanted(state=ProvisioningState.SCALING, serving=None), observed())
        assert report == ScalingFailed(
            7, 1, "the deployment serves no model yet, so there is nothing to scale; deploy a model first"
        )


class TestARevision:
    def test_is_applied_when_the_gateways_are_current(self):
        state = wanted(revision=5, applied=4)
        assert due_reports(state, observed(worker(), current=False)) == ()
        assert due_reports(state, observed(worker())) == (Applied(5),)

    def test_is_reported_again_for_an_operation_that_still_waits_for_it(self):
        waiting = wanted(revision=5, applied=5, awaits_revision=4, state=ProvisioningState.UPDATING)
        assert due_reports(waiting, observed(worker())) == (Applied(5),)

    def test_is_not_reported_for_a_deployment_that_has_settled(self):
        assert due_reports(wanted(revision=5, applied=5, awaits_revision=4), observed(worker())) == ()


class TestADeletion:
    def test_waits_for_the_gateways(self):
        assert due_reports(wanted(**DELETING), observed(current=False)) == ()

    def test_waits_for_the_workers(self):
        assert due_reports(wanted(**DELETING), observed(worker(phase=Phase.DRAINING))) == ()

    def test_is_over_after_both(self):
        assert due_reports(wanted(**DELETING), observed()) == (DeploymentGone(7),)

    def test_of_an_endpoint_follows_that_of_its_deployments(self):
        state = wanted(**DELETING, endpoint=DELETING)
        assert due_reports(state, observed(worker())) == ()
        assert due_reports(state, observed()) == (DeploymentGone(7), EndpointGone(3))

    def test_of_an_empty_endpoint_needs_the_gateways_alone(self):
        empty = wanted(endpoint={**DELETING, "deployments": ()})
        assert due_reports(empty, replace(observed(), gateways_are_current=False)) == ()
        assert due_reports(empty, observed()) == (EndpointGone(3),)
