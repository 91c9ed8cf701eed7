"""Build generations of deployments: with Postgres, the object store, uv and small generated packages."""

import errno
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from builder.generation import BuildContext, build_generation
from builder.tasks import prune_environments
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.db.rows import BuiltEnvironmentRow, EnvironmentBuildRow
from modelyard.core.domain.bundle import Bundle
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState
from modelyard.core.logs import STORAGE_INITIALIZER, read_log
from modelyard.core.ports.object_store import StoreUnavailable
from modelyard.core.settings import BuilderSettings
from tests.builder.deployments import Deployments
from tests.builder.packages import PackageIndex

MLMODEL = """\
flavors:
  python_function: {env: conda.yaml, loader_module: mlflow.pyfunc.model, python_version: 3.11.4}
mlflow_version: 99.0
signature:
  inputs: '[{"name": "a", "type": "double"}]'
"""


@pytest.fixture
def store(tmp_path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def deployments(sessions, store) -> Deployments:
    return Deployments(sessions, store)


@pytest.fixture
def context(sessions, store, isolated_toolchain) -> BuildContext:
    models = isolated_toolchain.environments._root.parent / "models"
    return BuildContext(sessions, store, models, isolated_toolchain, BuilderSettings().max_attempts)


@pytest.fixture
def packages(index) -> PackageIndex:
    """An index with the modules of the import check: numpy, pandas and a stand-in for MLflow."""
    index.add("numpy", "1.0")
    index.add("pandas", "1.0")
    modules = {"mlflow/__init__.py": "", "mlflow/pyfunc/__init__.py": "", "mlflow/pyfunc/model.py": ""}
    index.add("mlflow_skinny", "99.0", modules=modules)
    return index


@pytest.fixture
def conda(packages) -> Callable[..., str]:
    def make(*requirements: str) -> str:
        lines = [f"--index-url {packages.url}", "mlflow-skinny==99.0", *requirements]
        return "dependencies:\n- python=3.11\n- pip:\n" + "".join(f"  - {line}\n" for line in lines)

    return make


@pytest.fixture
def folder(model_folder, conda) -> Path:
    return model_folder({"conda.yaml": conda()}, mlmodel=MLMODEL)


def log_of(deployments: Deployments, generation_id: int) -> str:
    deployment = deployments.generation(generation_id).deployment_id
    return read_log(deployments.store, deployment, STORAGE_INITIALIZER, None)


class TestBuiltGenerations:
    def test_built_generation_has_environment_bundle_and_script(self, deployments, context, folder):
        generation_id = deployments.create(folder, variables={"COLOUR": "blue"})
        build_generation(context, generation_id)
        row = deployments.generation(generation_id)
        assert (row.state, row.step, row.lease_token) == (GenerationState.BUILT, "starting workers", None)
        bundle = Bundle.from_json(b"".join(context.store.get(f"bundles/{row.bundle_hash}/bundle.json")))
        assert (bundle.environment.spec_hash, bundle.environment.lock_hash) == (row.spec_hash, row.lock_hash)
        assert (bundle.environment.python, bundle.model.folder_name) == ("3.11", "model")
        assert bundle.environment_variables == {"COLOUR": "blue"}
        assert bundle.signature is not None
        script = b"".join(context.store.get(f"bundles/{row.bundle_hash}/score.py"))
        assert bundle.digest(script) == row.bundle_hash
        assert b'"a": double' in script

    def test_bundle_has_the_input_example(self, deployments, context, folder):
        assert self.example_of(deployments, context, folder, b'{"inputs": [[1.5]], "params": {"k": 2}}') == {
            "input_data": [[1.5]],
            "params": {"k": 2},
        }

    def test_bundle_has_one_row_of_a_large_input_example(self, deployments, context, folder):
        rows = [[float(row)] for row in range(10_000)]
        assert self.example_of(deployments, context, folder, json.dumps(rows).encode()) == {"input_data": [[0.0]]}

    @pytest.mark.parametrize("content", [b"{", json.dumps("x" * 20_000).encode()])
    def test_damaged_or_too_large_input_example_is_left_out(self, deployments, context, folder, content):
        assert self.example_of(deployments, context, folder, content) is None

    @pytest.mark.parametrize("name", ["../../../etc/hostname", "/etc/hostname", "missing.json", "."])
    def test_input_example_outside_the_model_folder_is_left_out(self, deployments, context, folder, name):
        assert self.example_of(deployments, context, folder, b"[1]", name) is None

    def example_of(self, deployments, context, folder, content, name="example.json"):
        (folder / "example.json").write_bytes(content)
        with (folder / "MLmodel").open("a") as file:
            file.write(f"saved_input_example_info: {{artifact_path: {name}}}\n")
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        bundle_hash = deployments.generation(generation_id).bundle_hash
        return Bundle.from_json(b"".join(context.store.get(f"bundles/{bundle_hash}/bundle.json"))).input_example

    def test_build_log_has_the_steps_with_times(self, deployments, context, folder):
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        log = log_of(deployments, generation_id)
        for part in (
            "environment of conda.yaml, Python 3.11",
            "step: resolving",
            "Installed 3 packages",
            "is complete",
        ):
            assert part in log
        assert all(line[:4].isdigit() for line in log.splitlines())

    def test_second_message_does_not_build_again(self, deployments, context, folder):
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        before = deployments.generation(generation_id).attempt
        build_generation(context, generation_id)
        assert deployments.generation(generation_id).attempt == before

    def test_conda_file_of_a_registered_environment_is_used(self, deployments, context, folder, conda, packages):
        packages.add("alpha")
        generation_id = deployments.create(folder, conda_file=conda("alpha"))
        build_generation(context, generation_id)
        lock_hash = deployments.generation(generation_id).lock_hash
        with deployments.sessions() as session:
            lock = session.scalar(select(EnvironmentBuildRow.lock).where(EnvironmentBuildRow.lock_hash == lock_hash))
        assert "alpha==1.0" in lock

    def test_specification_of_a_curated_environment_is_used_and_in_the_log(
        self, deployments, context, folder, conda, packages
    ):
        packages.add("alpha")
        uri = "azureml://registries/azureml/environments/a/labels/latest"
        generation_id = deployments.create(folder)
        spec = DeploymentSpec("model-id", environment_id=uri, curated_conda_file=conda("alpha"))
        deployments.change(generation_id, spec=spec.to_dict())
        build_generation(context, generation_id)
        log = log_of(deployments, generation_id)
        assert f"{uri} is one of Azure's curated environments" in log
        assert "alpha" in log[: log.index("environment of conda.yaml")]
        assert deployments.generation(generation_id).state == GenerationState.BUILT


class TestSharedEnvironments:
    def test_second_deployment_of_the_same_environment_builds_nothing(self, deployments, context, folder):
        first, second = deployments.create(folder), deployments.create(folder)
        build_generation(context, first)
        build_generation(context, second)
        assert "which is already built" in log_of(deployments, second)
        assert "mlflow-skinny==99.0 numpy==1.0" in log_of(deployments, second)
        assert "step:" not in log_of(deployments, second)
        assert deployments.generation(first).lock_hash == deployments.generation(second).lock_hash

    def test_deployments_at_the_same_time_build_one_environment(self, deployments, context, folder):
        generations = [deployments.create(folder) for _ in range(3)]
        at_once(lambda generation_id: build_generation(context, generation_id), generations)
        assert {deployments.generation(each).state for each in generations} == {GenerationState.BUILT}
        assert len(context.toolchain.environments.all()) == 1
        # A builder that looks just before the build's end may claim the build again, and finds the environment.
        assert sum("step: installing" in log_of(deployments, each) for each in generations) == 1

    def test_waiting_deployment_fails_with_the_awaited_build(self, deployments, context, folder, conda):
        (folder / "conda.yaml").write_text(conda("nosuchpackage"))
        generations = [deployments.create(folder) for _ in range(2)]
        at_once(lambda generation_id: build_generation(context, generation_id), generations)
        messages = {deployments.deployment(each).failure_message for each in generations}
        assert len(messages) == 1
        assert "nosuchpackage was not found" in messages.pop()

    def test_earlier_failure_is_built_anew(self, deployments, context, folder, conda, packages):
        (folder / "conda.yaml").write_text(conda("alpha", "--no-binary zeta"))
        failed = deployments.create(folder)
        build_generation(context, failed)
        assert deployments.generation(failed).state == GenerationState.FAILED
        shutil.rmtree(context.toolchain.environments._root.parent / "cache" / "uv")
        packages.add("alpha")
        later = deployments.create(folder)
        build_generation(context, later)
        assert deployments.generation(later).state == GenerationState.BUILT

    def test_lost_environment_is_rebuilt_from_its_lock(self, deployments, context, folder):
        first, second = deployments.create(folder), deployments.create(folder)
        build_generation(context, first)
        (built,) = context.toolchain.environments.all()
        shutil.rmtree(built.folder)
        for wheel in list(context.store.list("wheels/")):
            context.store.delete(wheel)
        build_generation(context, second)
        assert "known from an earlier build" in log_of(deployments, second)
        assert "mlflow-skinny==99.0 numpy==1.0" in log_of(deployments, second)
        assert deployments.generation(first).lock_hash == deployments.generation(second).lock_hash

    def test_environment_of_another_machine_is_not_built_again(self, deployments, context, folder):
        first, second = deployments.create(folder), deployments.create(folder)
        build_generation(context, first)
        (built,) = context.toolchain.environments.all()
        shutil.rmtree(built.folder)
        build_generation(context, second)
        assert f"using the environment {built.name}, which is already built" in log_of(deployments, second)
        assert context.toolchain.environments.all() == []
        assert deployments.generation(first).lock_hash == deployments.generation(second).lock_hash

    @pytest.mark.parametrize("missing", ["environments/", "wheels/"])
    def test_environment_missing_in_the_object_store_is_packed_at_its_next_use(
        self, deployments, context, folder, missing
    ):
        first, second = deployments.create(folder), deployments.create(folder)
        build_generation(context, first)
        before = {key: context.store.size(key) for key in context.store.list("")}
        for key in list(context.store.list(missing)):
            context.store.delete(key)
        build_generation(context, second)
        assert "not in the object store yet; packing it" in log_of(deployments, second)
        stored = {key for key in context.store.list("") if key.startswith(("environments/", "wheels/"))}
        assert stored == {key for key in before if key.startswith(("environments/", "wheels/"))}

    def test_specs_with_the_same_lock_share_an_environment(self, deployments, context, folder, conda):
        first = deployments.create(folder)
        (folder / "conda.yaml").write_text(conda("pandas==1.0"))
        second = deployments.create(folder)
        build_generation(context, first)
        build_generation(context, second)
        assert "has exactly these packages; using it" in log_of(deployments, second)
        assert deployments.generation(first).spec_hash != deployments.generation(second).spec_hash


class TestFailedGenerations:
    def test_operation_shows_the_resolver_sentence(self, deployments, context, folder, conda):
        (folder / "conda.yaml").write_text(conda("pandas==2.0"))
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        operation = deployments.operation(generation_id)
        assert operation.status == "Failed"
        assert operation.error["code"] == "EnvironmentResolutionFailure"
        assert operation.error["message"].startswith("Because there is no version of pandas==2.0")
        assert deployments.generation(generation_id).state == GenerationState.FAILED
        assert context.toolchain.environments.all() == []

    @pytest.mark.parametrize(
        ("file", "text", "code"),
        [
            ("conda.yaml", "dependencies: [", "InvalidCondaFile"),
            ("conda.yaml", "dependencies:\n- libgdal\n", "CondaPackagesNotSupported"),
            ("conda.yaml", "dependencies:\n- pip:\n  - -r ../../secret\n", "PathLeavesModelFolder"),
            ("conda.yaml", "dependencies:\n- python=3.6\n", "UnsupportedPython"),
            ("MLmodel", "flavors: 3", "InvalidModel"),
        ],
    )
    def test_malformed_model_folder_fails_with_code_and_logged_message(
        self, deployments, context, folder, file, text, code
    ):
        (folder / file).write_text(text)
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        assert deployments.deployment(generation_id).failure_code == code
        assert deployments.deployment(generation_id).failure_message in log_of(deployments, generation_id)

    def test_missing_mlmodel_file_fails_the_generation(self, deployments, context, folder):
        (folder / "MLmodel").unlink()
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        assert "has no MLmodel file" in deployments.deployment(generation_id).failure_message

    def test_unavailable_object_store_leaves_the_generation_for_a_retry(self, deployments, context, folder):
        generation_id = deployments.create(folder)
        blobs = Path(context.store._root) / "blobs"
        blobs.rename(blobs.with_name("away"))
        build_generation(context, generation_id)
        row = deployments.generation(generation_id)
        assert (row.state, row.lease_token) == (GenerationState.BUILDING, None)
        blobs.with_name("away").rename(blobs)
        build_generation(context, generation_id)
        assert deployments.generation(generation_id).state == GenerationState.BUILT


class TestFailedPacking:
    def build(self, deployments, context, folder, error: Exception) -> int:
        class Refusing(FolderStore):
            def put(self, key, chunks):
                if key.startswith("wheels/"):
                    raise error
                return super().put(key, chunks)

        generation_id = deployments.create(folder)
        build_generation(replace(context, store=Refusing(context.store._root)), generation_id)
        assert context.toolchain.environments.all() == []
        assert list(context.store.list("environments/")) == []
        return generation_id

    def test_unavailable_object_store_leaves_the_build_for_a_retry(self, deployments, context, folder):
        away = StoreUnavailable("the object store does not answer")
        generation_id = self.build(deployments, context, folder, away)
        assert deployments.generation(generation_id).state == GenerationState.BUILDING
        assert "the object store does not answer) and will be retried" in log_of(deployments, generation_id)
        build_generation(context, generation_id)
        assert deployments.generation(generation_id).state == GenerationState.BUILT

    def test_full_disk_fails_the_build_with_the_folder_to_free(self, deployments, context, folder):
        full = OSError(errno.ENOSPC, "No space left on device", "/data/objects")
        generation_id = self.build(deployments, context, folder, full)
        failed = deployments.deployment(generation_id)
        assert failed.failure_message == "no space left on device: free space in /data/objects, then deploy again"


class TestLostLeases:
    def test_builder_that_lost_its_lease_stops_and_removes_its_environment(
        self, deployments, context, folder, conda, packages, tmp_path
    ):
        packages.add("pandas", "2.0", code="import time\ntime.sleep(600)\n")
        generation_id = deployments.create(folder)
        building = threading.Thread(target=build_generation, args=(context, generation_id))
        building.start()
        reached = wait_until(lambda: deployments.generation(generation_id).step == "checking")
        deployments.change(generation_id, lease_token=uuid4())
        building.join(60)
        assert reached
        assert not building.is_alive()
        assert deployments.generation(generation_id).state == GenerationState.BUILDING
        assert list(context.toolchain.environments._root.iterdir()) == []
        with deployments.sessions() as session:
            assert session.scalar(select(EnvironmentBuildRow.lease_token)) is None


class TestPruning:
    def prune(self, context, tmp_path) -> list[str]:
        return prune_environments(context.sessions, context.toolchain.environments, tmp_path / "workers")

    def test_prune_removes_only_unused_environments(self, deployments, context, folder, conda, packages, tmp_path):
        packages.add("alpha")
        used = deployments.create(folder)
        (folder / "conda.yaml").write_text(conda("alpha"))
        unused = deployments.create(folder)
        for generation_id in (used, unused):
            build_generation(context, generation_id)
        deployments.change(unused, state=GenerationState.RETIRED)
        assert len(self.prune(context, tmp_path)) == 1
        (left,) = context.toolchain.environments.all()
        assert left.name.startswith(deployments.generation(used).lock_hash[:16])
        with deployments.sessions() as session:
            assert session.scalar(select(func.count()).select_from(BuiltEnvironmentRow)) == 1
        again = deployments.create(folder)
        build_generation(context, again)
        assert "known from an earlier build" in log_of(deployments, again)

    def test_prune_spares_the_environment_of_a_running_worker(self, deployments, context, folder, tmp_path):
        generation_id = deployments.create(folder)
        build_generation(context, generation_id)
        deployments.change(generation_id, state=GenerationState.RETIRED)
        name = context.toolchain.environments.all()[0].name
        run_file = tmp_path / "workers" / "abc.json"
        run_file.parent.mkdir()
        run_file.write_text(json.dumps({"labels": {"environment": name}}))
        assert self.prune(context, tmp_path) == []
        run_file.unlink()
        assert self.prune(context, tmp_path) == [name]


def at_once(action: Callable[[int], None], values: list[int]) -> None:
    threads = [threading.Thread(target=action, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Poll the condition; return whether the condition held in time."""
    asked = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if condition():
            return True
        asked.wait(0.1)
    return False
