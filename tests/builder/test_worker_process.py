"""A builder process as under the supervisor, with a real broker and database."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kombu import Connection

from builder.tasks import BUILD_DEPLOYMENT, PRUNE_ENVIRONMENTS, create_app
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.data_dir import DataDir
from modelyard.core.db.lifecycle import begin_operation
from modelyard.core.db.rows import OperationRow
from modelyard.core.db.unit_of_work import sessions_of, transaction
from modelyard.core.domain.lifecycle import GenerationState
from modelyard.process.program import program_command
from tests.builder.deployments import Deployments
from tests.builder.test_generation import MLMODEL, conda, packages, wait_until

__all__ = ["conda", "packages"]


@pytest.fixture
def data_dir(session_data_dir, tmp_path_factory) -> DataDir:
    own = DataDir(session_data_dir.root / tmp_path_factory.mktemp("worker").name)
    own.prepare()
    return own


@pytest.fixture
def deployments(own_engine, data_dir) -> Deployments:
    return Deployments(sessions_of(own_engine), FolderStore(data_dir.objects))


@pytest.fixture
def send(broker_url):
    """Send a task by name, as the control plane does."""
    app = create_app(broker_url)
    with Connection(broker_url) as connection:
        connection.default_channel.queue_purge("builder")
    yield app.send_task
    app.close()


@pytest.fixture
def start(data_dir, database_url, broker_url):
    """Start builders; each ends with the block."""

    @contextmanager
    def running() -> Iterator[tuple[subprocess.Popen, int]]:
        reader, writer = os.pipe()
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))},
            "PIP_CONFIG_FILE": os.devnull,
            "MODELYARD_DATA_DIR": str(data_dir.root),
            "MODELYARD_DATABASE_URL": database_url,
            "MODELYARD_BROKER_URL": broker_url,
            "MODELYARD_STORAGE_URL": data_dir.objects.as_uri(),
            "MODELYARD_MASTER_KEY": "unused",
            "MODELYARD_OUTGOING_ALLOWED_HOSTS": "127.0.0.1",  # of the index of these tests
        }
        command = program_command("builder.main", "--lifeline-fd", str(reader))
        with (data_dir.logs / "builder.log").open("ab") as log:
            process = subprocess.Popen(command, env=environ, pass_fds=[reader], stdout=log, stderr=log)
        os.close(reader)
        try:
            yield process, writer
        finally:
            process.kill()
            process.wait()
            if writer_is_open(writer):
                os.close(writer)

    return running


def writer_is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def state_of(deployments: Deployments, generation_id: int, state: GenerationState) -> bool:
    return wait_until(lambda: deployments.generation(generation_id).state == state)


class TestBuilderProcess:
    def test_builder_builds_the_generation_of_a_message_and_ends_with_its_lifeline(
        self, start, send, deployments, model_folder, conda
    ):
        generation_id = deployments.create(model_folder({"conda.yaml": conda()}, mlmodel=MLMODEL))
        with start() as (process, lifeline):
            send(BUILD_DEPLOYMENT, args=[generation_id])
            assert state_of(deployments, generation_id, GenerationState.BUILT)
            os.close(lifeline)
            assert process.wait(60) is not None

    def test_prune_task_ends_its_operation(self, start, send, deployments, data_dir):
        with transaction(deployments.sessions) as work:
            operation = begin_operation(work.session, subscription="0", kind="prune", resource_id="environments")
        with start():
            send(PRUNE_ENVIRONMENTS, args=[str(operation.id)])

            def ended() -> bool:
                with deployments.sessions() as session:
                    return session.get_one(OperationRow, operation.id).status == "Succeeded"

            assert wait_until(ended)

    def test_stopped_builder_removes_its_build_and_the_next_builder_resumes(
        self, start, send, deployments, model_folder, conda, packages, data_dir, passable_folder
    ):
        gate = passable_folder / "gate"
        packages.add(
            "pandas", "2.0", code=f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.1)\n"
        )
        generation_id = deployments.create(model_folder({"conda.yaml": conda()}, mlmodel=MLMODEL))
        with start() as (process, _):
            send(BUILD_DEPLOYMENT, args=[generation_id])
            assert wait_until(lambda: deployments.generation(generation_id).step == "checking")
            process.terminate()
            assert process.wait(60) == 0
        assert list(data_dir.environments.iterdir()) == []
        row = deployments.generation(generation_id)
        assert (row.state, row.lease_token) == (GenerationState.BUILDING, None)
        gate.write_text("")
        with start():
            send(BUILD_DEPLOYMENT, args=[generation_id])
            assert state_of(deployments, generation_id, GenerationState.BUILT)

    def test_unfinished_environment_of_a_killed_builder_is_removed_by_the_next(
        self, start, send, deployments, model_folder, conda, packages, data_dir
    ):
        packages.add("pandas", "2.0", code="import time\ntime.sleep(600)\n")
        generation_id = deployments.create(model_folder({"conda.yaml": conda()}, mlmodel=MLMODEL))
        with start() as (process, _):
            send(BUILD_DEPLOYMENT, args=[generation_id])
            assert wait_until(lambda: deployments.generation(generation_id).step == "checking")
            process.kill()
            process.wait()
        with start():
            assert wait_until(lambda: not any(data_dir.environments.iterdir()))

    def test_programs_of_a_build_get_no_platform_secret(
        self, start, send, deployments, model_folder, conda, packages, data_dir, database_url, tmp_path
    ):
        code = "import os\nprint('seen', sorted(os.environ.items()))\n"
        packages.add("pandas", "2.0", code=code)
        generation_id = deployments.create(model_folder({"conda.yaml": conda()}, mlmodel=MLMODEL))
        with start():
            send(BUILD_DEPLOYMENT, args=[generation_id])
            assert state_of(deployments, generation_id, GenerationState.BUILT)
        chunks = [path.read_text() for path in Path(data_dir.objects).glob("logs/*/StorageInitializer/*")]
        log = "".join(chunks)
        assert "seen [" in log
        assert database_url not in log
        assert "MODELYARD_" not in log
