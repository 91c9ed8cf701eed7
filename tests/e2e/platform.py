"""A whole platform under test: `modelyard up` as a user runs the command, driven by the CLI and public HTTP."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2
import psutil

from modelyard.demo.temporary_platform import demo_environment

MODELYARD = Path(sys.executable).with_name("modelyard")
_PROCESS_SHIM = "process/shim.py"
# One client for all requests, because each client loads the certificates of a TLS context: 20 ms of CPU.
# No connection outlives a request: the servers of these tests are killed and restarted.
_http = httpx2.Client(limits=httpx2.Limits(max_keepalive_connections=0))
TLS = ("--tls", "--tls-port", "0", "--scoring-tls-port", "0")
SHARED_PLATFORM = ("--gateways", "2", "--builders", "1", "--batch-workers", "1", *TLS)
"""Options of the platform that most files share: a process less is a second of CPU less at each of the starts."""
WORKSPACE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)


# Other tests run beside, and machines differ: a limit tells that nothing will come, and not how fast it should come.
_SLOWEST_MACHINE = 4


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until the condition is true; return its value. `seconds`: the limit on a quiet, quick machine."""
    deadline = time.monotonic() + _SLOWEST_MACHINE * seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {_SLOWEST_MACHINE * seconds:g} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class OrdinaryUser:
    """A spare account that root gives to a platform, and a python that the account can execute."""

    uid: int
    python: Path

    @classmethod
    def in_folder(cls, folder: Path, uid: int) -> Self:
        """Give `folder` to the account; a virtual environment there has the packages of the tests' own."""
        environment = folder / "python"
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", environment], check=True)
        (packages,) = environment.glob("lib/python3.*/site-packages")
        own = sysconfig.get_path("purelib")
        (packages / "tests.pth").write_text(f"import site; site.addsitedir({own!r})\n")
        (environment / "bin" / "uv").symlink_to(Path(sys.prefix) / "bin" / "uv")
        python = environment / "bin" / "python"
        # A need of redis before Python 3.11.3, which the tests' own python may not have.
        install = (sys.executable, "-m", "uv", "-q", "pip", "install", "--link-mode", "copy", "--python", python)
        subprocess.run([*install, "async-timeout"], check=True)
        shutil.chown(folder, uid, uid)
        return cls(uid, python)

    def variables(self, folder: Path) -> dict[str, str]:
        """Variables of a home in `folder`, with copies of root's configuration of pip and uv."""
        config = folder / "config"
        for link in config.iterdir():
            original = link.resolve()
            link.unlink()
            shutil.copytree(original, link)
        for path in (config, *config.rglob("*")):
            shutil.chown(path, self.uid, self.uid)
        home = {"HOME": str(folder), "UV_CACHE_DIR": str(folder / "packages"), "PYENV_ROOT": str(folder / ".pyenv")}
        return {**home, "PATH": "/usr/local/bin:/usr/bin:/bin"}


class Platform:
    """One data dir; all roles of the platform, or some, can start on the data dir more than once."""

    def __init__(
        self, folder: Path, *, checkout: Path | None = None, user: OrdinaryUser | None = None, **variables: str
    ) -> None:
        """`checkout`: the folder whose code runs, for the code of another commit."""
        self.folder = folder
        self._user = user
        self.data_dir = folder / "data"
        self.log = folder / "up.log"
        self.checkout = checkout
        self._variables = {**demo_environment(folder, os.environ), **variables}
        if user:
            self._variables |= user.variables(folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {**self._variables, "PYTHONPATH": str(self.checkout)} if self.checkout else self._variables

    @property
    def _modelyard(self) -> list[str | Path]:
        if self._user:
            return [self._user.python, "-m", "modelyard.cli.main"]
        return [sys.executable, "-m", "modelyard.cli.main"] if self.checkout else [MODELYARD]

    @property
    def uid(self) -> int:
        return self._user.uid if self._user else os.getuid()

    @property
    def _account(self) -> dict[str, Any]:
        return {"user": self._user.uid, "group": self._user.uid, "extra_groups": []} if self._user else {}

    # Start and stop.

    def start(self, *options: str) -> None:
        self.launch(*options)
        self.await_start()

    def launch(self, *options: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._modelyard, "up", "--data-dir", self.data_dir, "--port", "0", "--scoring-port", "0", *options],
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.checkout,
                start_new_session=True,
                **self._account,
            )

    def await_start(self) -> None:
        wait_until(self._is_up, 60, f"the platform is up; it printed: {self.log.read_text()}")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the platform ended: {self.log.read_text()}"
        try:
            return self.facts["pid"] == self._process.pid
        except (OSError, ValueError):
            return False

    def stop(self) -> None:
        """Send SIGINT, as Ctrl-C does, and wait for the end."""
        self.interrupt()
        self.await_end()

    def interrupt(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    def await_end(self) -> None:
        assert self._process is not None
        self._process.wait(90)

    def kill(self) -> None:
        """Kill the supervisor process alone, as the kernel does when memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(90)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "run" / "supervisor.json").read_text())

    @property
    def url(self) -> str:
        return self.facts["url"]

    @property
    def scoring_url(self) -> str:
        return self.facts["scoring_url"]

    @property
    def token(self) -> str:
        return (self.data_dir / "secrets" / "admin.token").read_text().strip()

    # Processes.

    def processes(self) -> list[psutil.Process]:
        """Every running process of this platform, children of other parents included."""
        return [process for process in psutil.process_iter() if self._belongs_here(process)]

    def _belongs_here(self, process: psutil.Process) -> bool:
        data_dir = str(self.data_dir)
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            in_command_line = any(data_dir in argument for argument in process.cmdline())
            return in_command_line or process.environ().get("MODELYARD_DATA_DIR") == data_dir
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def process(self, *words: str) -> psutil.Process:
        """The first process whose command line has all `words`."""
        return wait_until(lambda: self.services(*words), 30, f"a process with {words}")[0]

    def services(self, *words: str) -> list[psutil.Process]:
        lines = {process: _command_line(process) for process in self.processes()}
        return [
            process
            for process, line in lines.items()
            if all(word in line for word in words) and _PROCESS_SHIM not in line
        ]

    def workers(self) -> Iterator[dict[str, Any]]:
        """The run file of each model worker."""
        for path in sorted((self.data_dir / "run" / "workers").glob("*.json")):
            yield json.loads(path.read_text())

    def workers_of(self, endpoint: str) -> list[dict[str, Any]]:
        return [worker for worker in self.workers() if worker["endpoint"] == endpoint]

    # Interfaces.

    def cli(
        self, *arguments: str | Path, check: bool = True, env: dict[str, str] | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._modelyard, *arguments],
            env=env or self.environment,
            cwd=self.checkout,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **self._account,
            **more,
        )
        if check:
            assert done.returncode == 0, f"modelyard {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
        return done

    def rest(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx2.Response:
        """`path` is relative to the workspace, or absolute when the path begins with '//'."""
        target = path[1:] if path.startswith("//") else f"{WORKSPACE}{path}"
        return _http.request(
            method,
            f"{self.url}{target}",
            params={"api-version": "2024-04-01"},
            json=body,
            headers={"Authorization": f"Bearer {token or self.token}"},
            timeout=30,
        )

    def list(self, path: str) -> list[dict[str, Any]]:
        answer = self.rest("GET", path)
        assert answer.status_code == 200, f"{answer.status_code} from {path}: {answer.text}"
        return answer.json()["value"]

    def key(self, endpoint: str) -> str:
        return self.rest("POST", f"/onlineEndpoints/{endpoint}/listKeys").json()["primaryKey"]

    def score(self, endpoint: str, body: Any, key: str | None = None, **headers: str) -> httpx2.Response:
        return _http.post(
            f"{self.scoring_url}/{endpoint}/score",
            json=body,
            headers={"Authorization": f"Bearer {key or self.key(endpoint)}", **headers},
            timeout=60,
        )

    def invoke(self, endpoint: str, body: bytes, media_type: str) -> httpx2.Response:
        """POST `body` to /invocations, MLflow's protocol, with basic authentication."""
        return _http.post(
            f"{self.scoring_url}/{endpoint}/invocations",
            content=body,
            headers={"Content-Type": media_type},
            auth=("x", self.key(endpoint)),
            timeout=60,
        )


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
