"""Fetches the artifacts of each wanted generation to the machine: bundle, environment and model.

Large models take a long time, so that threads do the work; the host's main thread asks for the outcome.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore

from data_plane.host.observed import Preparation
from data_plane.host.wanted import Goal, WantedGeneration
from data_plane.replicas.artifacts.environments import EnvironmentNotRestored
from data_plane.replicas.artifacts.node_artifacts import ArtifactUnusable, NodeArtifacts
from modelyard.core.domain.bundle import Bundle
from modelyard.core.domain.storable_text import storable_text
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.logs import STORAGE_INITIALIZER, LogWriter
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)

_THREADS = 16
"""Most threads wait: for an environment, or for a turn to transfer files."""


@dataclass(frozen=True, slots=True)
class Prepared:
    bundle: Bundle
    bundle_dir: Path
    model_dir: Path
    environment: BuiltEnvironment

    def is_still_there(self, generation: WantedGeneration) -> bool:
        """Pruning may have removed the environment, and a later restore has put it into another folder."""
        is_same_lock = self.environment.lock.digest == generation.lock_hash
        return is_same_lock and self.environment.python.exists() and self.model_dir.is_dir()


class Preparations:
    def __init__(
        self,
        store: ObjectStore,
        artifacts: NodeArtifacts,
        changed: Callable[[], None],
        *,
        concurrent_transfers: int = 2,
    ) -> None:
        """`store` takes the log of restoring an environment."""
        self._store = store
        self._artifacts = artifacts
        self._changed = changed
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="prepare")
        self._transfers = BoundedSemaphore(concurrent_transfers)
        self._under_way: dict[int, Future[Prepared]] = {}
        self._states: dict[int, Preparation] = {}
        self._prepared: dict[int, Prepared] = {}

    @property
    def states(self) -> Mapping[int, Preparation]:
        return dict(self._states)

    def remove_abandoned(self) -> None:
        self._artifacts.remove_abandoned()

    def begin(self, goal: Goal) -> None:
        generation = goal.generation
        future = self._pool.submit(self._prepare, goal)
        self._under_way[generation.id] = future
        self._states[generation.id] = replace(self._state(generation.id), is_under_way=True)
        future.add_done_callback(lambda _: self._changed())

    def collect(self, now: float) -> None:
        """Take over the outcomes of finished preparations."""
        for generation_id, future in list(self._under_way.items()):
            if future.done():
                del self._under_way[generation_id]
                self._note(generation_id, future, now)

    def keep_only(self, goals: Iterable[Goal]) -> None:
        """Forget unwanted generations, and artifacts that were removed or replaced."""
        wanted = {goal.generation.id: goal.generation for goal in goals}
        for generation_id in self._states.keys() - wanted.keys() - self._under_way.keys():
            del self._states[generation_id]
        for generation_id, prepared in list(self._prepared.items()):
            generation = wanted.get(generation_id)
            if generation is None or not prepared.is_still_there(generation):
                del self._prepared[generation_id]
                self._states.pop(generation_id, None)

    def of(self, goal: Goal) -> Prepared:
        return self._prepared[goal.generation.id]

    def bundle_folders(self, goals: Iterable[Goal]) -> Mapping[str, Path]:
        """Return the folders, by hash, of the bundles that are on this machine."""
        return self._artifacts.bundle_folders({goal.generation.bundle_hash for goal in goals})

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _state(self, generation_id: int) -> Preparation:
        return self._states.get(generation_id, Preparation())

    def _prepare(self, goal: Goal) -> Prepared:
        with self._transfers:
            local = self._artifacts.bundle(goal.generation.bundle_hash)
        environment = self._environment(goal)
        with self._transfers:
            model_dir = self._artifacts.model_dir(local.bundle)
        return Prepared(local.bundle, local.folder, model_dir, environment)

    def _environment(self, goal: Goal) -> BuiltEnvironment:
        """Find or restore the environment; the deployment's log tells of a restore."""
        lock_hash = goal.generation.lock_hash
        found = self._artifacts.find_environment(lock_hash)
        if found is not None:
            return found
        source = f"environment-{goal.generation.number}"
        with closing(LogWriter(self._store, goal.deployment.id, STORAGE_INITIALIZER, source)) as log:
            log.line("the environment is not on this machine yet; restoring it from its lock")
            try:
                environment = self._artifacts.environment(lock_hash, log.line)
            except EnvironmentNotRestored as failure:
                log.line(f"failed: {failure}")
                raise
            log.line(f"environment {environment.name} is complete")
        return environment

    def _note(self, generation_id: int, future: Future[Prepared], now: float) -> None:
        error = future.exception()
        if error is None:
            self._prepared[generation_id] = future.result()
            self._states[generation_id] = Preparation(is_done=True)
            return
        _log.error("generation %s cannot be prepared", generation_id, exc_info=error)
        self._states[generation_id] = self._state(generation_id).failed(_message(error), now=now)


def _message(error: BaseException) -> str:
    if isinstance(error, (ArtifactUnusable, EnvironmentNotRestored)):
        return storable_text(error)
    return f"the artifacts could not be fetched to this machine: {storable_text(error)}"
