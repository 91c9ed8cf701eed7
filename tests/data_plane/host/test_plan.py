"""What the host does next."""

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


class TestAGenerationThatIsWanted:
    def test_is_prepared_before_anything_starts(self):
        (action,) = plan(wanted(), observed(prepared=()), NOW)
        assert isinstance(action, Prepare)
        assert action.goal.generation.number == 1

    def test_is_not_prepared_twice_at_once(self):
        under_way = {101: Preparation(is_under_way=True)}
        assert plan(wanted(), observed(preparations=under_way), NOW) == ()

    def test_is_prepared_again_after_a_while_when_that_failed(self):
        failed = {101: Preparation().failed("the disk is full", now=NOW).failed("the disk is full", now=NOW)}
        assert plan(wanted(), observed(preparations=failed), NOW) == ()
        assert isinstance(plan(wanted(), observed(preparations=failed), NOW + 2)[0], Prepare)

    def test_gets_a_worker_in_each_of_its_places(self):
        assert starts(plan(wanted(instance_count=3), observed(), NOW)) == [slot(0), slot(1), slot(2)]

    def test_gets_no_second_worker_in_a_place_that_is_taken(self):
        assert plan(wanted(), observed(worker(phase=Phase.STARTING)), NOW) == ()

    def test_starts_beside_the_one_that_serves(self):
        actions = plan(wanted(candidate=generation(2), instance_count=2), observed(worker(0), worker(1)), NOW)
        assert starts(actions) == [slot(0, 2), slot(1, 2)]
        assert len(actions) == 2

    def test_starts_nothing_more_once_it_has_failed(self):
        lost = observed(worker(), histories={slot(0, 2): broken(final_reason="ValueError: no")})
        assert plan(wanted(candidate=generation(2)), lost, NOW + 100) == ()


class TestAPlaceWhoseWorkerDied:
    @pytest.mark.parametrize(
        ("failures", "seconds"), [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (20, 60)]
    )
    def test_gets_another_one_after_a_time_that_grows(self, failures, seconds):
        after = observed(histories={slot(): broken(failures)})
        if seconds:
            assert starts(plan(wanted(), after, NOW + seconds - 0.1)) == []
        assert starts(plan(wanted(), after, NOW + seconds)) == [slot()]

    def test_gets_one_at_once_when_the_last_had_been_well_for_a_minute(self):
        history = broken(6).failed("killed", now=NOW, ready_seconds=61)
        assert starts(plan(wanted(), observed(histories={slot(): history}), NOW)) == [slot()]
        assert history.restarts == 7

    def test_serving_is_tried_again_and_again_though_the_model_fails_to_load(self):
        history = broken(9, final_reason="ValueError: no")
        assert starts(plan(wanted(), observed(histories={slot(): history}), NOW + 60)) == [slot()]


class TestAWorker:
    def test_that_is_well_is_left_alone(self):
        assert plan(wanted(), observed(worker()), NOW) == ()

    def test_that_loads_within_its_patience_is_left_alone(self):
        loading = worker(phase=Phase.STARTING, started_at=NOW - 39)
        assert plan(wanted(), observed(loading), NOW) == ()

    def test_that_loads_for_too_long_is_killed_for_good(self):
        loading = worker(phase=Phase.STARTING, started_at=NOW - 41)
        (action,) = plan(wanted(), observed(loading), NOW)
        assert action == Kill("g1-0", "the model was not loaded within 40 s (readinessProbe)", ExitCause.MODEL)

    @pytest.mark.parametrize("phase", [Phase.READY, Phase.LOST])
    def test_that_fails_its_liveness_probes_is_killed(self, phase):
        assert plan(wanted(), observed(worker(phase=phase, missed_probes=2)), NOW) == ()
        (action,) = plan(wanted(), observed(worker(phase=phase, missed_probes=3)), NOW)
        assert action == Kill("g1-0", "it failed 3 liveness probes in a row")

    def test_is_not_judged_by_its_probes_before_the_initial_delay(self):
        patient = generation(1)
        probe = replace(patient.spec.liveness_probe, initial_delay_seconds=30)
        patient = replace(patient, spec=replace(patient.spec, liveness_probe=probe))
        assert plan(wanted(serving=patient), observed(worker(missed_probes=9)), NOW) == ()


LATE = worker(overdue_for=3.2, memory=1000)
SPARE = worker(worker_id="spare", phase=Phase.STARTING, started_at=NOW - 1)
READY_SPARE = replace(SPARE, phase=Phase.READY)
OVERDUE = Kill("g1-0", "a request was still running 3 s after its deadline", ExitCause.REQUEST)
PLENTY, LITTLE = 1501, 1500


class TestAWorkerWhoseRequestHasOutlivedItsDeadline:
    @pytest.mark.parametrize("seconds", [None, 0.1, 1.0])
    def test_is_left_alone_within_the_grace(self, seconds):
        late = replace(LATE, overdue_for=seconds)
        assert plan(wanted(), observed(late, available_memory=PLENTY), NOW) == ()

    def test_gets_a_spare_beside_it_where_memory_allows(self):
        (action,) = plan(wanted(), observed(LATE, available_memory=PLENTY), NOW)
        assert isinstance(action, Start)
        assert action.slot == slot()

    @pytest.mark.parametrize("available", [LITTLE, 0, None])
    def test_is_killed_at_once_where_it_does_not(self, available):
        assert plan(wanted(), observed(LATE, available_memory=available), NOW) == (OVERDUE,)

    def test_waits_for_the_one_spare_however_little_memory_that_leaves(self):
        for available in (PLENTY, LITTLE, 0, None):
            assert plan(wanted(), observed(LATE, SPARE, available_memory=available), NOW) == ()

    def test_shares_what_memory_there_is_with_the_others(self):
        late = [replace(LATE, slot=slot(number), worker_id=f"g1-{number}") for number in range(3)]
        actions = plan(wanted(instance_count=3), observed(*late, available_memory=2 * PLENTY), NOW)
        assert starts(actions) == [slot(0), slot(1)]
        assert [action.worker_id for action in actions if isinstance(action, Kill)] == ["g1-2"]

    def test_keeps_its_place_until_the_spare_is_ready(self):
        assert observed(LATE, SPARE).worker_by_slot == {slot(): LATE}
        assert observed(LATE, READY_SPARE).worker_by_slot == {slot(): READY_SPARE}

    def test_is_killed_when_the_gateways_know_the_spare(self):
        assert plan(wanted(), observed(LATE, READY_SPARE, current=False), NOW) == ()
        assert plan(wanted(), observed(LATE, READY_SPARE), NOW) == (OVERDUE,)

    def test_leaves_its_place_to_the_spare_while_it_dies(self):
        for dying in (replace(LATE, phase=Phase.LOST), worker(phase=Phase.LOST)):
            assert observed(dying, READY_SPARE).worker_by_slot == {slot(): READY_SPARE}
            kept = plan(wanted(), observed(dying, READY_SPARE), NOW)
            assert not [action for action in kept if getattr(action, "worker_id", "") == "spare"]

    def test_goes_on_serving_when_it_is_free_before_the_spare_is_ready(self):
        free = worker()
        unneeded = Kill("spare", "it is no longer wanted", ExitCause.SURPLUS)
        assert plan(wanted(), observed(free, SPARE), NOW) == (unneeded,)
        assert observed(free, READY_SPARE).worker_by_slot == {slot(): free}
        assert plan(wanted(), observed(free, READY_SPARE), NOW) == (Drain("spare", 10.0),)

    def test_gets_no_further_spare_before_its_time_when_one_has_failed(self):
        failed = {slot(): broken(2)}
        assert plan(wanted(), observed(LATE, available_memory=PLENTY, histories=failed), NOW) == ()
        later = plan(wanted(), observed(LATE, available_memory=PLENTY, histories=failed), NOW + 1)
        assert starts(later) == [slot()]

    def test_leaves_no_fault_with_its_place(self):
        history = broken(1).replaced(OVERDUE.reason)
        assert (history.restarts, history.failures, history.last_exit_reason) == (2, 1, OVERDUE.reason)

    def test_whose_spare_does_not_load_waits_for_another(self):
        slow = replace(SPARE, started_at=NOW - 41)
        (action,) = plan(wanted(), observed(LATE, slow), NOW)
        assert (action.worker_id, action.cause) == ("spare", ExitCause.MODEL)

    def test_that_is_not_wanted_any_more_gets_none(self):
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


class TestAWorkerThatIsNotWanted:
    @pytest.mark.parametrize("why", SURPLUS_WORKERS)
    def test_is_drained_once_no_gateway_routes_to_it(self, why):
        state, unwanted = SURPLUS_WORKERS[why]
        assert Drain(unwanted.worker_id, 10.0) in plan(state, observed(unwanted), NOW)

    @pytest.mark.parametrize("why", SURPLUS_WORKERS)
    def test_is_kept_until_then(self, why):
        state, unwanted = SURPLUS_WORKERS[why]
        actions = plan(state, observed(unwanted, current=False), NOW)
        assert not [action for action in actions if isinstance(action, Drain | Kill)]

    def test_is_killed_while_it_loads(self):
        actions = plan(NOTHING_WANTED, observed(worker(phase=Phase.STARTING), current=False), NOW)
        assert actions == (Kill("g1-0", "it is no longer wanted", ExitCause.SURPLUS),)

    def test_is_drained_only_once(self):
        assert plan(NOTHING_WANTED, observed(worker(phase=Phase.DRAINING, ends_by=NOW + 1)), NOW) == ()

    def test_is_killed_when_draining_does_not_end_it(self):
        overdue = worker(phase=Phase.DRAINING, ends_by=NOW - 4)
        assert plan(NOTHING_WANTED, observed(overdue), NOW) == (
            Kill("g1-0", "it did not end within its drain deadline"),
        )

    def test_goes_when_an_update_has_taken_its_place(self):
        after = observed(worker(0, 1), worker(0, 2))
        assert plan(wanted(serving=generation(2)), after, NOW) == (Drain("g1-0", 10.0),)

    def test_goes_when_an_update_has_failed(self):
        after = observed(worker(0, 1), worker(0, 2, phase=Phase.STARTING))
        assert plan(wanted(serving=generation(1)), after, NOW) == (
            Kill("g2-0", "it is no longer wanted", ExitCause.SURPLUS),
        )

    def test_does_not_hold_a_place_while_it_drains(self):
        draining = worker(phase=Phase.DRAINING, ends_by=NOW + 5)
        assert starts(plan(wanted(), observed(draining), NOW)) == [slot()]


def test_a_slot_is_known_by_deployment_generation_and_number():
    assert slot(2, 5) == (DEPLOYMENT, 5, 2)


def test_nothing_is_done_where_nothing_is_wanted_and_nothing_runs():
    assert plan(NOTHING_WANTED, observed(histories={slot(): RestartHistory()}), NOW) == ()
