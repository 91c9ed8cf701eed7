"""Modelyard as a user runs the platform: `modelyard up`, a deployment through the public interface, a key for scoring.

The code of an earlier commit can run beside the checkout's code, so that one run measures both.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.models import SavedModel
from benchmarks.processes import command_line, tree
from benchmarks.servers.server import Running, split
from modelyard.client import Client, Platform
from modelyard.client.deploying import FolderDeployment, deploy_folder
from modelyard.demo.temporary_platform import temporary_platform

EXECUTION_MILLISECONDS = b"x-ms-run-fn-exec-ms"
"""Response header of the gateway with the duration of the model's call."""
_GATEWAY = "data_plane.gateway.main"
_SCORING = (_GATEWAY, "runtime/worker-")
_SHIMS = ("process/shim.py", "supervisor/keeper.py")
"""Programs that only start a worker, by present and earlier names."""
_COMMANDS = "modelyard up; modelyard deploy FOLDER"
_ROOT = Path(__file__).parents[2]


def is_gateway(pid: int) -> bool:
    """Whether a process of the part "server" is the gateway, and not a model worker."""
    return _GATEWAY in command_line(pid)


@dataclass(frozen=True, slots=True)
class ModelyardGateway:
    platform: Platform
    data_dir: Path
    name: str = "modelyard"

    @contextmanager
    def run(self, model: SavedModel, folder: Path) -> Iterator[Running]:
        with Client(self.platform) as client:
            deployed = deploy_folder(client, FolderDeployment(model.folder, endpoint=model.name))
            try:
                key = {"authorization": f"Bearer {deployed.key}"}
                yield Running(deployed.scoring_uri, _ask, list, self._parts(), key, _COMMANDS)
            finally:
                client.online_endpoints.delete(model.name).wait()

    def _parts(self) -> Mapping[str, Sequence[int]]:
        """Divide the platform's processes into scoring and management (builders, database and so on)."""
        supervisor = json.loads((self.data_dir / "run" / "supervisor.json").read_text())["pid"]
        everything = tree(supervisor)
        scoring = [pid for pid in everything if any(word in command_line(pid) for word in _SCORING)]
        scoring = [pid for pid in scoring if not any(shim in command_line(pid) for shim in _SHIMS)]
        return {"server": scoring, "management": [pid for pid in everything if pid not in scoring]}


@contextmanager
def modelyard_gateway(folder: Path, environment: Mapping[str, str]) -> Iterator[ModelyardGateway]:
    """Run a platform for the length of the block."""
    with temporary_platform(folder, environment) as platform:
        yield ModelyardGateway(platform, folder / "data")


@contextmanager
def modelyard_gateway_at(commit: str, folder: Path, environment: Mapping[str, str]) -> Iterator[ModelyardGateway]:
    """Run the platform as of `commit` with this environment's packages. Raises CalledProcessError: unknown commit."""
    source, place = folder / "source", folder / "platform"
    place.mkdir(parents=True, mode=0o711)
    archive = subprocess.run(["git", "archive", commit], cwd=_ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(source, filter="data")
    # PYTHONSAFEPATH keeps the current folder, the checkout, off the path before the commit's code.
    paths = {"PYTHONPATH": str(source), "PYTHONSAFEPATH": "1"}
    with temporary_platform(place, {**environment, **paths}) as platform:
        yield ModelyardGateway(platform, place / "data", name=f"modelyard@{commit}")


def _ask(frame: pd.DataFrame) -> bytes:
    return json.dumps({"input_data": split(frame)}).encode()
