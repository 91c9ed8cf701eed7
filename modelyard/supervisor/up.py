"""`modelyard up`: one supervisor for the whole platform on one machine.

It binds the listening sockets, makes the secrets, starts Postgres and Valkey when no servers are named, prepares the
database, runs every process of ours and starts again whatever ends. When it ends, however it ends, so do they: each
holds the read end of a lifeline pipe whose only write end is here.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from modelyard.core.adapters.reach import passable
from modelyard.core.data_dir import DataDir
from modelyard.core.errors import PlatformError
from modelyard.core.guest_user import DEFAULT_GUEST_UID
from modelyard.supervisor.children import Child, Service
from modelyard.supervisor.own_secrets import made_once, stored
from modelyard.supervisor.pointer import forget_platform, remember_platform
from modelyard.supervisor.postgres import EmbeddedPostgres
from modelyard.supervisor.valkey import EmbeddedValkey

_STOP_SECONDS = 6.5
_SERVER_STOP_SECONDS = 2.5
_LEFTOVER_SECONDS = 15.0
_ANSWER_SECONDS = 60.0
_MOST_BATCH_WORKERS = 4
"""Unless asked for: each holds a model of its own while it works."""


class StartRefused(PlatformError):
    code = "StartRefused"


@dataclass(frozen=True, slots=True)
class UpOptions:
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    scoring_port: int = 8001
    public_url: str | None = None
    scoring_public_url: str | None = None
    builders: int = 2
    gateways: int = 1
    batch_workers: int | None = None
    """None: as many as the machine has cores, at most four."""


Say = Callable[[str], None]


def up(options: UpOptions, environment: Mapping[str, str] = os.environ, say: Say | None = None) -> int:
    """Run the platform until a signal ends it. Returns the exit code. Raises StartRefused when it cannot start."""
    return _Supervisor(options, environment, say or _to_standard_error).run()


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Supervisor:
    def __init__(self, options: UpOptions, environment: Mapping[str, str], say: Say) -> None:
        self._options = options
        self._environment = environment
        self._say = say
        self._data = DataDir(options.data_dir.expanduser().resolve())
        self._postgres = EmbeddedPostgres(self._data)
        self._valkey = EmbeddedValkey(self._data)
        self._servers: list[Child] = []
        self._services: list[Child] = []
        self._wakeup = -1
        self._stopping = False

    # The life of a platform: start, watch, stop.

    def run(self) -> int:
        self._wakeup = _wake_on_signals()
        # What can be refused is refused before anything is made.
        _check_reach(self._data.root)
        self._control = _listen(self._options.host, self._options.port)
        self._scoring = _listen(self._options.host, self._options.scoring_port)
        self._data.prepare()
        self._lock = _lock(self._data, self._say)
        self._lifeline, self._lifeline_end = os.pipe()
        try:
            self._start()
            self._announce()
            self._watch()
        finally:
            self._stop()
            forget_platform(self._environment, self._url(self._control))
        return 0

    def _start(self) -> None:
        self._environment_of_ours = self._settings()
        self._servers = [Child(service, self._lifeline, self._lock) for service in self._server_services()]
        for child in self._servers:
            child.start()
        gateways = [Child(service, self._lifeline, self._lock) for service in self._gateway_services()]
        for child in gateways:
            child.start()
        self._services = gateways
        self._prepare_database()
        for service in self._our_services():
            child = Child(service, self._lifeline, self._lock)
            child.start()
            self._services.append(child)
        self._wait_until_answering()

    def _watch(self) -> None:
        while not self._stopping:
            self._heed_signals(timeout=0.2)
            self._restart_the_ended()

    def _stop(self) -> None:
        self._say("stopping")
        _end(self._services, signal.SIGTERM, _STOP_SECONDS)
        _end(self._servers, signal.SIGTERM, _SERVER_STOP_SECONDS)
        self._postgres.clean_up()
        (self._data.run / "supervisor.json").unlink(missing_ok=True)
        os.close(self._lifeline_end)

    # What runs.

    def _server_services(self) -> Iterator[Service]:
        if not self._environment.get("MODELYARD_DATABASE_URL"):
            self._postgres.prepare()
            yield self._postgres_service()
        if not self._environment.get("MODELYARD_BROKER_URL"):
            self._valkey.prepare()
            yield Service(
                "valkey",
                tuple(self._valkey.command()),
                self._valkey.log,
                environment={"PATH": os.defpath},
                kept=True,
                kept_options=("--cwd", str(self._data.valkey), "--grace", "2"),
            )

    def _postgres_service(self) -> Service:
        options = [
            "--cwd",
            str(self._postgres.cluster),
            "--stop-signal",
            "INT",
            "--death-signal",
            "QUIT",
            "--grace",
            "2",
        ]
        account = self._postgres.account
        if account is not None:
            options += ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)]
        return Service(
            "postgres",
            tuple(self._postgres.command()),
            self._postgres.log,
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            kept=True,
            kept_options=tuple(options),
        )

    def _gateway_services(self) -> Iterator[Service]:
        fd = self._scoring.fileno()
        for index in range(self._options.gateways):
            place = ("--index", str(index), "--gateways", str(self._options.gateways))
            arguments = ("--fd", str(fd), "--data-dir", str(self._data.root), *place)
            # The gateway needs no secret, so it gets none.
            yield self._ours(f"gateway-{index}", "data_plane.gateway.main", arguments, self._without_settings(), (fd,))

    def _our_services(self) -> Iterator[Service]:
        settings = self._environment_of_ours
        fd = self._control.fileno()
        yield self._ours("control-plane", "control_plane.main", ("--fd", str(fd)), settings, (fd,))
        yield self._ours("host", "data_plane.host.main", ("--gateways", str(self._options.gateways)), settings)
        for index in range(self._options.builders):
            yield self._ours(f"builder-{index}", "builder.main", (), settings)
        count = _batch_workers(self._options.batch_workers)
        for index in range(count):
            place = ("--index", str(index), "--workers", str(count))
            yield self._ours(f"batch-{index}", "data_plane.batch.main", place, settings)

    def _ours(
        self,
        name: str,
        module: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        fds: tuple[int, ...] = (),
    ) -> Service:
        command = (sys.executable, "-m", module, *arguments)
        return Service(name, command, self._data.logs / f"{name}.log", environment, fds)

    def _settings(self) -> dict[str, str]:
        given = self._environment.get
        settings = {
            "MODELYARD_DATA_DIR": str(self._data.root),
            "MODELYARD_DATABASE_URL": given("MODELYARD_DATABASE_URL") or self._postgres.url(),
            "MODELYARD_BROKER_URL": given("MODELYARD_BROKER_URL") or self._valkey.url,
            "MODELYARD_STORAGE_URL": given("MODELYARD_STORAGE_URL") or self._data.objects.as_uri(),
            "MODELYARD_MASTER_KEY": given("MODELYARD_MASTER_KEY") or self._master_key(),
            "MODELYARD_SCORING_PORT": str(self._scoring.getsockname()[1]),
        }
        if self._options.public_url:
            settings["MODELYARD_PUBLIC_URL"] = self._options.public_url.rstrip("/")
        if self._options.scoring_public_url:
            settings["MODELYARD_SCORING_PUBLIC_URL"] = self._options.scoring_public_url.rstrip("/")
        if guest_uid := given("MODELYARD_GUEST_UID"):
            settings["MODELYARD_GUEST_UID"] = guest_uid
        return {**self._without_settings(), **settings}

    def _without_settings(self) -> dict[str, str]:
        return {name: value for name, value in self._environment.items() if not name.startswith("MODELYARD_")}

    def _master_key(self) -> str:
        from modelyard.core.adapters.secret_box import new_master_key

        return made_once(self._data.secrets / "master.key", new_master_key)

    def _admin_token(self) -> str:
        path = self._data.secrets / "admin.token"
        preset = self._environment.get("MODELYARD_ADMIN_TOKEN")
        return stored(path, preset) if preset else made_once(path)

    # How it starts and goes on.

    def _prepare_database(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "modelyard.supervisor.prepare_database"],
            env={**self._environment_of_ours, "MODELYARD_ADMIN_TOKEN": self._admin_token()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartRefused(_last_line(done.stderr) or "the database could not be prepared")

    def _wait_until_answering(self) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        waiting = [self._control, self._scoring]
        while waiting and not self._stopping:
            if time.monotonic() > deadline:
                raise StartRefused(f"the platform does not answer; its logs are in {self._data.logs}")
            self._heed_signals(timeout=0.05)
            self._restart_the_ended()
            waiting = [listener for listener in waiting if not _answers(listener)]

    def _announce(self) -> None:
        if self._stopping:
            return
        url, scoring = self._url(self._control), self._url(self._scoring)
        facts = {"pid": os.getpid(), "url": url, "scoring_url": scoring, "started_at": time.time()}
        stored(self._data.run / "supervisor.json", json.dumps(facts))
        remember_platform(self._environment, url, self._data.secrets / "admin.token")
        self._say(f"control plane  {self._options.public_url or url}")
        self._say(f"scoring        {self._options.scoring_public_url or scoring}")
        self._say(f"data dir       {self._data.root}")
        self._say(f"stop with Ctrl-C or: kill {os.getpid()}")

    def _url(self, listener: socket.socket) -> str:
        host = self._options.host
        named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{named}:{listener.getsockname()[1]}"

    def _heed_signals(self, timeout: float) -> None:
        readable, _, _ = select.select([self._wakeup], [], [], timeout)
        if readable:
            received = os.read(self._wakeup, 4096)
            if any(number in received for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
                self._stopping = True

    def _restart_the_ended(self) -> None:
        for child in (*self._servers, *self._services):
            reason = child.ended()
            if reason is not None and not self._stopping:
                self._say(f"{child.name} ended ({reason}); starting it again. Its log: {child.service.log}")
            if not self._stopping:
                child.start_if_due()


def _batch_workers(wanted: int | None) -> int:
    return min(_MOST_BATCH_WORKERS, os.cpu_count() or 1) if wanted is None else wanted


def _check_reach(root: Path) -> None:
    """As root, others run what lies in the data dir: they must be able to pass every folder above it."""
    above = next(folder for folder in root.parents if folder.is_dir())
    if os.getuid() == 0 and not passable(above, DEFAULT_GUEST_UID):
        raise StartRefused(
            f"as root, Postgres and the models run as other users, and they cannot reach {root}: "
            "choose a --data-dir whose parent folders others may pass, such as /var/lib/modelyard"
        )


def _wake_on_signals() -> int:
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def _lock(data: DataDir, say: Say) -> int:
    """Hold the data dir. The children inherit the lock, so what a killed supervisor left is waited for."""
    descriptor = os.open(data.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse_if_running(data)
            if time.monotonic() > deadline:
                raise StartRefused(f"processes of an earlier start still use {data.root}; end them first") from None
            if not waited:
                say("waiting for the processes of an earlier start to end")
                waited = True
            time.sleep(0.2)
        else:
            return descriptor


def _refuse_if_running(data: DataDir) -> None:
    try:
        facts = json.loads((data.run / "supervisor.json").read_text())
        os.kill(facts["pid"], 0)
    except (OSError, ValueError, KeyError):
        return
    raise StartRefused(f"a platform already runs on {data.root} (process {facts['pid']}, {facts['url']})")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise StartRefused(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port, or 0 for any"
        ) from None
    listener.listen(2048)
    return listener


def _answers(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    connection = HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _end(children: list[Child], number: int, patience: float) -> None:
    for child in children:
        child.signal(number)
    deadline = time.monotonic() + patience
    for child in children:
        if not child.gone_by(deadline):
            child.kill_group()
            child.gone_by(time.monotonic() + 1.0)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
