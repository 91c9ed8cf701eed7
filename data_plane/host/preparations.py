"""Sees to it that what a generation needs is on this machine: bundle, environment and model, from the object store.

Large models take their time, so that is done in threads; the host asks what has come of it.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore

from data_plane.host.running import Preparation
from data_plane.host.wanted import Goal, WantedGeneration
from data_plane.replicas.artifacts.bundles import materialise_bundle
from data_plane.replicas.artifacts.environments import EnvironmentNotMade, MachineEnvironments
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.logs import STORAGE_INITIALIZER, LogWriter
from modelyard.core.model_files import ContentMismatch, materialise
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

_log = logging.getLogger(__name__)

_AT_A_TIME = 16
"""Of which most wait: for an environment that is being made, or for their turn to move files."""
_MOVED_AT_A_TIME = 2
_ABANDONED_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Prepared:
    bundle: Bundle
    bundle_dir: Path
    model_dir: Path
    environment: BuiltEnvironment

    def is_still_there(self, generation: WantedGeneration) -> bool:
        """An environment may have been removed and made anew, in another folder."""
        is_the_same = self.environment.lock.digest == generation.lock_hash
        return is_the_same and self.environment.python.exists() and self.model_dir.is_dir()


class Preparations:
    def __init__(
        self,
        store: ObjectStore,
        data_dir: DataDir,
        environments: MachineEnvironments,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._data_dir = data_dir
        self._environments = environments
        self._changed = changed
        self._pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="prepare")
        self._moving = BoundedSemaphore(_MOVED_AT_A_TIME)
        self._under_way: dict[int, Future[Prepared]] = {}
        self._states: dict[int, Preparation] = {}
        self._prepared: dict[int, Prepared] = {}

    @property
    def states(self) -> Mapping[int, Preparation]:
        return dict(self._states)

    def remove_abandoned(self) -> None:
        """What was half brought here when a host or builder was killed."""
        for folder in (self._data_dir.models, self._data_dir.bundles):
            for unfinished in folder.glob(".unfinished-*"):
                if time.time() - unfinished.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(unfinished, ignore_errors=True)

    def begin(self, goal: Goal) -> None:
        generation = goal.generation
        future = self._pool.submit(self._prepare, goal)
        self._under_way[generation.id] = future
        self._states[generation.id] = replace(self._state(generation.id), is_under_way=True)
        future.add_done_callback(lambda _: self._changed())

    def settle(self, now: float) -> None:
        """Take note of what has ended since."""
        for generation_id, future in list(self._under_way.items()):
            if future.done():
                del self._under_way[generation_id]
                self._note(generation_id, future, now)

    def keep_only(self, goals: Iterable[Goal]) -> None:
        """Forget what is wanted no more, and what is no longer there as it was prepared."""
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

    def bundles(self, goals: Iterable[Goal]) -> Mapping[str, Path]:
        """The folders, by hash, of those bundles that lie on this machine."""
        hashes = {goal.generation.bundle_hash for goal in goals}
        folders = {bundle_hash: self._data_dir.bundles / bundle_hash for bundle_hash in hashes}
        return {bundle_hash: folder for bundle_hash, folder in folders.items() if folder.is_dir()}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _state(self, generation_id: int) -> Preparation:
        return self._states.get(generation_id, Preparation())

    def _prepare(self, goal: Goal) -> Prepared:
        with self._moving:
            bundle_dir = materialise_bundle(self._store, goal.generation.bundle_hash, self._data_dir.bundles)
        bundle = Bundle.from_json((bundle_dir / BUNDLE_FILE).read_bytes())
        environment = self._environment(goal)
        with self._moving:
            model_dir = materialise(self._store, bundle.model.manifest, self._data_dir.models)
        return Prepared(bundle, bundle_dir, model_dir, environment)

    def _environment(self, goal: Goal) -> BuiltEnvironment:
        """Found, or made, which the deployment's log tells about."""
        lock_hash = goal.generation.lock_hash
        found = self._environments.find(lock_hash)
        if found is not None:
            return found
        source = f"environment-{goal.generation.number}"
        with closing(LogWriter(self._store, goal.deployment.id, STORAGE_INITIALIZER, source)) as log:
            log.line("the environment is not on the machine that is to serve; making it there")
            try:
                environment = self._environments.get(lock_hash, log.line)
            except EnvironmentNotMade as failure:
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
        self._states[generation_id] = self._state(generation_id).failed(_sentence(error), now=now)


def _sentence(error: BaseException) -> str:
    if isinstance(error, (ContentMismatch, EnvironmentNotMade)):
        return str(error)
    if isinstance(error, ObjectMissing):
        return f"{error.args[0]} is missing from the object store: register the model and deploy it again"
    return f"its files could not be brought to this machine: {error}"
