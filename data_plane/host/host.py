"""The reconcile loop: compare wanted and observed state, publish the routes, carry out the plan, report."""

import logging
import time
from dataclasses import replace

from data_plane.host.database_sync import DatabaseSync
from data_plane.host.fleet import Fleet
from data_plane.host.log_shipping import LogShipper
from data_plane.host.observed import Observed
from data_plane.host.plan import Action, Drain, Kill, Prepare, Start, is_settled, plan
from data_plane.host.preparations import Preparations
from data_plane.host.publisher import Publisher
from data_plane.host.reports import due_reports
from data_plane.host.snapshot import RouteBuilder, build_routes
from data_plane.host.wanted import Wanted
from data_plane.host.worker_statuses import worker_statuses
from data_plane.replicas.artifacts.pruning import EnvironmentPruner
from data_plane.replicas.port import Phase
from modelyard.process.heartbeat import Heartbeat
from modelyard.process.signals import SignalPipe

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
"""Longest pause between turns. Changes of the wanted state and of workers end the pause."""
_BUSY_SECONDS = 0.2
"""The same while a time matters: of a start, a drain or a back-off, or of an overdue worker."""
_WAITING_SECONDS = 0.05
"""The same while a gateway has yet to apply a snapshot, or the database to take a report."""
_STARTS_PER_TURN = 2
_KILL_SECONDS = 1.5


class Host:
    def __init__(
        self,
        *,
        database: DatabaseSync,
        fleet: Fleet,
        preparations: Preparations,
        publisher: Publisher,
        logs: LogShipper,
        pruner: EnvironmentPruner,
        wake: SignalPipe,
        heartbeat: Heartbeat,
        drain_seconds: float,
        derived_token_keys: tuple[str, ...],
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._preparations = preparations
        self._publisher = publisher
        self._logs = logs
        self._pruner = pruner
        self._wake = wake
        self._heartbeat = heartbeat
        self._drain_seconds = drain_seconds
        self._derived_token_keys = derived_token_keys
        self._routes = RouteBuilder(derived_token_keys)

    def run(self) -> int:
        """Run until told to stop, then end every worker. After the loss of the role, leave the workers alone."""
        self._fleet.adopt(self._publisher.routed)
        self._logs.finish_all_but({worker.worker_id for worker in self._fleet.workers})
        self._preparations.remove_abandoned()
        self._logs.start()
        self._database.start()
        self._pruner.start()
        while not self._wake.told_to_stop:
            if self._database.has_failed.is_set():
                return 1
            self._heartbeat.beat()
            self._wake.wait(self._turn(time.time()))
        self._stop()
        return 0

    def _turn(self, now: float) -> float:
        """Reconcile once. Return the seconds until the next turn, unless an event comes earlier."""
        self._fleet.reap(now)
        wanted = self._database.wanted
        if wanted is None:
            return _IDLE_SECONDS
        observed = self._observe(wanted, now)
        bundles = self._preparations.bundle_folders(wanted.goals)
        if self._publisher.publish(wanted.revision, self._routes.build(wanted, observed, bundles)):
            _log.info("snapshot %s published", self._publisher.order)
        observed = replace(observed, gateways_are_current=self._publisher.is_applied())
        has_more_to_start = self._carry_out_some(plan(wanted, observed, now), now)
        reports = due_reports(wanted, observed)
        self._database.submit(reports, worker_statuses(wanted, observed))
        if has_more_to_start:
            return 0.0
        if reports or not observed.gateways_are_current:
            return _WAITING_SECONDS
        return _IDLE_SECONDS if is_settled(wanted, observed) else _BUSY_SECONDS

    def _observe(self, wanted: Wanted, now: float) -> Observed:
        goals = wanted.goal_by_slot
        self._preparations.collect(now)
        self._preparations.keep_only(goals.values())
        self._fleet.keep_histories(goals.keys())
        for worker in self._fleet.workers:
            if goal := goals.get(worker.slot):
                self._fleet.set_probe(worker.worker_id, goal.generation.spec.liveness_probe)
        return Observed(
            workers=self._fleet.workers,
            histories=self._fleet.histories,
            preparations=self._preparations.states,
            available_memory=self._fleet.available_memory,
        )

    def _carry_out_some(self, actions: tuple[Action, ...], now: float) -> bool:
        """Carry out the actions, but only some starts: a start blocks the loop, and the next turn plans the rest again.

        Return whether starts are left.
        """
        starts = [action for action in actions if isinstance(action, Start)]
        for action in actions:
            if not isinstance(action, Start) or action in starts[:_STARTS_PER_TURN]:
                self._carry_out(action, now)
        return len(starts) > _STARTS_PER_TURN

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
        self._pruner.close()
        wanted = self._database.wanted
        if wanted is not None:
            bundles = self._preparations.bundle_folders(wanted.goals)
            routes = build_routes(wanted, Observed(), bundles, self._derived_token_keys)
            self._publisher.publish(wanted.revision, routes)
        self._drain_all()
        self._fleet.kill_all("the platform is stopping")
        self._await_empty_fleet(_KILL_SECONDS)
        self._logs.close()
        self._database.close()

    def _drain_all(self) -> None:
        for worker in self._fleet.workers:
            if worker.phase == Phase.STARTING:
                self._fleet.kill(Kill(worker.worker_id, "the platform is stopping"))
            elif worker.phase != Phase.DRAINING:
                self._fleet.drain(worker.worker_id, self._drain_seconds, time.time())
        self._await_empty_fleet(self._drain_seconds)

    def _await_empty_fleet(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while len(self._fleet) and time.monotonic() < deadline:
            self._heartbeat.beat()
            self._fleet.reap(time.time())
            self._wake.wait(_WAITING_SECONDS)
