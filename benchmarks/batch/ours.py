"""Run batch jobs on a real platform through the Python client."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.batch.batch_run import BatchRun
from benchmarks.batch.memory_watch import largest_process
from benchmarks.models import SavedModel
from benchmarks.processes import tree
from benchmarks.servers.server import ServerFailed
from modelyard.client import Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.documents.data import LocalData
from modelyard.client.submitting import BatchInvocation, invoke_batch
from modelyard.demo.temporary_platform import temporary_platform

_ENDPOINT = "bench-batch"
_COMPLETED = "Completed"


@dataclass(frozen=True, slots=True)
class BatchPlatform:
    client: Client
    supervisor: int
    """Process id of the supervisor."""

    def predict(self, inputs: Path, folder: Path, *, workers: int) -> BatchRun:
        """Measure from the call that starts the job to the end of the job. The input is registered before."""
        asset = self.client.data.register(LocalData(inputs))
        invocation = BatchInvocation(_ENDPOINT, str(asset["id"]), settings={"instance_count": workers})
        with largest_process(lambda: tree(self.supervisor)) as largest:
            began = time.perf_counter()
            name = str(invoke_batch(self.client, invocation)["name"])
            *_, last = self.client.jobs.follow(name)
            seconds = time.perf_counter() - began
        if last.status != _COMPLETED:
            raise ServerFailed(f"the job {name} is {last.status}: {last.failure}")
        (output,) = self.client.jobs.download(name, folder / name)
        took = BatchRun.of_csv(seconds, largest.megabytes, output)
        output.unlink()
        return took


@contextmanager
def batch_platform(model: SavedModel, folder: Path, environment: Mapping[str, str]) -> Iterator[BatchPlatform]:
    """Run a platform with the model behind a batch endpoint for the length of the block."""
    with temporary_platform(folder, environment) as platform, Client(platform) as client:
        registered = client.models.register(LocalModel(model.folder, name=model.name))
        client.put_batch_endpoint({"name": _ENDPOINT}).wait()
        deployment = {"name": model.name, "endpoint_name": _ENDPOINT, "model": str(registered["id"])}
        client.put_batch_deployment({**deployment, "settings": {"retry_settings": {"timeout": 300}}}, folder).wait()
        client.batch_endpoints.set_default(_ENDPOINT, model.name).wait()
        facts = json.loads((folder / "data" / "run" / "supervisor.json").read_text())
        yield BatchPlatform(client, facts["pid"])
