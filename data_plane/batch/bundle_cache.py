"""The bundles of jobs, with their signatures compiled."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data_plane.replicas.artifacts.environments import EnvironmentUnusable
from data_plane.replicas.artifacts.node_artifacts import ArtifactUnusable, NodeArtifacts
from data_plane.scoring.loaded_bundle import answers_row_by_row
from data_plane.scoring.signature import CompiledSignature, InvalidSignature, compile_signature
from modelyard.core.domain.bundle import Bundle
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import InvalidModel, WorkerFailed

_MAX_BUNDLES = 32
_Artifact = TypeVar("_Artifact")


@dataclass(frozen=True, slots=True)
class JobBundle:
    bundle_hash: str
    bundle: Bundle
    bundle_dir: Path
    signature: CompiledSignature
    is_row_by_row: bool
    """Whether the model's prediction for a row does not depend on the rows beside it."""
    output_names: tuple[str, ...] | None
    """Names of the signature's output columns; None for a signature without names."""


class BundleCache:
    """Each bundle is read and its signature compiled once: bundles never change."""

    def __init__(self, artifacts: NodeArtifacts) -> None:
        self._artifacts = artifacts
        self._cached: OrderedDict[str, JobBundle] = OrderedDict()

    def get(self, bundle_hash: str) -> JobBundle:
        """Raises InvalidModel and WorkerFailed for a bundle that cannot be used."""
        job_bundle = self._cached.get(bundle_hash)
        if job_bundle is None:
            job_bundle = self._cached[bundle_hash] = self._read(bundle_hash)
        self._cached.move_to_end(bundle_hash)
        while len(self._cached) > _MAX_BUNDLES:
            self._cached.popitem(last=False)
        return job_bundle

    def model_dir(self, job_bundle: JobBundle) -> Path:
        return _usable(lambda: self._artifacts.model_dir(job_bundle.bundle))

    def has_environment(self, lock_hash: str) -> bool:
        return self._artifacts.find_environment(lock_hash) is not None

    def environment(self, lock_hash: str, report: Callable[[str], None]) -> BuiltEnvironment:
        """Find or restore the environment; `report` receives lines of progress.

        Raises WorkerFailed for good, and EnvironmentNotRestored where a later try may succeed.
        """
        return _usable(lambda: self._artifacts.environment(lock_hash, report))

    def _read(self, bundle_hash: str) -> JobBundle:
        local = _usable(lambda: self._artifacts.bundle(bundle_hash))
        bundle = local.bundle
        try:
            signature = compile_signature(bundle.signature, type_hints=bundle.type_hints)
        except InvalidSignature as invalid:
            raise InvalidModel(f"the model's signature cannot be enforced: {invalid}") from None
        row_by_row = answers_row_by_row(bundle, signature)
        return JobBundle(bundle_hash, bundle, local.folder, signature, row_by_row, _output_names(bundle))


def _usable(fetch: Callable[[], _Artifact]) -> _Artifact:
    try:
        return fetch()
    except (ArtifactUnusable, EnvironmentUnusable) as unusable:
        raise WorkerFailed(str(unusable)) from None


def _output_names(bundle: Bundle) -> tuple[str, ...] | None:
    outputs = json.loads(bundle.signature.outputs) if bundle.signature and bundle.signature.outputs else []
    names = [output.get("name") for output in outputs]
    return tuple(map(str, names)) if names and all(name is not None for name in names) else None
