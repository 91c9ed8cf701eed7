"""The actions that the host plans."""

from dataclasses import replace

import pytest

from data_plane.host.observed import Preparation, RestartHistory
from data_plane.host.plan import Drain, ExitCause, Kill, Prepare, Start, plan
from data_plane.host.wanted import Wanted
from data_plane.replicas.port import Phase
from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.host.states import DEPLOYMENT, NOW, broken, generation, observed, slot, wanted, worker


def starts(actions):
    return [action.slot for action in actions if isinstance(action, Start)]


class TestWantedGeneration:
    def test_generation_is_prepared_before_a_worker_starts(self):
        (action,) = plan(wanted(), observed(prepared=()), NOW)
        assert isinstance(action, Prepare)
        assert action.goal.generation.number == 1

    def test_preparation_under_way_is_not_started_again(self):
        under_way = {101: Preparation(is_under_way=True)}
        assert plan(wanted(), observed(preparations=under_way), NOW) == ()

    def test_failed_preparation_is_retried_after_its_backoff(self):
        failed = {101: Preparation().failed("the disk is full", now=NOW).failed("the disk is full", now=NOW)}
        assert plan(wanted(), observed(preparations=failed), NOW) == ()
        assert isinstance(plan(wanted(), observed(preparations=failed), NOW + 2)[0], Prepare)

    def test_worker_starts_in_each_slot(self):
        assert starts(plan(wanted(instance_count=3), observed(), NOW)) == [slot(0), slot(1), slot(2)]

    def test_taken_slot_gets_no_second_worker(self):
        assert plan(wanted(), observed(worker(phase=Phase.STARTING)), NOW) == ()

    def test_candidate_starts_beside_the_serving_generation(self):
        actions = plan(wanted(candidate=generation(2), instance_count=2), observed(worker(0), worker(1)), NOW)
        assert starts(actions) == [slot(0, 2), slot(1, 2)]
        assert len(actions) == 2

    def test_failed_candidate_starts_no_further_worker(self):
        lost = observed(worker(), histories={slot(0, 2): broken(final_reason="ValueError: no")})
        assert plan(wanted(candidate=generation(2)), lost, NOW + 100) == ()


class TestSlotOfADeadWorker:
    @pytest.mark.parametrize(
        ("failures", "seconds"), [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (20, 60)]
    )
    def test_next_start_waits_for_a_growing_backoff(self, failures, seconds):
        after = observed(histories={slot(): broken(failures)})
        if seconds:
            assert starts(plan(wanted(), after, NOW + seconds - 0.1)) == []
        assert starts(plan(wanted(), after, NOW + seconds)) == [slot()]

    def test_next_start_is_immediate_after_a_worker_was_ready_for_a_minute(self):
        history = broken(6).failed("killed", now=NOW, ready_seconds=61)
        assert starts(plan(wanted(), observed(histories={slot(): history}), NOW)) == [slot()]
        assert history.restarts == 7

    def test_serving_generation_is_restarted_for_ever(self):
        history = broken(9, final_reason="ValueError: no")
        assert starts(plan(wanted(), observed(histories={slot(): history}), NOW + 60)) == [slot()]


class TestWorker:
    def test_healthy_worker_is_left_alone(self):
        assert plan(wanted(), observed(worker()), NOW) == ()

    def test_worker_loading_within_the_readiness_probe_is_left_alone(self):
        loading = worker(phase=Phase.STARTING, started_at=NOW - 39)
        assert plan(wanted(), observed(loading), NOW) == ()

    def test_worker_loading_beyond_the_readiness_probe_is_killed_as_a_model_failure(self):
        loading = worker(phase=Phase.STARTING, started_at=NOW - 41)
        (action,) = plan(wanted(), observed(loading), NOW)
        assert action == Kill("g1-0", "the model was not loaded within 40 s (readinessProbe)", ExitCause.MODEL)

    @pytest.mark.parametrize("phase", [Phase.READY, Phase.LOST])
    def test_worker_that_fails_its_liveness_probes_is_killed(self, phase):
        assert plan(wanted(), observed(worker(phase=phase, missed_probes=2)), NOW) == ()
        (action,) = plan(wanted(), observed(worker(phase=phase, missed_probes=3)), NOW)
        assert action == Kill("g1-0", "the worker failed 3 liveness probes in a row")

    def test_liveness_probes_do_not_count_before_the_initial_delay(self):
        patient = generation(1)
        probe = replace(patient.spec.liveness_probe, initial_delay_seconds=30)
        patient = replace(patient, spec=replace(patient.spec, liveness_probe=probe))
        assert plan(wanted(serving=patient), observed(worker(missed_probes=9)), NOW) == ()


LATE = worker(overdue_for=3.2, memory=1000)
SPARE = worker(worker_id="spare", phase=Phase.STARTING, started_at=NOW - 1)
READY_SPARE = replace(SPARE, phase=Phase.READY)
OVERDUE = Kill("g1-0", "a request was still running 3 s after its deadline", ExitCause.REQUEST)
PLENTY, LITTLE = 1501, 1500


class TestOverdueWorker:
    @pytest.mark.parametrize("seconds", [None, 0.1, 1.0])
    def test_overdue_worker_is_left_alone_within_the_grace(self, seconds):
        late = replace(LATE, overdue_for=seconds)
        assert plan(wanted(), observed(late, available_memory=PLENTY), NOW) == ()

    def test_overdue_worker_gets_a_spare_if_memory_allows(self):
        (action,) = plan(wanted(), observed(LATE, available_memory=PLENTY), NOW)
        assert isinstance(action, Start)
        assert action.slot == slot()

    @pytest.mark.parametrize("available", [LITTLE, 0, None])
    def test_overdue_worker_is_killed_at_once_without_memory_for_a_spare(self, available):
        assert plan(wanted(), observed(LATE, available_memory=available), NOW) == (OVERDUE,)

    def test_overdue_worker_waits_for_its_spare_with_any_memory(self):
        for available in (PLENTY, LITTLE, 0, None):
            assert plan(wanted(), observed(LATE, SPARE, available_memory=available), NOW) == ()

    def test_overdue_workers_share_the_available_memory(self):
        late = [replace(LATE, slot=slot(number), worker_id=f"g1-{number}") for number in range(3)]
        actions = plan(wanted(instance_count=3), observed(*late, available_memory=2 * PLENTY), NOW)
        assert starts(actions) == [slot(0), slot(1)]
        assert [action.worker_id for action in actions if isinstance(action, Kill)] == ["g1-2"]

    def test_overdue_worker_keeps_its_slot_until_the_spare_is_ready(self):
        assert observed(LATE, SPARE).worker_by_slot == {slot(): LATE}
        assert observed(LATE, READY_SPARE).worker_by_slot == {slot(): READY_SPARE}

    def test_overdue_worker_is_killed_once_gateways_know_the_spare(self):
        assert plan(wanted(), observed(LATE, READY_SPARE, current=False), NOW) == ()
        assert plan(wanted(), observed(LATE, READY_SPARE), NOW) == (OVERDUE,)

    def test_dying_worker_leaves_its_slot_to_the_ready_spare(self):
        for dying in (replace(LATE, phase=Phase.LOST), worker(phase=Phase.LOST)):
            assert observed(dying, READY_SPARE).worker_by_slot == {slot(): READY_SPARE}
            kept = plan(wanted(), observed(dying, READY_SPARE), NOW)
            assert not [action for action in kept if getattr(action, "worker_id", "") == "spare"]

    def test_worker_that_becomes_free_serves_and_its_spare_ends(self):
        free = worker()
        unneeded = Kill("spare", "the worker is no longer wanted", ExitCause.SURPLUS)
        assert plan(wanted(), observed(free, SPARE), NOW) == (unneeded,)
        assert observed(free, READY_SPARE).worker_by_slot == {slot(): free}
        assert plan(wanted(), observed(free, READY_SPARE), NOW) == (Drain("spare", 10.0),)

    def test_next_spare_waits_for_the_backoff_of_a_failed_spare(self):
        failed = {slot(): broken(2)}
        assert plan(wanted(), observed(LATE, available_memory=PLENTY, histories=failed), NOW) == ()
        later = plan(wanted(), observed(LATE, available_memory=PLENTY, histories=failed), NOW + 1)
        assert starts(later) == [slot()]

    def test_overdue_kill_is_no_failure_of_the_slot(self):
        history = broken(1).replaced(OVERDUE.reason)
        assert (history.restarts, history.failures, history.last_exit_reason) == (2, 1, OVERDUE.reason)

    def test_spare_that_does_not_load_is_killed(self):
        slow = replace(SPARE, started_at=NOW - 41)
        (action,) = plan(wanted(), observed(LATE, slow), NOW)
        assert (action.worker_id, action.cause) == ("spare", ExitCause.MODEL)

    def test_surplus_overdue_worker_gets_no_spare(self):
        late = worker(1, overdue_for=9.0, memory=1000)
        assert plan(wanted(), observed(worker(), late, available_memory=PLENTY), NOW) == (Drain("g1-1", 10.0),)


NOTHING_WANTED = Wanted(revision=2, applied=2)

SURPLUS_WORKERS = {
    "its generation has retired": (wanted(serving=None), worker()),
    "its deployment is deleted": (wanted(state=ProvisioningState.DELETING), worker()),
    "its deployment is unknown": (NOTHING_WANTED, worker()),
    "it is one too many": (wanted(), worker(1)),
    "it runs another bundle": (wanted(), worker(bundle_hash="of another database")),
}


class TestSurplusWorker:
    @pytest.mark.parametrize("why", SURPLUS_WORKERS)
    def test_surplus_worker_is_drained_once_gateways_are_current(self, why):
        state, unwanted = SURPLUS_WORKERS[why]
        assert Drain(unwanted.worker_id, 10.0) in plan(state, observed(unwanted), NOW)

    @pytest.mark.parametrize("why", SURPLUS_WORKERS)
    def test_surplus_worker_is_kept_while_a_gateway_may_route_to_it(self, why):
        state, unwanted = SURPLUS_WORKERS[why]
        actions = plan(state, observed(unwanted, current=False), NOW)
        assert not [action for action in actions if isinstance(action, Drain | Kill)]

    def test_loading_surplus_worker_is_killed(self):
        actions = plan(NOTHING_WANTED, observed(worker(phase=Phase.STARTING), current=False), NOW)
        assert actions == (Kill("g1-0", "the worker is no longer wanted", ExitCause.SURPLUS),)

    def test_draining_worker_is_not_drained_again(self):
        assert plan(NOTHING_WANTED, observed(worker(phase=Phase.DRAINING, ends_by=NOW + 1)), NOW) == ()

    def test_worker_beyond_its_drain_deadline_is_killed(self):
        overdue = worker(phase=Phase.DRAINING, ends_by=NOW - 4)
        assert plan(NOTHING_WANTED, observed(overdue), NOW) == (
            Kill("g1-0", "the worker did not end within the drain deadline"),
        )

    def test_worker_of_the_old_generation_is_drained_after_an_update(self):
        after = observed(worker(0, 1), worker(0, 2))
        assert plan(wanted(serving=generation(2)), after, NOW) == (Drain("g1-0", 10.0),)

    def test_worker_of_a_failed_candidate_is_killed(self):
        after = observed(worker(0, 1), worker(0, 2, phase=Phase.STARTING))
        assert plan(wanted(serving=generation(1)), after, NOW) == (
            Kill("g2-0", "the worker is no longer wanted", ExitCause.SURPLUS),
        )

    def test_draining_worker_frees_its_slot(self):
        draining = worker(phase=Phase.DRAINING, ends_by=NOW + 5)
        assert starts(plan(wanted(), observed(draining), NOW)) == [slot()]


def test_slot_is_deployment_generation_and_number():
    assert slot(2, 5) == (DEPLOYMENT, 5, 2)


def test_nothing_wanted_and_nothing_running_gives_no_action():
    assert plan(NOTHING_WANTED, observed(histories={slot(): RestartHistory()}), NOW) == ()
