"""The reports to the database, and when they are due."""

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


class TestCandidate:
    def test_candidate_is_ready_with_all_its_workers(self):
        state = wanted(**CREATING, instance_count=2)
        assert due_reports(state, observed(worker(0), worker(1, phase=Phase.STARTING))) == ()
        assert due_reports(state, observed(worker(0), worker(1))) == (GenerationReady(101),)

    def test_failed_candidate_reports_the_models_error_and_the_log_command(self):
        after = observed(histories={slot(): broken(reason="init failed", final_reason="ValueError: no weights")})
        (report,) = due_reports(wanted(**CREATING), after)
        assert report == GenerationFailed(
            101,
            "ValueError: no weights. The model's log says more: modelyard online-deployment get-logs -n blue -e wines",
        )

    def test_two_deaths_while_loading_do_not_fail_the_candidate(self):
        assert due_reports(wanted(**CREATING), observed(histories={slot(): broken(2)})) == ()

    def test_third_death_fails_the_candidate(self):
        (report,) = due_reports(wanted(**CREATING), observed(histories={slot(): broken(3)}))
        assert report.message.startswith("killed by signal 9 (SIGKILL). ")

    def test_missing_files_fail_the_candidate(self):
        preparation = Preparation()
        for _ in range(3):
            preparation = preparation.failed("the model is missing", now=NOW)
        (report,) = due_reports(wanted(**CREATING), observed(preparations={101: preparation}))
        assert report.message.startswith("the model is missing. ")

    def test_failures_of_the_serving_generation_are_not_reported(self):
        assert due_reports(wanted(), observed(histories={slot(): broken(9)})) == ()


class TestScaling:
    def test_scaling_up_ends_with_a_ready_worker_in_every_slot(self):
        state = wanted(state=ProvisioningState.SCALING, instance_count=2)
        assert due_reports(state, observed(worker(0))) == ()
        assert due_reports(state, observed(worker(0), worker(1))) == (Scaled(7, 2),)

    def test_scaling_down_ends_with_the_end_of_surplus_workers(self):
        state = wanted(state=ProvisioningState.SCALING)
        assert due_reports(state, observed(worker(0), worker(1, phase=Phase.DRAINING))) == ()
        assert due_reports(state, observed(worker(0))) == (Scaled(7, 1),)

    def test_scaling_is_reported_once(self):
        state = wanted(state=ProvisioningState.SCALING, awaits_revision=2, revision=1)
        assert due_reports(state, observed(worker())) == ()

    def test_worker_that_does_not_start_fails_the_scaling(self):
        state = wanted(state=ProvisioningState.SCALING, instance_count=2)
        (report,) = due_reports(state, observed(worker(0), histories={slot(1): broken(3)}))
        assert isinstance(report, ScalingFailed)
        assert (report.deployment_id, report.instance_count) == (7, 2)

    def test_scaling_without_a_serving_generation_fails(self):
        (report,) = due_reports(wanted(state=ProvisioningState.SCALING, serving=None), observed())
        assert report == ScalingFailed(
            7, 1, "the deployment serves no model yet, so there is nothing to scale; deploy a model first"
        )


class TestRevision:
    def test_revision_is_applied_once_gateways_are_current(self):
        state = wanted(revision=5, applied=4)
        assert due_reports(state, observed(worker(), current=False)) == ()
        assert due_reports(state, observed(worker())) == (Applied(5),)

    def test_applied_revision_is_reported_again_for_a_waiting_operation(self):
        waiting = wanted(revision=5, applied=5, awaits_revision=4, state=ProvisioningState.UPDATING)
        assert due_reports(waiting, observed(worker())) == (Applied(5),)

    def test_applied_revision_is_not_reported_for_a_settled_deployment(self):
        assert due_reports(wanted(revision=5, applied=5, awaits_revision=4), observed(worker())) == ()


class TestDeletion:
    def test_deletion_waits_for_the_gateways(self):
        assert due_reports(wanted(**DELETING), observed(current=False)) == ()

    def test_deletion_waits_for_the_workers(self):
        assert due_reports(wanted(**DELETING), observed(worker(phase=Phase.DRAINING))) == ()

    def test_deletion_is_reported_after_gateways_and_workers(self):
        assert due_reports(wanted(**DELETING), observed()) == (DeploymentGone(7),)

    def test_endpoint_is_deleted_after_its_deployments(self):
        state = wanted(**DELETING, endpoint=DELETING)
        assert due_reports(state, observed(worker())) == ()
        assert due_reports(state, observed()) == (DeploymentGone(7), EndpointGone(3))

    def test_empty_endpoint_is_deleted_once_gateways_are_current(self):
        empty = wanted(endpoint={**DELETING, "deployments": ()})
        assert due_reports(empty, replace(observed(), gateways_are_current=False)) == ()
        assert due_reports(empty, observed()) == (EndpointGone(3),)
