"""The reconcile loop: look at what is wanted and what runs, publish the routes, do what the plan says, report."""

import logging
import time
from dataclasses import replace

from data_plane.host.database_sync import Ledger
from data_plane.host.fleet import Fleet
from data_plane.host.log_shipping import LogShipper
from data_plane.host.plan import Action, Drain, Kill, Prepare, Start, plan
from data_plane.host.preparations import Preparations
from data_plane.host.publisher import Publisher
from data_plane.host.reports import due_reports
from data_plane.host.running import Phase, Running
from data_plane.host.snapshot import build_routes
from data_plane.host.wanted import Wanted
from data_plane.host.worker_facts import worker_facts
from data_plane.replicas.artifacts.housekeeping import Housekeeping
from data_plane.replicas.local.machine import available_memory
from modelyard.process.signals import SignalPipe

_log = logging.getLogger(__name__)

_CALM_SECONDS = 0.2
_WAITING_SECONDS = 0.05
"""While gateways are to apply a snapshot, or the database is to take a report."""
_STARTS_A_TURN = 2
_KILL_SECONDS = 1.5


class Host:
    def __init__(
        self,
        *,
        ledger: Ledger,
        fleet: Fleet,
        preparations: Preparations,
        publisher: Publisher,
        logs: LogShipper,
        housekeeping: Housekeeping,
        wake: SignalPipe,
        drain_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._preparations = preparations
        self._publisher = publisher
        self._logs = logs
        self._housekeeping = housekeeping
        self._wake = wake
        self._drain_seconds = drain_seconds

    def run(self) -> int:
        """Until told to stop; then no worker is left. When the role is lost, the workers are left to the next host."""
        self._fleet.adopt(self._publisher.routed)
        self._logs.finish_all_but({worker.worker_id for worker in self._fleet.workers})
        self._preparations.remove_abandoned()
        self._logs.start()
        self._ledger.start()
        self._housekeeping.start()
        while not self._wake.told_to_stop:
            if self._ledger.has_failed.is_set():
                return 1
            self._wake.wait(self._turn(time.time()))
        self._stop()
        return 0

    def _turn(self, now: float) -> float:
        """Returns for how long there is nothing to do, unless something happens."""
        self._fleet.bury_the_ended(now)
        wanted = self._ledger.wanted
        if wanted is None:
            return _CALM_SECONDS
        running = self._look(wanted, now)
        bundles = self._preparations.bundles(wanted.goals)
        if self._publisher.publish(wanted.revision, build_routes(wanted, running, bundles)):
            _log.info("snapshot %s published", self._publisher.order)
        running = replace(running, gateways_are_current=self._publisher.is_applied())
        has_more_to_do = self._carry_out_some(plan(wanted, running, now), now)
        reports = due_reports(wanted, running)
        self._ledger.tell(reports, worker_facts(wanted, running))
        if has_more_to_do:
            return 0.0
        return _CALM_SECONDS if running.gateways_are_current and not reports else _WAITING_SECONDS

    def _look(self, wanted: Wanted, now: float) -> Running:
        goals = wanted.goal_by_slot
        self._preparations.settle(now)
        self._preparations.keep_only(goals.values())
        self._fleet.forget_all_but(goals.keys())
        for worker in self._fleet.workers:
            if goal := goals.get(worker.slot):
                self._fleet.heed_probe(worker.worker_id, goal.generation.spec.liveness_probe)
        return Running(
            workers=self._fleet.workers,
            histories=self._fleet.histories,
            preparations=self._preparations.states,
            available_memory=available_memory(),
        )

    def _carry_out_some(self, actions: tuple[Action, ...], now: float) -> bool:
        """Starting takes a while each, in which nothing else is noticed: the rest is planned again in the next turn."""
        starts = [action for action in actions if isinstance(action, Start)]
        for action in actions:
            if not isinstance(action, Start) or action in starts[:_STARTS_A_TURN]:
                self._carry_out(action, now)
        return len(starts) > _STARTS_A_TURN

    def _carry_out(self, action: Action, now: float) -> None:
        match action:
            case Prepare(goal):
                self._preparations.begin(goal)
            case Start(slot, goal):
                self._fleet.start(slot, goal, self._preparations.of(goal), now)
            case Drain(worker_id, seconds):
                self._fleet.drain(worker_id, seconds, now)
            case Kill():
                self._fleet.kill(action)

    def _stop(self) -> None:
        _log.info("stopping: %s workers are drained", len(self._fleet))
        self._preparations.close()
        self._housekeeping.close()
        wanted = self._ledger.wanted
        if wanted is not None:
            bundles = self._preparations.bundles(wanted.goals)
            self._publisher.publish(wanted.revision, build_routes(wanted, Running(), bundles))
        self._drain_all()
        self._fleet.kill_all("the platform stops")
        self._await_empty_fleet(_KILL_SECONDS)
        self._logs.close()
        self._ledger.close()

    def _drain_all(self) -> None:
        for worker in self._fleet.workers:
            if worker.phase == Phase.LOADING:
                self._fleet.kill(Kill(worker.worker_id, "the platform stops"))
            elif worker.phase != Phase.DRAINING:
                self._fleet.drain(worker.worker_id, self._drain_seconds, time.time())
        self._await_empty_fleet(self._drain_seconds)

    def _await_empty_fleet(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while len(self._fleet) and time.monotonic() < deadline:
            self._fleet.bury_the_ended(time.time())
            self._wake.wait(_WAITING_SECONDS)
