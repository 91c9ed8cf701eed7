import hashlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from modelyard.core.db.rows import OnlineEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.process.program import program_command
from tests.data_plane.host.callers import KEY
from tests.data_plane.host.host_harness import ENVIRONMENT, HostHarness
from tests.data_plane.replicas.worker_harness import PATIENCE


@pytest.fixture
def engine(own_engine: Engine) -> Engine:
    """Other processes write to the database."""
    return own_engine


@pytest.fixture
def harness(sessions: Sessions, database_url: str) -> Iterator[HostHarness]:
    """A platform's data dir and database, with the endpoint "wines", and no host yet."""
    with tempfile.TemporaryDirectory(prefix="my-host-") as folder:
        Path(folder).chmod(0o711)
        harness = HostHarness(Path(folder), sessions, database_url)
        harness.endpoint()
        yield harness
        harness.end()


@pytest.fixture
def port(harness: HostHarness, sessions: Sessions) -> Iterator[int]:
    """A real gateway in the place of the attentive thread, before a model environment with numpy."""
    harness.gateway.end()
    _give_packages(harness.data_dir.environments / ENVIRONMENT)
    with transaction(sessions) as work:
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        work.session.execute(update(OnlineEndpointRow).values(primary_key_digest=digest, traffic={"blue": 100}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = program_command("data_plane.gateway.main", "--index", "0")
        command += ["--data-dir", str(harness.data_dir.root), "--fd", str(listener.fileno())]
        with (harness.data_dir.logs / "gateway.log").open("wb") as log:
            gateway = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=log, stderr=log)
        yield listener.getsockname()[1]
        gateway.terminate()
        gateway.wait(PATIENCE)


def _give_packages(environment: Path) -> None:
    """Give the environment the packages of the tests' environment."""
    own = Path(sys.prefix)
    shutil.copy(own / "pyvenv.cfg", environment / "pyvenv.cfg")
    (environment / "lib").symlink_to(own / "lib")
