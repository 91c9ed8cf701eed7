"""A real gateway process on loopback with real model workers, and a routing file that the test writes."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_plane.replicas.local.worker_process import WorkerProcess
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.mlmodel import RawSignature
from modelyard.core.domain.model_manifest import ModelManifest
from modelyard.core.domain.routing import DeploymentRoute, EndpointRoute, RoutingSnapshot, WorkerRoute
from modelyard.process.program import program_command
from tests.data_plane.replicas.worker_harness import PATIENCE, WorkerHarness, eventually

KEY = "a key of the endpoint wines"
DOUBLES = json.dumps([{"type": "double", "name": name, "required": True} for name in ("alcohol", "acidity")])

# Returns its input and params, with the kind of the input.
MIRROR = """
    def init():
        pass

    def run(input_data, params=None):
        kind = type(input_data).__name__
        if kind == "DataFrame":
            return {"kind": kind, "data": input_data, "dtypes": [str(t) for t in input_data.dtypes], "params": params}
        return {"kind": kind, "data": input_data, "params": params}
"""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        assert self.json["message"] == error["message"]
        return error


@dataclass
class GatewayProcess:
    """The gateway under test."""

    harness: WorkerHarness
    options: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """MODELYARD_GATEWAY_* variables."""
    revision: int = 0
    endpoints: dict[str, EndpointRoute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lifeline = -1
        self.restart()

    def restart(self) -> None:
        """Start a process on the same socket, as the supervisor does after the end of a gateway."""
        if self._lifeline >= 0:
            self.drop_lifeline()
        reader, self._lifeline = os.pipe()
        self.process = self._start(reader)
        os.close(reader)

    def _start(self, lifeline: int) -> "subprocess.Popen[bytes]":
        fd = self._listener.fileno()
        command = program_command("data_plane.gateway.main", "--fd", str(fd), "--index", "0")
        command += ["--data-dir", str(self.harness.data_dir.root), "--lifeline-fd", str(lifeline), *self.options]
        with open(self.log, "ab") as log:
            environment = {**os.environ, **self.settings}
            return subprocess.Popen(command, pass_fds=[fd, lifeline], stdout=log, stderr=log, env=environment)

    @property
    def log(self) -> Path:
        return self.harness.data_dir.logs / "gateway.log"

    @property
    def applied_file(self) -> Path:
        return self.harness.data_dir.run / "gateway-0.applied"

    # The routing snapshot.

    def publish(self) -> None:
        """Publish the next revision and wait until the gateway has applied the snapshot."""
        self.revision += 1
        self.write(RoutingSnapshot(self.revision, 0, self.endpoints))
        eventually(lambda: self.applied() == (self.revision, 0))

    def write(self, snapshot: RoutingSnapshot) -> None:
        file = self.harness.data_dir.routing_file
        writing = file.with_suffix(".new")
        writing.write_bytes(snapshot.to_json())
        writing.rename(file)

    def applied(self) -> tuple[int, int] | None:
        try:
            report = json.loads(self.applied_file.read_text())
        except FileNotFoundError:
            return None
        return report["revision"], report["sequence"]

    def endpoint(self, *deployments: DeploymentRoute, name: str = "wines", **changes: Any) -> EndpointRoute:
        """Add an endpoint to the next `publish`. By default the first deployment gets all the traffic."""
        route = EndpointRoute(
            name=name,
            auth_mode="Key",
            key_digests=(digest("another key"), digest(KEY)),
            token_public_key=None,
            traffic={deployments[0].name: 100} if deployments else {},
            mirror_traffic={},
            deployments={deployment.name: deployment for deployment in deployments},
        )
        self.endpoints[name] = replace(route, **changes)
        return self.endpoints[name]

    def serve(self, script: str, *, instances: int = 1, name: str = "blue", **options: Any) -> list[WorkerProcess]:
        """Publish a deployment with ready workers."""
        route, model_workers = self.deployment(script, instances=instances, name=name, **options)
        self.endpoint(route)
        self.publish()
        return model_workers

    def deployment(
        self,
        script: str,
        *,
        instances: int = 1,
        name: str = "blue",
        generation: int = 3,
        inputs: str | None = None,
        outputs: str | None = None,
        params: str | None = None,
        type_hints: bool = False,
        mlflow_version: str | None = None,
        model_version: str = "1",
        input_example: dict[str, Any] | None = None,
        **changes: Any,
    ) -> tuple[DeploymentRoute, list[WorkerProcess]]:
        model_workers = [
            self.harness.ready(script, deployment=name, generation=generation)[0] for _ in range(instances)
        ]
        bundle_dir = self.harness.data_dir.bundles / f"{name}-{generation}"
        bundle_dir.mkdir(exist_ok=True)
        signature = RawSignature(inputs, outputs, params) if inputs or outputs or params else None
        bundle = bundle_of(name, generation, signature, type_hints, mlflow_version, model_version)
        (bundle_dir / BUNDLE_FILE).write_bytes(replace(bundle, input_example=input_example).to_json())
        route = DeploymentRoute(
            name=name,
            generation=generation,
            bundle_dir=str(bundle_dir),
            workers=tuple(map(worker_route, model_workers)),
            request_timeout_seconds=PATIENCE,
            max_concurrent_requests_per_instance=None,
            max_queue_wait_seconds=None,
        )
        return replace(route, **changes), model_workers

    def pending(self) -> int:
        """Requests, by the tables of all gateways of the data dir."""
        tables = self.harness.data_dir.run.glob("gateway-*.pending")
        return sum(sum(memoryview(table.read_bytes()).cast("Q")[1::2]) for table in tables)

    # What its callers do.

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=2 * PATIENCE)

    def score(
        self, input_data: Any, *, endpoint: str = "wines", headers: Mapping[str, str] | None = None, **more: Any
    ) -> Reply:
        body = json.dumps({"input_data": input_data, **more})
        return self.request("POST", f"/{endpoint}/score", body, headers)

    def request(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        connection = self.connection()
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        answer = reply(connection)
        connection.close()
        return answer

    def raw(self) -> socket.socket:
        """Open a connection for bytes that an HTTP client would not send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    # Its end.

    def is_whole(self) -> bool:
        """Whether the process runs, and takes a further test's snapshots."""
        return self._lifeline >= 0 and self.process.poll() is None

    def forget_deployments(self) -> None:
        """End the workers, and have a running gateway forget the deployments, the requests and the log."""
        self.endpoints.clear()
        if self.is_whole():
            self.publish()
        self.harness.end()
        eventually(lambda: self.pending() == 0 or not self.is_whole())
        self.log.write_bytes(b"")

    def drop_lifeline(self) -> None:
        os.close(self._lifeline)
        self._lifeline = -1

    def end(self) -> None:
        if self._lifeline >= 0:
            self.drop_lifeline()
        self._listener.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            raise AssertionError("the gateway did not end with its lifeline")


def reply(connection: http.client.HTTPConnection) -> Reply:
    response = connection.getresponse()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def worker_route(model_worker: WorkerProcess) -> WorkerRoute:
    return WorkerRoute(model_worker.worker_id, str(model_worker.socket), model_worker.pid)


def bundle_of(
    name: str,
    generation: int,
    signature: RawSignature | None,
    type_hints: bool,
    mlflow_version: str | None,
    model_version: str,
) -> Bundle:
    return Bundle(
        endpoint="wines",
        deployment=name,
        generation=generation,
        model=BundledModel("wine", model_version, ModelManifest.from_list([]), "model"),
        environment=BundledEnvironment("spec", "lock", "3.11", ""),
        flavor="sklearn",
        loader_module="mlflow.sklearn",
        predict_fn="predict",
        mlflow_version=mlflow_version,
        signature=signature,
        type_hints=type_hints,
    )
