"""Real batch workers with real model workers, on a data dir, a database and a broker for the test.

The test plays control plane and builder: writes their rows and sends their messages.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from platform import python_version
from typing import Any

from kombu import Connection
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from builder.toolchain import this_platform
from data_plane.batch.app import QUEUE, create_app, worker_caller
from data_plane.replicas.local.worker_process import WorkerProcess
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.data_dir import DataDir
from modelyard.core.db.rows import BuiltEnvironmentRow, JobRow, MiniBatchRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.batch import BatchSettings, InputKind
from modelyard.core.domain.bundle import BUNDLE_FILE, SCORING_SCRIPT, Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.domain.job_files import DATASTORES, default_output_key, errors_key, logs_prefix, parts_prefix
from modelyard.core.domain.lifecycle import JobState
from modelyard.core.domain.mlmodel import RawSignature
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.environments.folder import Attempt
from modelyard.process.program import program_command
from modelyard.supervisor.generated_secrets import new_master_key
from tests.builder.packages import store_packed
from tests.data_plane.replicas.worker_harness import eventually, running_workers

PATIENCE = 60.0
_LOCK = EnvironmentLock("", python_version(), this_platform())
LOCK = _LOCK.digest
ENVIRONMENT = f"{LOCK[:16]}-1"

INPUTS = json.dumps([{"type": "long", "name": "id"}, {"type": "double", "name": "x"}])
SIGNATURE = RawSignature(inputs=INPUTS, outputs=None, params=None)

DOUBLING = """
    def init():
        print("the model loads")

    def run(data, params=None):
        return (data["x"] * 2).to_numpy()
"""


def csv(first: int, rows: int) -> bytes:
    """Ids from `first` on; x is half the id."""
    return b"id,x\n" + b"".join(b"%d,%.1f\n" % (i, i / 2) for i in range(first, first + rows))


def predicted(name: str, first: int, rows: int) -> bytes:
    """The output of `DOUBLING`: each prediction is the row's id."""
    return b"".join(b"%d,%.1f,%s\n" % (row, float(first + row), name.encode()) for row in range(rows))


@dataclass(frozen=True)
class Submitted:
    id: int
    name: str
    output_key: str


class BatchHarness:
    def __init__(self, root: Path, sessions: Sessions, database_url: str, broker_url: str) -> None:
        self.data_dir = DataDir(root / "data")
        self.data_dir.prepare()
        self.store = FolderStore(self.data_dir.objects)
        self.sessions = sessions
        self._database_url = database_url
        self._broker_url = broker_url
        self._app = create_app(broker_url)
        self.send = worker_caller(self._app)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._ended: list[subprocess.Popen[bytes]] = []
        self._lifeline_reader, self._lifeline = os.pipe()
        self._submitted = 0
        self._make_environment()

    def _make_environment(self) -> None:
        """Put the environment of the tests where the builder puts environments."""
        folder = self.data_dir.environments / ENVIRONMENT
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        own = Path(sys.prefix)
        shutil.copy(own / "pyvenv.cfg", folder / "pyvenv.cfg")
        (folder / "lib").symlink_to(own / "lib")
        Attempt(folder).complete(_LOCK)
        with transaction(self.sessions) as work:
            work.session.add(BuiltEnvironmentRow(lock_hash=LOCK, folder=ENVIRONMENT, python_version="3.11.0"))

    def move_environment_away(self, *wheels: Path) -> None:
        """Leave the environment, with the wheels' packages, in the object store only."""
        shutil.rmtree(self.data_dir.environments / ENVIRONMENT)
        store_packed(self.store, _LOCK, wheels)

    # Batch workers.

    def start_worker(self, index: int = 0, *, workers: int = 1) -> int:
        command = program_command("data_plane.batch.main", "--index", str(index), "--workers", str(workers))
        command += ["--lifeline-fd", str(self._lifeline_reader)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, env=self._environment(), pass_fds=[self._lifeline_reader], stdout=log, stderr=log
            )
        self._workers[index] = process
        return process.pid

    def kill_worker(self, index: int = 0) -> None:
        process = self._workers.pop(index)
        process.kill()
        process.wait(PATIENCE)

    def stop_worker(self, index: int = 0) -> int:
        process = self._workers.pop(index)
        process.terminate()
        return process.wait(PATIENCE)

    @property
    def log(self) -> Path:
        return self.data_dir.logs / "batch.log"

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "MODELYARD_DATA_DIR": str(self.data_dir.root),
            "MODELYARD_DATABASE_URL": self._database_url,
            "MODELYARD_BROKER_URL": self._broker_url,
            "MODELYARD_STORAGE_URL": self.data_dir.objects.as_uri(),
            "MODELYARD_MASTER_KEY": new_master_key(),
            # The environment links to the packages of the tests, outside the folders that a sandbox opens.
            "MODELYARD_SANDBOX": "off",
            # The tests' interpreter may lie in a folder closed to other users.
            "MODELYARD_WORKER_UIDS": "none",
        }

    def workers(self) -> list[WorkerProcess]:
        return running_workers(self.data_dir.worker_run_files)

    def end(self) -> None:
        """The end of the lifeline ends batch workers and model workers."""
        os.close(self._lifeline)
        for process in self._workers.values():
            process.wait(PATIENCE)
        eventually(lambda: not self.workers())
        os.close(self._lifeline_reader)
        self._app.close()

    # The part of control plane and builder.

    def submit(
        self,
        files: Mapping[str, bytes],
        script: str = DOUBLING,
        *,
        send: bool = True,
        signature: RawSignature | None = SIGNATURE,
        variables: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Submitted:
        self._submitted += 1
        name = f"job-{self._submitted}"
        folder = f"datastores/workspaceblobstore/input/{name}"
        for path, content in files.items():
            self.store.put(f"{folder}/{path}", [content])
        # Long enough for a slow start on two busy cores.
        chosen = BatchSettings(**{"timeout_seconds": 60.0, "mini_batch_size": 1, **settings})
        output_key = default_output_key(DATASTORES, name, chosen.output_file_name)
        row = JobRow(
            workspace_id=1,
            name=name,
            endpoint="wines",
            deployment="blue",
            bundle_hash=self._bundle(script, signature, variables or {}),
            lock_hash=LOCK,
            settings=chosen.to_dict(),
            input_kind=InputKind.URI_FOLDER,
            input_uri="",
            input_key=folder,
            output_key=output_key,
            logs_prefix=logs_prefix(DATASTORES, name),
            state=JobState.QUEUED,
        )
        with transaction(self.sessions) as work:
            work.session.add(row)
        if send:
            self.send(row.id, 1)
        return Submitted(row.id, name, output_key)

    def _bundle(self, script: str, signature: RawSignature | None, variables: Mapping[str, str]) -> str:
        content = b"weights"
        file = ModelFile("model/weights", hashlib.sha256(content).hexdigest(), len(content))
        self.store.put(file.key, [content])
        code = textwrap.dedent(script).encode()
        bundle = Bundle(
            endpoint="wines",
            deployment="blue",
            generation=1,
            model=BundledModel("m", "1", ModelManifest.of([file]), "model"),
            environment=BundledEnvironment("spec", LOCK, "3.11", ""),
            flavor="sklearn",
            loader_module="mlflow.sklearn",
            predict_fn="predict",
            mlflow_version=None,
            signature=signature,
            type_hints=False,
            environment_variables=variables,
        )
        bundle_hash = bundle.digest(code)
        self.store.put(f"bundles/{bundle_hash}/{SCORING_SCRIPT}", [code])
        self.store.put(f"bundles/{bundle_hash}/{BUNDLE_FILE}", [bundle.to_json()])
        return bundle_hash

    def cancel(self, job: Submitted) -> None:
        with transaction(self.sessions) as work:
            work.session.get_one(JobRow, job.id, with_for_update=True).state = JobState.CANCEL_REQUESTED

    def purge(self) -> None:
        with Connection(self._broker_url) as connection:
            connection.default_channel.queue_purge(QUEUE)

    @contextmanager
    def sweeping(self, job: Submitted) -> Iterator[None]:
        """Sends the job's message again and again, as the control plane's sweep does."""
        over = threading.Event()

        def run() -> None:
            while not over.wait(0.5):
                self.send(job.id, 1)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # Observations.

    def row(self, job: Submitted) -> JobRow:
        with self.sessions() as session:
            return session.get_one(JobRow, job.id)

    def mini_batches(self, job: Submitted) -> list[MiniBatchRow]:
        with self.sessions() as session:
            query = select(MiniBatchRow).where(MiniBatchRow.job_id == job.id).order_by(MiniBatchRow.number)
            return list(session.scalars(query))

    def ended(self, job: Submitted, *, within: float = PATIENCE) -> JobRow:
        """Wait for the job's end and return the row."""

        def final() -> JobRow | None:
            with suppress(SQLAlchemyError):
                row = self.row(job)
                return row if JobState(row.state).is_final else None
            return None

        try:
            row: JobRow = eventually(final, within=within)
        except AssertionError:
            raise AssertionError(f"{self.row(job).state}\n{self.log.read_text()}") from None
        return row

    def completed(self, job: Submitted, *, within: float = PATIENCE) -> bytes:
        """Wait for the job's completion and return the output."""
        row = self.ended(job, within=within)
        assert row.state == JobState.COMPLETED, (row.error, self.log.read_text())
        return self.output(job)

    def output(self, job: Submitted) -> bytes:
        return b"".join(self.store.get(job.output_key))

    def errors(self, job: Submitted) -> str:
        return b"".join(self.store.get(errors_key(job.output_key))).decode()

    def logged(self, job: Submitted, name: str) -> str:
        """The job's logs below `name`, concatenated."""
        keys = self.store.list(logs_prefix(DATASTORES, job.name) + name)
        return b"".join(chunk for key in keys for chunk in self.store.get(key)).decode()

    def parts(self, job: Submitted) -> list[str]:
        return list(self.store.list(parts_prefix(job.id)))
