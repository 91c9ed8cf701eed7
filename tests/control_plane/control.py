"""A control plane under test: the real application on a real socket and a real database.

Where a test needs builders and a host, the test plays both roles, with the functions that builders and hosts call.
"""

import ssl
import threading
import time
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from pydantic import SecretStr
from sqlalchemy import Engine, select

from control_plane.dependencies import Dependencies
from control_plane.services import wire
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.adapters.secret_box import digest_token
from modelyard.core.data_dir import DataDir
from modelyard.core.db import lifecycle
from modelyard.core.db.rows import AdminTokenRow, GenerationRow, OnlineDeploymentRow, OnlineEndpointRow, RoutingRow
from modelyard.core.db.unit_of_work import sessions_of
from modelyard.core.domain.access_tokens import token_digest
from modelyard.core.domain.caller import SYSTEM_BUILDER, SYSTEM_HOST
from modelyard.core.domain.job_files import DATASTORES, datastores_folder
from modelyard.core.domain.lifecycle import GenerationState
from modelyard.core.settings import PlatformSettings
from modelyard.supervisor.generated_secrets import new_master_key
from tests.control_plane.app_server import AppServer

TOKEN = "the-admin-token-of-these-tests"
DIGEST = digest_token(TOKEN)
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
WORKSPACE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces/default"
)
_WRITE_SECONDS = 5.0
# A test waits for an answer that must come, on a machine of any load.
PATIENCE_SECONDS = 120.0
_NOT_BUILT = (GenerationState.QUEUED, GenerationState.BUILDING)
MLMODEL = b"""
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, code: null}
mlflow_version: 2.22.0
utc_time_created: 2025-01-02 03:04:05.678
"""


# One TLS context for all clients, because reading the certificate authorities takes 20 ms of CPU.
TLS = ssl.create_default_context()
# Sends no token.
anonymous = httpx2.Client(timeout=PATIENCE_SECONDS, verify=TLS)


class Outbox:
    """A dispatcher that records messages."""

    def __init__(self) -> None:
        self.builds: list[int] = []
        self.prunings: list[UUID] = []
        self.jobs: list[int] = []

    def build_deployment(self, generation_id: int) -> None:
        self.builds.append(generation_id)

    def prune_environments(self, operation_id: UUID) -> None:
        self.prunings.append(operation_id)

    def run_job(self, job_id: int) -> None:
        self.jobs.append(job_id)


class Control:
    def __init__(
        self,
        server: AppServer,
        engine: Engine,
        folder: Path,
        dependencies: Dependencies | None = None,
        **settings: Any,
    ) -> None:
        self.workspace = WORKSPACE
        self.datastores = DATASTORES
        self.engine = engine
        self.sessions = sessions_of(engine)
        self.store = FolderStore(folder / "objects")
        self.outbox = Outbox()
        self.settings = PlatformSettings.model_construct(
            **{
                "data_dir": DataDir(folder),
                "master_key": SecretStr(new_master_key()),
                "public_url": None,
                "scoring_public_url": None,
                "scoring_port": 8001,
                "max_upload_bytes": 64 << 20,
                **settings,
            }
        )
        self.add_admin_token()
        self.settings.data_dir.logs.mkdir(exist_ok=True)
        self.services = wire(self.settings, self.sessions, self.store, self.outbox, dependencies)
        server.use(self.services)
        self.app, self.url = server.app, server.url
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        self.http = httpx2.Client(base_url=self.url, headers=authorized, timeout=PATIENCE_SECONDS, verify=TLS)

    def add_admin_token(self) -> None:
        with self.sessions.begin() as session:
            session.add(AdminTokenRow(digest=DIGEST, sha256=token_digest(TOKEN)))

    def close(self) -> None:
        self.http.close()
        # The last use of a token is written beside the request. The engine must not be disposed of meanwhile.
        deadline = time.monotonic() + _WRITE_SECONDS
        while self.engine.pool.checkedout() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.services.telemetry.close()

    def in_workspace(self, name: str) -> "Control":
        """The same control plane, with requests to a new workspace."""
        other = copy(self)
        other.workspace = self.workspace.rpartition("/")[0] + f"/{name}"
        created = other.put("", {"location": "local"})
        other.datastores = datastores_folder(int(created["properties"]["workspaceId"]))
        return other

    # Requests.

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        """`path` below the workspace, or absolute when it begins with '//'."""
        target = path[1:] if path.startswith("//") else f"{self.workspace}{path}"
        return self.http.request(method, target, json=body, **more)

    def get(self, path: str, **params: str) -> Any:
        answer = self.ask("GET", path, params=params or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, path: str, body: Any, expected: int = 201) -> Any:
        answer = self.ask("PUT", path, body)
        assert answer.status_code == expected, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, expected: int = 200) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    def operation(self, answer: httpx2.Response) -> dict[str, Any]:
        return self.http.get(answer.headers["Azure-AsyncOperation"]).json()

    # Files.

    def start_upload(self, version: str = "/models/m/versions/1") -> "Upload":
        reply = self.post(f"{version}/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"})
        return Upload(reply["blobReferenceForConsumption"])

    def upload(self, files: dict[str, bytes], folder: str = "model") -> str:
        """Returns the modelUri."""
        upload = self.start_upload()
        for path, content in files.items():
            answer = anonymous.put(upload.url(f"{folder}/{path}"), content=content)
            assert answer.status_code == 201, answer.text
        return f"{upload.uri}/{folder}"

    def store_files(self, folder: str, files: dict[str, bytes]) -> str:
        """Write files to a folder of the default datastore. Returns the URI in short form."""
        for path, content in files.items():
            self.store.put(f"{self.datastores}/workspaceblobstore/{folder}/{path}", [content])
        return f"azureml://datastores/workspaceblobstore/paths/{folder}"

    def register(self, name: str = "m", version: str = "1", files: dict[str, bytes] | None = None) -> str:
        """Returns the model version's id."""
        uri = self.upload(files or {"MLmodel": MLMODEL, "model.pkl": b"weights"})
        body = {"properties": {"modelType": "mlflow_model", "modelUri": uri}}
        return self.put(f"/models/{name}/versions/{version}", body)["id"]

    # Resources.

    def endpoint(self, name: str = "ep-one", **properties: Any) -> str:
        """A settled endpoint. Returns the path."""
        self.put(f"/onlineEndpoints/{name}", {"location": "local", "properties": {"authMode": "Key", **properties}})
        self.gateways_apply()
        return f"/onlineEndpoints/{name}"

    def deployment(self, endpoint: str, model: str, name: str = "blue") -> str:
        """A serving deployment. Returns the path."""
        path = f"{endpoint}/deployments/{name}"
        self.put(path, {"properties": {"model": model}})
        self.build_and_start()
        return path

    def batch_endpoint(self, name: str = "be-one", **properties: Any) -> str:
        """Create a batch endpoint. Returns the path."""
        self.put(f"/batchEndpoints/{name}", {"properties": {"authMode": "aadToken", **properties}})
        return f"/batchEndpoints/{name}"

    def batch_deployment(self, endpoint: str, model: str, name: str = "bd-one", **properties: Any) -> str:
        """A built deployment, the default of the endpoint. Returns the path."""
        path = f"{endpoint}/deployments/{name}"
        self.put(path, {"properties": {"model": {"referenceType": "Id", "assetId": model}, **properties}})
        self.build_batch()
        answer = self.ask("PATCH", endpoint, {"properties": {"defaults": {"deploymentName": name}}})
        assert answer.status_code == 200, answer.text
        return path

    def submit(self, endpoint: str, body: Any = None, expected: int = 201, **headers: str) -> Any:
        """Submit a job to the endpoint at a path. Returns the body of the response."""
        name = endpoint.rpartition("/")[2]
        properties = body if body is not None else {"inputData": {"in": self.place()}}
        answer = self.ask("POST", f"//batch/{name}/jobs", {"properties": properties}, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    def place(self) -> dict[str, str]:
        """A folder with a file, as the input of a job."""
        self.store.put(f"{self.datastores}/workspaceblobstore/rows/a.csv", [b"x\n1\n"])
        return {"jobInputType": "UriFolder", "uri": "azureml://datastores/workspaceblobstore/paths/rows/"}

    # Playing the builder and the host.

    def build_batch(self) -> None:
        self.build()
        with self.sessions.begin() as session:
            for row in session.scalars(select(GenerationRow).where(GenerationRow.state == GenerationState.BUILT)):
                row.lock_hash = "c" * 64
                lifecycle.batch_generation_ready(session, SYSTEM_BUILDER, row.id)

    def gateways_apply(self) -> None:
        with self.sessions.begin() as session:
            lifecycle.record_applied(session, SYSTEM_HOST, session.scalars(select(RoutingRow.desired)).one())

    def build(self) -> None:
        with self.sessions.begin() as session:
            for row in session.scalars(select(GenerationRow).where(GenerationRow.state.in_(_NOT_BUILT))):
                row.state, row.bundle_hash, row.step = GenerationState.BUILT, "b" * 64, "starting workers"

    def build_and_start(self) -> None:
        self.build()
        with self.sessions.begin() as session:
            built = select(GenerationRow.id).where(GenerationRow.state == GenerationState.BUILT)
            for generation_id in session.scalars(built).all():
                lifecycle.generation_ready(session, SYSTEM_HOST, generation_id)
        self.gateways_apply()

    def fail_builds(self, message: str) -> None:
        with self.sessions.begin() as session:
            unbuilt = select(GenerationRow.id).where(GenerationRow.state.in_(_NOT_BUILT))
            for generation_id in session.scalars(unbuilt).all():
                lifecycle.generation_failed(
                    session, SYSTEM_BUILDER, generation_id, code="EnvironmentBuildFailure", message=message
                )

    def report_step(self, step: str) -> bool:
        """Set the step of every build under way. Returns False when there is none."""
        with self.sessions.begin() as session:
            builds = session.scalars(select(GenerationRow).where(GenerationRow.state.in_(_NOT_BUILT))).all()
            for row in builds:
                row.state, row.step = GenerationState.BUILDING, step
            return bool(builds)

    def settle(self) -> None:
        """Do all that builder, host and gateways have to do."""
        self.end_workers()
        self.build_batch()
        with self.sessions.begin() as session:
            for deployment in session.scalars(select(OnlineDeploymentRow)).all():
                lifecycle.scaled(session, SYSTEM_HOST, deployment.id, instance_count=deployment.instance_count)
            online = GenerationRow.deployment_id.is_not(None)
            built = select(GenerationRow.id).where(GenerationRow.state == GenerationState.BUILT, online)
            for generation_id in session.scalars(built).all():
                lifecycle.generation_ready(session, SYSTEM_HOST, generation_id)
        self.gateways_apply()

    def end_workers(self) -> None:
        """End the workers of deployments being deleted, as the host reports."""
        with self.sessions.begin() as session:
            for deployment in session.scalars(select(OnlineDeploymentRow)).all():
                lifecycle.deployment_deleted(session, SYSTEM_HOST, deployment.id)
            session.expire_all()
            for endpoint in session.scalars(select(OnlineEndpointRow)).all():
                lifecycle.endpoint_deleted(session, SYSTEM_HOST, endpoint.id)


class Upload:
    def __init__(self, reference: dict[str, Any]) -> None:
        self.uri: str = reference["blobUri"]
        self.query: str = reference["credential"]["sasUri"].partition("?")[2]

    def url(self, path: str) -> str:
        return f"{self.uri}/{path}?{self.query}"


def error_of(answer: httpx2.Response, status: int) -> dict[str, Any]:
    """The error of a response with the given status and the canonical body."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert set(document) == {"error"}
    error = document["error"]
    assert set(error) <= {"code", "message", "target", "details", "additionalInfo"}
    assert error["code"]
    assert error["message"]
    return error


def concurrently(times: int, ask: Callable[[], int]) -> list[int]:
    """Send the same request from several threads at the same time. Returns the status codes."""
    barrier = threading.Barrier(times)
    answers: list[int] = []

    def run() -> None:
        barrier.wait()
        answers.append(ask())

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
