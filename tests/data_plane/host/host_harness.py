"""A real host process with real workers, on a data dir and a database for the test.

The test plays control plane and builder and writes their rows. A thread plays an attentive gateway.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from platform import python_version
from typing import Any

from sqlalchemy import select

from builder.toolchain import this_platform
from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import JsonPayload
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.data_dir import DataDir
from modelyard.core.db import lifecycle
from modelyard.core.db.rows import (
    BuiltEnvironmentRow,
    GenerationRow,
    ModelRow,
    ModelVersionRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    OperationRow,
    WorkerRow,
)
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.bundle import BUNDLE_FILE, SCORING_SCRIPT, Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.deployment import DeploymentSpec, Probe, RequestSettings
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.domain.routing import DeploymentRoute, RoutingSnapshot
from modelyard.core.environments.folder import Attempt
from modelyard.core.logs import INFERENCE_SERVER, read_log
from modelyard.process.program import program_command
from modelyard.supervisor.generated_secrets import new_master_key
from tests.builder.packages import store_packed
from tests.data_plane.replicas.worker_harness import PATIENCE, eventually, running_workers

_LOCK = EnvironmentLock("", python_version(), this_platform())
LOCK = _LOCK.digest
ENVIRONMENT = f"{LOCK[:16]}-1"

ANSWER = """
    def init():
        print("loading")

    def run(input_data, params=None):
        return {answer!r}
"""


def answering(answer: str) -> str:
    return ANSWER.format(answer=answer)


class Gateway:
    """Applies and reports each snapshot at once."""

    def __init__(self, data_dir: DataDir) -> None:
        self._routing = data_dir.routing_file
        self._report = data_dir.run / "gateway-0.applied"
        self.seen: list[RoutingSnapshot] = []
        self._over = threading.Event()
        self.is_attentive = threading.Event()
        self.is_attentive.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def snapshot(self) -> RoutingSnapshot | None:
        return RoutingSnapshot.from_json(self._routing.read_bytes()) if self._routing.exists() else None

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.01):
            snapshot = self.snapshot()
            if snapshot and (not self.seen or snapshot.order > self.seen[-1].order):
                self.seen.append(snapshot)
            if snapshot and self.is_attentive.is_set():
                part = self._report.with_suffix(".part")
                part.write_text(json.dumps({"pid": 1, "revision": snapshot.revision, "sequence": snapshot.sequence}))
                part.replace(self._report)


def routed(snapshot: RoutingSnapshot) -> set[int]:
    routes = [route for endpoint in snapshot.endpoints.values() for route in endpoint.deployments.values()]
    return {worker.pid for route in routes for worker in route.workers}


@dataclass(frozen=True)
class Shown:
    """A deployment's row in the database."""

    state: str
    code: str | None
    message: str | None
    operation: str
    serving: int | None


class HostHarness:
    def __init__(self, root: Path, sessions: Sessions, database_url: str) -> None:
        self.data_dir = DataDir(root / "data")
        self.data_dir.prepare()
        self.store = FolderStore(self.data_dir.objects)
        self.gateway: Gateway = Gateway(self.data_dir)
        self.host: subprocess.Popen[bytes] | None = None
        self._hosts: list[subprocess.Popen[bytes]] = []
        self._sessions = sessions
        self._database_url = database_url
        self._lifeline_reader, self._lifeline = os.pipe()
        self._make_environment()

    def _make_environment(self) -> None:
        """Put the interpreter of the tests where the builder puts environments."""
        folder = self.data_dir.environments / ENVIRONMENT
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        Attempt(folder).complete(_LOCK)
        with transaction(self._sessions) as work:
            work.session.add(BuiltEnvironmentRow(lock_hash=LOCK, folder=ENVIRONMENT, python_version="3.11.0"))

    def move_environment_away(self, *wheels: Path) -> None:
        """Leave the environment, with the wheels' packages, in the object store only."""
        shutil.rmtree(self.data_dir.environments / ENVIRONMENT)
        store_packed(self.store, _LOCK, wheels)

    def forget_environment(self) -> None:
        """As pruning does on another machine."""
        with transaction(self._sessions) as work:
            work.session.delete(work.session.get_one(BuiltEnvironmentRow, LOCK))

    # The host's life.

    def start_host(self) -> int:
        command = program_command("data_plane.host.main", "--lifeline-fd", str(self._lifeline_reader))
        with self.log.open("ab") as log:
            self.host = subprocess.Popen(
                command, env=self._environment(), pass_fds=[self._lifeline_reader], stdout=log, stderr=log
            )
        self._hosts.append(self.host)
        return self.host.pid

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "MODELYARD_DATA_DIR": str(self.data_dir.root),
            "MODELYARD_DATABASE_URL": self._database_url,
            "MODELYARD_BROKER_URL": "redis://unused",
            "MODELYARD_STORAGE_URL": self.data_dir.objects.as_uri(),
            "MODELYARD_MASTER_KEY": new_master_key(),
            # The tests' interpreter may lie in a folder closed to other users.
            "MODELYARD_WORKER_UIDS": "none",
        }

    @property
    def log(self) -> Path:
        return self.data_dir.logs / "host.log"

    def kill_host(self) -> None:
        assert self.host is not None
        self.host.kill()
        self.host.wait(PATIENCE)

    def stop_host(self) -> int:
        assert self.host is not None
        self.host.send_signal(signal.SIGTERM)
        return self.host.wait(PATIENCE)

    def drop_lifeline(self) -> None:
        os.close(self._lifeline)
        self._lifeline = -1

    def end(self) -> None:
        """The end of the lifeline ends host and workers alike."""
        if self._lifeline >= 0:
            self.drop_lifeline()
        for host in self._hosts:
            host.wait(PATIENCE)
        eventually(lambda: not self.workers())
        os.close(self._lifeline_reader)
        self.gateway.end()

    # The part of control plane and builder.

    def endpoint(self, name: str = "wines") -> int:
        with transaction(self._sessions) as work:
            operation = self._operation(work.session, f"endpoint {name}")
            row = OnlineEndpointRow(
                workspace_id=1,
                name=name,
                auth_mode="Key",
                provisioning_state=ProvisioningState.CREATING,
                operation_id=operation.id,
                primary_key_encrypted="",
                secondary_key_encrypted="",
                primary_key_digest="11",
                secondary_key_digest="22",
                token_key_encrypted="",
                token_public_key="",
                awaits_revision=lifecycle.next_routing_revision(work.session),
            )
            work.session.add(row)
            work.session.flush()
            return row.id

    def deploy(self, script: str, *, instances: int = 1, endpoint: str = "wines", **settings: Any) -> None:
        """Add a built generation of the deployment "blue", and the deployment if it is new."""
        with transaction(self._sessions) as work:
            owner = work.session.scalars(select(OnlineEndpointRow).where(OnlineEndpointRow.name == endpoint)).one()
            operation = self._operation(work.session, f"deployment {endpoint}/blue")
            row = next(iter(owner.deployments), None)
            if row is None:
                row = OnlineDeploymentRow(
                    endpoint=owner,
                    name="blue",
                    instance_count=instances,
                    provisioning_state=ProvisioningState.CREATING,
                    operation_id=operation.id,
                    wanted_generation=1,
                )
                work.session.add(row)
            else:
                lifecycle.begin(row, ProvisioningState.UPDATING, operation)
                row.wanted_generation += 1
            work.session.flush()
            work.session.add(self._generation(work.session, row, script, settings))

    def _generation(
        self, session: Any, row: OnlineDeploymentRow, script: str, settings: dict[str, Any]
    ) -> GenerationRow:
        timeout, batching = settings.pop("timeout", 5.0), settings.pop("batching", {})
        spec = DeploymentSpec(
            model_id="m",
            request_settings=RequestSettings(request_timeout_seconds=timeout, **batching),
            liveness_probe=settings.pop("liveness", Probe()),
            readiness_probe=settings.pop("readiness", Probe()),
            environment_variables=settings,
        )
        bundle_hash = self._bundle(row, script, **settings)
        return GenerationRow(
            deployment_id=row.id,
            number=row.wanted_generation,
            state=GenerationState.BUILT,
            spec=spec.to_dict(),
            model_version_id=self._model_version(session),
            lock_hash=LOCK,
            bundle_hash=bundle_hash,
            step="starting workers",
        )

    def _model_version(self, session: Any) -> int:
        model = session.scalars(select(ModelRow)).first() or ModelRow(workspace_id=1, name="m")
        version = ModelVersionRow(
            model=model,
            version=str(len(model.versions) + 1),
            model_type="mlflow_model",
            model_uri="",
            folder_name="model",
            manifest=[],
            manifest_hash="",
        )
        session.add(version)
        session.flush()
        return version.id

    def _bundle(self, row: OnlineDeploymentRow, script: str, **variables: str) -> str:
        content = b"weights"
        file = ModelFile("model/weights", hashlib.sha256(content).hexdigest(), len(content))
        self.store.put(file.key, [content])
        code = textwrap.dedent(script).encode()
        bundle = Bundle(
            endpoint=row.endpoint.name,
            deployment=row.name,
            generation=row.wanted_generation,
            model=BundledModel("m", "1", ModelManifest.of([file]), "model"),
            environment=BundledEnvironment("spec", LOCK, "3.11", ""),
            flavor="python_function",
            loader_module="own",
            predict_fn="predict",
            mlflow_version=None,
            signature=None,
            type_hints=False,
            environment_variables=variables,
        )
        bundle_hash = bundle.digest(code)
        self.store.put(f"bundles/{bundle_hash}/{SCORING_SCRIPT}", [code])
        self.store.put(f"bundles/{bundle_hash}/{BUNDLE_FILE}", [bundle.to_json()])
        return bundle_hash

    def scale(self, instances: int) -> None:
        with transaction(self._sessions) as work:
            row = work.session.scalars(select(OnlineDeploymentRow)).one()
            lifecycle.begin(row, ProvisioningState.SCALING, self._operation(work.session, "scale"))
            row.instance_count = instances

    def delete(self, kind: type[OnlineDeploymentRow] | type[OnlineEndpointRow]) -> None:
        with transaction(self._sessions) as work:
            row = work.session.scalars(select(kind)).one()
            lifecycle.begin(row, ProvisioningState.DELETING, self._operation(work.session, "delete"))
            lifecycle.next_routing_revision(work.session)

    def _operation(self, session: Any, resource: str) -> OperationRow:
        return lifecycle.begin_operation(session, subscription="0", kind="test", resource_id=resource)

    # Observations.

    def deployment(self) -> Shown:
        with self._sessions() as session:
            row = session.scalars(select(OnlineDeploymentRow)).one()
            operation = session.get_one(OperationRow, row.operation_id)
            return Shown(
                state=row.provisioning_state,
                code=row.failure_code,
                message=row.failure_message,
                operation=operation.status,
                serving=row.serving_generation,
            )

    def eventually_is(self, state: ProvisioningState, **more: Any) -> Shown:
        def shown() -> Shown | None:
            now = self.deployment()
            return now if now.state == state and all(getattr(now, k) == v for k, v in more.items()) else None

        try:
            found: Shown = eventually(shown)
        except AssertionError:
            raise AssertionError(f"{self.deployment()}\n{self.log.read_text()}") from None
        return found

    def rows(self, kind: Any) -> list[Any]:
        with self._sessions() as session:
            return list(session.scalars(select(kind)))

    def worker_rows(self) -> list[WorkerRow]:
        return sorted(self.rows(WorkerRow), key=lambda row: (row.generation, row.slot))

    def operations(self) -> dict[str, str]:
        return {row.resource_id: row.status for row in self.rows(OperationRow)}

    def workers(self) -> list[Any]:
        return running_workers(self.data_dir.worker_run_files)

    def pids(self) -> set[int]:
        return {model_worker.pid for model_worker in self.workers()}

    def routed(self) -> set[int]:
        """Pids of the workers in the routing snapshot."""
        snapshot = self.gateway.snapshot()
        return routed(snapshot) if snapshot else set()

    def route(self, endpoint: str = "wines") -> DeploymentRoute:
        """The deployment's route in the snapshot."""
        snapshot = self.gateway.snapshot()
        assert snapshot is not None
        return snapshot.endpoints[endpoint].deployments["blue"]

    def answers(self) -> set[Any]:
        """The predictions of the routed workers."""
        routed = self.routed()
        found = set()
        for model_worker in self.workers():
            if model_worker.pid in routed:
                with BlockingWorkerConnection(model_worker.socket, role="gateway", timeout=PATIENCE) as connection:
                    found.add(json.loads(result_to_json(connection.score(JsonPayload(0), timeout=PATIENCE))))
        return found

    def model_log(self, container: str = INFERENCE_SERVER) -> str:
        (row,) = self.rows(OnlineDeploymentRow)
        return read_log(self.store, row.id, container, None)
