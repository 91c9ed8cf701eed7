"""What a job's bundle says, and where on this machine its model, environment and script lie."""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_plane.replicas.artifacts.bundles import materialise_bundle
from data_plane.replicas.artifacts.environments import EnvironmentRefused, MachineEnvironments
from data_plane.scoring.signature import CompiledSignature, InvalidSignature, compile_signature
from data_plane.scoring.signature.row_by_row import answers_row_by_row
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import InvalidModel, WorkerFailed
from modelyard.core.model_files import ContentMismatch, materialise
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

_log = logging.getLogger(__name__)

_MOST_KEPT = 32


@dataclass(frozen=True, slots=True)
class Material:
    bundle_hash: str
    bundle: Bundle
    bundle_dir: Path
    signature: CompiledSignature
    is_row_by_row: bool
    output_names: tuple[str, ...] | None
    """Of the signature's output columns. None where it does not name them."""


class Materials:
    """Bundles are read and their signatures compiled once; they never change."""

    def __init__(self, store: ObjectStore, data_dir: DataDir, environments: MachineEnvironments) -> None:
        self._store = store
        self._environments = environments
        self._data_dir = data_dir
        self._known: OrderedDict[str, Material] = OrderedDict()

    def of(self, bundle_hash: str) -> Material:
        """Raises a PlatformError for a bundle that cannot be used."""
        material = self._known.get(bundle_hash)
        if material is None:
            material = self._known[bundle_hash] = self._read(bundle_hash)
        self._known.move_to_end(bundle_hash)
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return material

    def model_dir(self, material: Material) -> Path:
        return _refused(lambda: materialise(self._store, material.bundle.model.manifest, self._data_dir.models))

    def has_environment(self, lock_hash: str) -> bool:
        return self._environments.find(lock_hash) is not None

    def environment(self, lock_hash: str, say: Callable[[str], None]) -> BuiltEnvironment:
        """Found or made on this machine; `say` hears how far that is. Raises EnvironmentNotMade, to be tried again."""
        try:
            return self._environments.get(lock_hash, say)
        except EnvironmentRefused as refusal:
            raise WorkerFailed(str(refusal)) from None

    def _read(self, bundle_hash: str) -> Material:
        bundle_dir = _refused(lambda: materialise_bundle(self._store, bundle_hash, self._data_dir.bundles))
        bundle = Bundle.from_json((bundle_dir / BUNDLE_FILE).read_bytes())
        try:
            signature = compile_signature(bundle.signature, type_hints=bundle.type_hints)
        except InvalidSignature as invalid:
            raise InvalidModel(f"the model's signature cannot be enforced: {invalid}") from None
        row_by_row = answers_row_by_row(bundle, signature)
        return Material(bundle_hash, bundle, bundle_dir, signature, row_by_row, _output_names(bundle))


def _refused(bring: Callable[[], Path]) -> Path:
    try:
        return bring()
    except ContentMismatch as mismatch:
        raise WorkerFailed(str(mismatch)) from None
    except ObjectMissing as missing:
        raise WorkerFailed(
            f"{missing.args[0]} is missing from the object store: register the model and deploy it again"
        ) from None


def _output_names(bundle: Bundle) -> tuple[str, ...] | None:
    outputs = json.loads(bundle.signature.outputs) if bundle.signature and bundle.signature.outputs else []
    names = [output.get("name") for output in outputs]
    return tuple(map(str, names)) if names and all(name is not None for name in names) else None
