"""Sees to it that what a generation needs is on this machine: bundle and model, from the object store; environment.

Large models take their time, so that is done in threads; the host asks what has come of it.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from data_plane.host.bundles import materialise_bundle
from data_plane.host.running import Preparation
from data_plane.host.wanted import Goal, WantedGeneration
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle
from modelyard.core.model_files import ContentMismatch, materialise
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

_log = logging.getLogger(__name__)

_AT_A_TIME = 2
_ABANDONED_SECONDS = 24 * 3600.0


class EnvironmentMissing(Exception):
    """What the builder had made is not there any more."""


@dataclass(frozen=True, slots=True)
class Prepared:
    bundle: Bundle
    bundle_dir: Path
    model_dir: Path
    environment: str
    python: Path

    def is_still_there(self, generation: WantedGeneration) -> bool:
        """An environment may have been pruned and built anew, in another folder."""
        return self.environment == generation.environment and self.python.exists() and self.model_dir.is_dir()


class Preparations:
    def __init__(self, store: ObjectStore, data_dir: DataDir, changed: Callable[[], None]) -> None:
        self._store = store
        self._data_dir = data_dir
        self._changed = changed
        self._pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="prepare")
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
        future = self._pool.submit(self._prepare, generation)
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

    def _prepare(self, generation: WantedGeneration) -> Prepared:
        bundle_dir = materialise_bundle(self._store, generation.bundle_hash, self._data_dir.bundles)
        bundle = Bundle.from_json((bundle_dir / BUNDLE_FILE).read_bytes())
        environment, python = self._find_environment(generation)
        model_dir = materialise(self._store, bundle.model.manifest, self._data_dir.models)
        return Prepared(bundle, bundle_dir, model_dir, environment, python)

    def _find_environment(self, generation: WantedGeneration) -> tuple[str, Path]:
        folder = generation.environment
        python = self._data_dir.environments / str(folder) / "bin" / "python"
        if folder is None or not python.exists():
            raise EnvironmentMissing(
                "the deployment's Python environment is no longer on this machine: update the deployment "
                "to have it built again"
            )
        return folder, python

    def _note(self, generation_id: int, future: Future[Prepared], now: float) -> None:
        error = future.exception()
        if error is None:
            self._prepared[generation_id] = future.result()
            self._states[generation_id] = Preparation(is_done=True)
            return
        _log.error("generation %s cannot be prepared", generation_id, exc_info=error)
        self._states[generation_id] = self._state(generation_id).failed(_sentence(error), now=now)


def _sentence(error: BaseException) -> str:
    if isinstance(error, (ContentMismatch, EnvironmentMissing)):
        return str(error)
    if isinstance(error, ObjectMissing):
        return f"{error.args[0]} is missing from the object store: register the model and deploy it again"
    return f"its files could not be brought to this machine: {error}"
