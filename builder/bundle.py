"""The bundle of a generation: `bundle.json` and `score.py` in the object store, under the hash of both."""

from pathlib import Path

from builder.repository import GenerationOrder
from modelyard.core.domain.bundle import BUNDLE_FILE, SCORING_SCRIPT, Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.input_example import LARGEST_FILE, InputExample, read_input_example, size_of, with_rows
from modelyard.core.domain.mlmodel import MLModel
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.ports.object_store import ObjectStore

_MAX_EXAMPLE_BYTES = 16 << 10


def bundle_key(bundle_hash: str, file: str) -> str:
    return f"bundles/{bundle_hash}/{file}"


def publish_bundle(store: ObjectStore, bundle: Bundle, scoring_script: str) -> str:
    """Store the bundle and return the hash. The document is written last, so a document implies a script."""
    script = scoring_script.encode()
    bundle_hash = bundle.digest(script)
    store.put(bundle_key(bundle_hash, SCORING_SCRIPT), [script])
    store.put(bundle_key(bundle_hash, BUNDLE_FILE), [bundle.to_json()])
    return bundle_hash


def input_example_of(folder: Path, mlmodel: MLModel) -> InputExample | None:
    """The model's input example, cut to a single row if large. None: no readable, small example."""
    content = _small_file(folder, mlmodel.input_example) if mlmodel.input_example else None
    example = read_input_example(content) if content else None
    tried = (example, with_rows(example, 1)) if example else ()
    return next((each for each in tried if size_of(each) <= _MAX_EXAMPLE_BYTES), None)


def _small_file(folder: Path, name: str) -> bytes | None:
    try:
        file = (folder / name).resolve()
        # An MLmodel file may name any file of this machine.
        if file.is_relative_to(folder.resolve()) and file.stat().st_size <= LARGEST_FILE:
            return file.read_bytes()
    except (OSError, ValueError):
        pass
    return None


def assemble_bundle(order: GenerationOrder, mlmodel: MLModel, spec_hash: str, environment: BuiltEnvironment) -> Bundle:
    lock = environment.lock
    return Bundle(
        endpoint=order.endpoint,
        deployment=order.deployment,
        generation=order.number,
        model=BundledModel(order.model_name, order.model_version, order.manifest, order.folder_name),
        environment=BundledEnvironment(
            spec_hash=spec_hash, lock_hash=lock.digest, python=lock.python.rpartition(".")[0], lock=lock.text
        ),
        flavor=mlmodel.flavor,
        loader_module=mlmodel.loader_module,
        predict_fn=mlmodel.predict_fn,
        mlflow_version=mlmodel.mlflow_version,
        signature=mlmodel.signature,
        type_hints=mlmodel.type_hints,
        environment_variables=order.environment_variables,
    )
