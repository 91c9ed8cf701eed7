"""A whole platform under test: `modelyard up` as a user runs it, driven by the command line and public HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil

from modelyard.demo.temporary_platform import own_environment

MODELYARD = Path(sys.executable).with_name("modelyard")
WORKSPACE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until the condition holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


class Platform:
    """One data dir, on which a platform, or some of its roles, may be started more than once."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "up.log"
        self.environment = {**own_environment(folder, os.environ), **variables}
        self._process: subprocess.Popen[bytes] | None = None

    # Its life.

    def start(self, *options: str) -> None:
        self.launch(*options)
        self.await_start()

    def launch(self, *options: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [MODELYARD, "up", "--data-dir", self.data_dir, "--port", "0", "--scoring-port", "0", *options],
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
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
        """As Ctrl-C does."""
        self.interrupt()
        self.await_end()

    def interrupt(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    def await_end(self) -> None:
        assert self._process is not None
        self._process.wait(20)

    def kill(self) -> None:
        """As the kernel does when memory is short: the supervisor alone, without a warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

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

    # Its processes.

    def processes(self) -> list[psutil.Process]:
        """Every running process that works for this platform, whoever its parent is."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        mark = str(self.data_dir)
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            named = any(mark in argument for argument in process.cmdline())
            return named or process.environ().get("MODELYARD_DATA_DIR") == mark
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def process(self, *words: str) -> psutil.Process:
        """The first process whose command line has all `words`."""
        return wait_until(lambda: self.services(*words), 30, f"a process with {words}")[0]

    def services(self, *words: str) -> list[psutil.Process]:
        return [p for p in self.processes() if _says(p, words) and not _says(p, ("process/shim.py",))]

    def workers(self) -> Iterator[dict[str, Any]]:
        for path in sorted((self.data_dir / "run" / "workers").glob("*.json")):
            yield json.loads(path.read_text())

    def workers_of(self, endpoint: str) -> list[dict[str, Any]]:
        return [worker for worker in self.workers() if worker["endpoint"] == endpoint]

    # Its interfaces.

    def cli(self, *arguments: str | Path, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [MODELYARD, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **more,
        )
        if check:
            assert done.returncode == 0, f"modelyard {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
        return done

    def rest(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx2.Response:
        """`path` below the workspace, or absolute when it begins with '//'."""
        target = path[1:] if path.startswith("//") else f"{WORKSPACE}{path}"
        return httpx2.request(
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
        return httpx2.post(
            f"{self.scoring_url}/{endpoint}/score",
            json=body,
            headers={"Authorization": f"Bearer {key or self.key(endpoint)}", **headers},
            timeout=60,
        )

    def invoke(self, endpoint: str, body: bytes, media_type: str) -> httpx2.Response:
        """MLflow's protocol, and basic authentication."""
        return httpx2.post(
            f"{self.scoring_url}/{endpoint}/invocations",
            content=body,
            headers={"Content-Type": media_type},
            auth=("x", self.key(endpoint)),
            timeout=60,
        )


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _says(process: psutil.Process, words: tuple[str, ...]) -> bool:
    line = " ".join(_line(process))
    return all(word in line for word in words)
