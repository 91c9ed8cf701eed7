"""A platform over four machines, each a data dir and a supervisor on this host.

The machines share Postgres, Redis and the object store. Only the builder knows a package index.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, text

from modelyard.supervisor.generated_secrets import new_master_key
from tests.e2e.platform import Platform, wait_until
from tests.object_stores.servers import StoreServer

TOKEN = "the-token-of-all-machines"
_NOWHERE = "http://127.0.0.1:9/simple"
_NO_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": _NOWHERE,
    "PIP_FIND_LINKS": "",
    "UV_NO_CONFIG": "1",
    "UV_DEFAULT_INDEX": _NOWHERE,
    "UV_INDEX": _NOWHERE,
}
_STORE_VARIABLES = ("AWS_", "AZURE_")


@dataclass
class Machines:
    folder: Path
    store: StoreServer
    engine: Engine
    settings: dict[str, str]
    """Settings of all machines."""
    started: list[Platform] = field(default_factory=list)

    def _launch(self, role: str, *options: str, **variables: str) -> Platform:
        folder = self.folder / role
        folder.mkdir(mode=0o711)
        machine = Platform(folder, **self.settings, **self.store.environment, **variables)
        self.started.append(machine)
        machine.launch("--role", role, *options)
        return machine

    def start_building(self) -> tuple[Platform, Platform]:
        """Start the machines of the control plane and the builder."""
        control = self._launch("control-plane")
        builder = self._launch("builder", "--builders", "1")
        return _up(control), _up(builder)

    def start_scoring(self) -> tuple[Platform, Platform]:
        """Start the machines of the data plane and the batch worker."""
        port = self.settings["MODELYARD_SCORING_PUBLIC_URL"].rpartition(":")[2]
        data_plane = self._launch("data-plane", "--scoring-port", port, **self._no_packages("data-plane"))
        batch = self._launch("batch", "--batch-workers", "1", **self._no_packages("batch"))
        return _up(data_plane), _up(batch)

    def _no_packages(self, role: str) -> dict[str, str]:
        """Variables that leave a machine without an index and without the packages of the others."""
        return {**_NO_INDEX, "UV_CACHE_DIR": str(self.folder / f"packages-of-{role}")}

    def destroy(self, machine: Platform) -> None:
        """Stop the machine and delete its disk."""
        machine.stop()
        shutil.rmtree(machine.data_dir)

    def rows(self) -> str:
        """Every row of the database as text."""
        with self.engine.connect() as connection:
            tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
            return "\n".join(
                row for table in tables for row in connection.scalars(text(f"SELECT t::text FROM {table} t"))
            )

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.rglob("*.log"))

    def stop(self) -> None:
        running = [machine for machine in self.started if machine.is_running]
        for machine in running:
            machine.interrupt()
        for machine in running:
            machine.await_end()
            wait_until(
                lambda machine=machine: not machine.processes(), 10, f"no process of {machine.folder.name} is left"
            )


def _up(machine: Platform) -> Platform:
    machine.await_start()
    return machine


@contextmanager
def machines(folder: Path, store: StoreServer, engine: Engine, broker_url: str) -> Iterator[Machines]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "MODELYARD_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "MODELYARD_BROKER_URL": broker_url,
        "MODELYARD_STORAGE_URL": store.url,
        "MODELYARD_MASTER_KEY": new_master_key(),
        "MODELYARD_ADMIN_TOKEN": TOKEN,
        "MODELYARD_SCORING_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    spread = Machines(folder, store, engine, settings)
    try:
        yield spread
    finally:
        spread.stop()


def credentials(store: StoreServer) -> list[str]:
    """Secrets among the variables of the store."""
    hidden = []
    for name, value in store.environment.items():
        if name == "AZURE_STORAGE_CONNECTION_STRING":
            parts = dict(part.split("=", 1) for part in value.split(";") if part)
            hidden.append(parts["AccountKey"])
        elif "KEY" in name or "SECRET" in name:
            hidden.append(value)
    return hidden


def names_a_store(variable: str) -> bool:
    return variable.startswith(_STORE_VARIABLES)
