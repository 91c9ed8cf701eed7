"""Run a hostile worker and its victims: `python -m tests.security.hostile_worker FOLDER [--uid N] [--sandbox S]`.

One JSON object on a line of standard input ({"name", "facts"}), one on a line of standard output ({"succeeded",
"evidence", "harm"}). With `--uid` the platform runs as that ordinary user, with the interpreter `--python`, which the
user can read. Victims stand in for the platform: files, sockets and processes of the platform's account.
"""

import argparse
import contextlib
import ctypes
import ipaddress
import json
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.spawn import LaunchSettings, spawn, worker_accounts
from data_plane.replicas.local.worker_process import WorkerProcess, kill, remove, wait_for_end
from data_plane.replicas.local.worker_sandbox import open_worker_sandbox
from data_plane.replicas.port import ReplicaGone, ReplicaSpec
from data_plane.scoring.payload.values import JsonPayload, JsonResult
from modelyard.core.data_dir import DataDir
from modelyard.core.settings import Tunables, WorkerSettings

ATTACKS = Path(__file__).with_name("attacks.py")
_PATIENCE = 120.0
_SYSTEM_V_KEY = 0x6D790001
_SCRIPT = """
from attack_code import attack

def init():
    pass

def run(input_data, params=None):
    return attack(input_data)
"""


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    if options.uid is not None:
        os.setgroups([])
        os.setgid(options.uid)
        os.setuid(options.uid)
        # Readable in /proc again, as a process that has started as this user.
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
        sys.executable = options.python
    yard = HostileYard(options.folder, Path(options.python), Tunables(sandbox=options.sandbox, worker=_limits()))
    try:
        print(json.dumps({"protections": yard.protections, "facts": yard.facts}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(yard.run(asked["name"], asked.get("facts", {}))), flush=True)
    finally:
        yard.end()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--python", required=True)
    parser.add_argument("--sandbox", default="best-effort")
    return parser.parse_args(arguments)


def _limits() -> WorkerSettings:
    return WorkerSettings(memory_bytes=2 << 30, file_bytes=64 << 20, processes=300, open_files=512)


class HostileYard:
    def __init__(self, folder: Path, python: Path, settings: Tunables) -> None:
        self.data_dir = DataDir(folder / "data")
        self.data_dir.prepare()
        for secret in ("master.key", "admin.token"):
            (self.data_dir.secrets / secret).write_text("secret")
        self._python = python
        self._settings = LaunchSettings(
            self.data_dir,
            worker_accounts(settings.worker_numbers, self.data_dir),
            open_worker_sandbox(settings, self.data_dir),
        )
        self._victims = _Victims(self.data_dir)
        self._sibling = self._start("sibling")
        self._attacker: tuple[WorkerProcess, BlockingWorkerConnection] | None = self._start("attacker")
        self.protections = list(self._attacker[0].protections)
        self.facts = self._facts()

    def run(self, name: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the attack's outcome, and the harm to the victims as a second opinion."""
        if name in ("end", "kill the shim from outside"):
            self.end_attacker(by_shim_kill=name != "end")
            return {"succeeded": True, "evidence": None, "harm": self._harm()}
        if self._attacker is None:
            self._attacker = self._start("attacker")
            self.facts = self._facts()
        worker, connection = self._attacker
        try:
            question = json.dumps({"name": name, "facts": {**self.facts, **facts}})
            result = connection.score(JsonPayload(question), timeout=_PATIENCE)
            assert isinstance(result, JsonResult)
            outcome = json.loads(json.loads(result.text))
        except ReplicaGone:
            # The model harmed itself.
            wait_for_end(worker, _PATIENCE)
            self._forget_attacker()
            outcome = {"succeeded": False, "evidence": "the worker died"}
        return {**outcome, "harm": self._harm()}

    def end_attacker(self, *, by_shim_kill: bool) -> None:
        assert self._attacker is not None
        worker, _ = self._attacker
        if by_shim_kill:
            os.kill(worker.shim.pid, 9)
            wait_for_end(worker, _PATIENCE)
            self._settings.end_orphans()
        self._forget_attacker()

    def _forget_attacker(self) -> None:
        assert self._attacker is not None
        worker, connection = self._attacker
        self._attacker = None
        connection.close()
        _end(worker)

    def _harm(self) -> list[str]:
        worker, connection = self._sibling
        harm = self._victims.harm()
        if not worker.process.is_running():
            harm.append("the sibling is dead")
            self._sibling = self._start("sibling")
            self.facts = self._facts()
        elif connection.ping(_PATIENCE).state != "ready":
            harm.append("the sibling is not ready")
        return harm

    def _start(self, name: str) -> tuple[WorkerProcess, BlockingWorkerConnection]:
        bundle, model = self.data_dir.bundles / name, self.data_dir.models / name
        if not bundle.exists():
            bundle.mkdir()
            model.mkdir()
            (bundle / "score.py").write_text(f"import sys\nsys.path.insert(0, {str(model)!r})\n{_SCRIPT}")
            (bundle / "bundle.json").write_text("{}")
            shutil.copy(ATTACKS, model / "attack_code.py")
        spec = ReplicaSpec(
            endpoint=name, deployment="blue", generation=1, python=self._python, bundle_dir=bundle, model_dir=model
        )
        worker = spawn(spec, self._settings)
        connection = BlockingWorkerConnection(worker.socket, timeout=_PATIENCE)
        status = connection.wait_until_loaded(_PATIENCE)
        assert status.state == "ready", worker.log.read_text()
        return worker, connection

    def _facts(self) -> dict[str, Any]:
        sibling, attacker = self._sibling[0], self._attacker[0] if self._attacker else None
        return {
            "data_dir": str(self.data_dir.root),
            "secrets": str(self.data_dir.secrets),
            "home": os.path.expanduser("~root"),
            "user": os.getuid(),
            "host": os.getpid(),
            "sibling": sibling.pid,
            "sibling_folder": str(sibling.folder),
            "sibling_bundle": str(self.data_dir.bundles / "sibling"),
            "sibling_model": str(self.data_dir.models / "sibling"),
            "sibling_socket": str(sibling.socket),
            "own_model": str(self.data_dir.models / "attacker"),
            "own_bundle": str(self.data_dir.bundles / "attacker"),
            "own_log": str(attacker.log) if attacker else "",
            "own_socket": str(attacker.socket) if attacker else "",
            **self._victims.facts,
        }

    def end(self) -> None:
        if self._attacker is not None:
            self._forget_attacker()
        _end(self._sibling[0])
        self._victims.close()


def _end(worker: WorkerProcess) -> None:
    kill(worker, "the test is over")
    assert wait_for_end(worker, _PATIENCE)
    remove(worker, keep_log=False)


class _Victims:
    """Servers and files of the platform's account."""

    def __init__(self, data_dir: DataDir) -> None:
        self._data_dir = data_dir
        folder = data_dir.socket_dir
        name = f"modelyard-test-{os.getpid()}"
        self._servers = [_listen(socket.AF_UNIX, str(folder / "pg")), _listen(socket.AF_UNIX, str(folder / "valkey"))]
        self._servers.append(_listen(socket.AF_UNIX, "\0" + name))
        self._tcp = _listen(socket.AF_INET, (str(ipaddress.IPv4Address(0x7F000001)), 0))
        self._datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._datagrams.bind(str(folder / "datagrams"))
        self._shared = Path("/dev/shm") / name
        self._shared.write_text("shared")
        self._shared.chmod(0o600)
        libc = ctypes.CDLL(None, use_errno=True)
        self._segment = libc.shmget(_SYSTEM_V_KEY, 16, 0o1600)
        port = self._tcp.getsockname()[1]
        self.facts = {
            "postgres": str(folder / "pg"),
            "valkey": str(folder / "valkey"),
            "abstract": name,
            "datagram": str(folder / "datagrams"),
            "shared_file": str(self._shared),
            "control_port": port,
            "scoring_port": port,
            "system_v": _SYSTEM_V_KEY,
        }
        self._secret = self._data_dir.secrets / "master.key"
        self._secret_before = self._state_of_secret()
        self._priority = os.getpriority(os.PRIO_PROCESS, 0)

    def _state_of_secret(self) -> tuple[Any, ...]:
        found = self._secret.stat()
        return found.st_mode, found.st_mtime, found.st_nlink, self._secret.read_text()

    def harm(self) -> list[str]:
        harm = []
        try:
            if self._state_of_secret() != self._secret_before:
                harm.append("a secret has changed")
        except OSError as error:
            harm.append(f"a secret is gone: {error!r}")
        for server in (*self._servers, self._tcp):
            try:
                server.accept()[0].close()
                harm.append(f"a connection to {server.getsockname()!r}")
            except BlockingIOError:
                continue
        self._datagrams.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            harm.append(f"a datagram: {self._datagrams.recv(10)!r}")
        if os.getpriority(os.PRIO_PROCESS, 0) != self._priority:
            harm.append("the platform runs at another priority")
        return harm

    def close(self) -> None:
        for server in (*self._servers, self._tcp, self._datagrams):
            server.close()
        self._shared.unlink(missing_ok=True)
        ctypes.CDLL(None).shmctl(self._segment, 0, None)


def _listen(family: int, address: Any) -> socket.socket:
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind(address)
    server.listen()
    server.setblocking(False)
    return server


if __name__ == "__main__":
    main(sys.argv[1:])
