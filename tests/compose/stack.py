"""docker-compose.yml under test, as a separate project with its settings, ports and volumes."""

import json
import os
import socket
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2

from tests.compose.engine import ROOT, composes, run
from tests.e2e.platform import MODELYARD, wait_until

IMAGE = "modelyard:under-test"
SERVICES = ("postgres", "redis", "azurite", "control-plane", "builder", "batch", "data-plane")
"""Services that keep running; `settings` and `migrations` run once and end."""

_BATCH_CONTAINERS = 3


class Stack:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = folder / ".env"
        self._project = f"modelyard-test-{os.getpid()}"
        run("sh", ROOT / "docker" / "compose-env.sh", self._settings)
        self._ports = {"MODELYARD_PORT": _free_port(), "MODELYARD_SCORING_PORT": _free_port()}

    # Start and stop.

    def compose(self, *arguments: str, check: bool = True, **settings: str) -> subprocess.CompletedProcess[str]:
        where = ("--project-name", self._project, "--env-file", str(self._settings))
        return run(*composes()[0], *where, *arguments, check=check, MODELYARD_IMAGE=IMAGE, **self._ports, **settings)

    def up(self, *services: str, **settings: str) -> None:
        """Start the services; return when all are healthy."""
        scale = ("--scale", f"batch={_BATCH_CONTAINERS}")
        done = self.compose("up", "--detach", "--no-build", *scale, *services, check=False, **settings)
        assert done.returncode == 0, f"the stack does not come up: {done.stderr}\n{self.logs()}"
        for service in services or SERVICES:
            self.wait_until_healthy(service)

    def down(self) -> None:
        """Remove the containers and keep the volumes."""
        self.compose("down")

    def remove(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans")

    def stop(self, service: str) -> None:
        self.compose("stop", service)

    def start(self, service: str) -> None:
        self.compose("start", service)
        self.wait_until_healthy(service)

    def wait_until_healthy(self, service: str) -> None:
        count = _BATCH_CONTAINERS if service == "batch" else 1
        wait_until(lambda: self._health(service) == ["healthy"] * count, 180, f"{service} is healthy")

    # Containers.

    def containers(self, service: str) -> list[dict[str, Any]]:
        """The inspection document of each container, running or stopped."""
        names = ("--filter", f"label=com.docker.compose.project={self._project}")
        names += ("--filter", f"label=com.docker.compose.service={service}")
        ids = run("docker", "ps", "--all", "--quiet", *names).stdout.split()
        return json.loads(run("docker", "inspect", *ids).stdout) if ids else []

    def volumes(self) -> set[str]:
        """Names of all volumes, anonymous volumes included."""
        mounts = [mount for name in SERVICES for container in self.containers(name) for mount in container["Mounts"]]
        return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    def _health(self, service: str) -> list[str]:
        states = [container["State"] for container in self.containers(service)]
        return [state["Health"]["Status"] if state["Running"] else "stopped" for state in states]

    def inside(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run("docker", "exec", self.containers(service)[0]["Id"], *command, check=check)

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-color", "--tail", "200", *services, check=False).stdout

    # Interfaces.

    @cached_property
    def settings(self) -> dict[str, str]:
        lines = (line for line in self._settings.read_text().splitlines() if "=" in line and not line.startswith("#"))
        return dict(line.split("=", 1) for line in lines)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['MODELYARD_PORT']}"

    @property
    def scoring_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['MODELYARD_SCORING_PORT']}"

    def cli(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        reach = {"MODELYARD_URL": self.url, "MODELYARD_TOKEN": self.settings["MODELYARD_ADMIN_TOKEN"]}
        return run(MODELYARD, *arguments, check=check, **reach, XDG_CONFIG_HOME=str(self._folder))

    def key(self, endpoint: str) -> str:
        shown = self.cli("online-endpoint", "get-credentials", "-n", endpoint, "-o", "json").stdout
        return json.loads(shown)["primaryKey"]

    def score(self, endpoint: str, body: object) -> httpx2.Response:
        return httpx2.post(
            f"{self.scoring_url}/{endpoint}/score",
            json=body,
            headers={"Authorization": f"Bearer {self.key(endpoint)}"},
            timeout=60,
        )


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
