"""`modelyard up`: one supervisor for all that one machine runs of a platform.

It binds the listening sockets, makes the secrets, starts Postgres and Valkey when no servers are named, sees to it that
database, broker and store are there, runs every process of ours and starts again whatever ends. When it ends, however
it ends, so do they: each holds the read end of a lifeline pipe whose only write end is here.
"""

import errno
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping

from modelyard.core.data_dir import DataDir
from modelyard.core.errors import InvalidSetting, NoSpaceLeft
from modelyard.process.atomic_files import replace_file
from modelyard.process.signals import SignalPipe, reap_orphans
from modelyard.supervisor import data_dir_lock
from modelyard.supervisor.children import Child, Service
from modelyard.supervisor.environment_settings import DATABASE_URL, START_PATIENCE, GivenSettings, read_given
from modelyard.supervisor.generated_secrets import load_or_generate, store_secret
from modelyard.supervisor.health import Health
from modelyard.supervisor.listeners import answers, listen, port_of, url_of
from modelyard.supervisor.options import Say, StartRefused, UpOptions
from modelyard.supervisor.pointer import remember_platform
from modelyard.supervisor.postgres import EmbeddedPostgres
from modelyard.supervisor.preparation import Preparation
from modelyard.supervisor.roles import ALL_ROLES, Role
from modelyard.supervisor.services import REQUEST_SECONDS, Services
from modelyard.supervisor.valkey import EmbeddedValkey

_STOP_SECONDS = 6.5
_GATEWAY_STOP_SECONDS = REQUEST_SECONDS + 2.0
_SERVER_STOP_SECONDS = 2.5
_ANSWER_SECONDS = 60.0
_FULL = {errno.ENOSPC, errno.EDQUOT}


def up(options: UpOptions, environment: Mapping[str, str] = os.environ, say: Say | None = None) -> int:
    """Run the platform until a signal ends it. Returns the exit code. Raises a PlatformError when it cannot start."""
    given = read_given(environment, options.roles)
    try:
        return _Supervisor(options, given, environment, say or _to_standard_error).run()
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpaceLeft(str(options.data_dir)) from error
        raise StartRefused(f"{error.filename or options.data_dir}: {error.strerror or error}") from error


def migrate(environment: Mapping[str, str] = os.environ, say: Say | None = None) -> int:
    """Bring the database up to date, once. Raises a PlatformError when that cannot be."""
    given = read_given(environment, ALL_ROLES)
    if given.database_url is None:
        raise InvalidSetting(f"{DATABASE_URL} must be set: it names the database to bring up to date")
    say = say or _to_standard_error
    settings = {**environment, START_PATIENCE: str(given.start_patience)}
    signals = SignalPipe(signal.SIGCHLD)
    Preparation(("--migrate-only", "--replace-token"), settings).run(signals, say)
    if signals.told_to_stop:
        raise StartRefused("interrupted")
    say("the database is up to date")
    return 0


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Supervisor:
    def __init__(self, options: UpOptions, given: GivenSettings, environment: Mapping[str, str], say: Say) -> None:
        self._options = options
        self._given = given
        self._environment = environment
        self._say = say
        self._data = DataDir(options.data_dir.expanduser().resolve())
        self._postgres = EmbeddedPostgres(self._data)
        self._valkey = EmbeddedValkey(self._data)
        self._health = Health(self._data)
        self._control: socket.socket | None = None
        self._scoring: socket.socket | None = None
        self._servers: list[Child] = []
        self._gateways: list[Child] = []
        self._others: list[Child] = []

    # The life of a platform: start, watch, stop.

    def run(self) -> int:
        self._signals = SignalPipe(signal.SIGCHLD)
        # What can be refused is refused before anything is made.
        data_dir_lock.check_reach(self._data.root)
        self._bind()
        self._data.prepare()
        self._lock = data_dir_lock.take(self._data, self._say)
        self._lifeline, self._lifeline_end = os.pipe()
        self._health.over()
        try:
            self._start()
            self._announce()
            self._watch()
        finally:
            self._stop()
        return 0

    def _bind(self) -> None:
        if self._has(Role.CONTROL_PLANE):
            self._control = listen(self._options.host, self._options.port)
        if self._has(Role.DATA_PLANE):
            self._scoring = listen(self._options.host, self._options.scoring_port)

    def _start(self) -> None:
        settings = self._settings()
        services = Services(
            self._options,
            self._data,
            settings,
            control_fd=self._control.fileno() if self._control else None,
            scoring_fd=self._scoring.fileno() if self._scoring else None,
        )
        self._run_all(self._server_services(), self._servers)
        self._run_all(services.gateways(), self._gateways)
        self._prepare(settings)
        if not self._signals.told_to_stop:
            self._run_all(services.others(), self._others)
        self._wait_until_answering()

    def _watch(self) -> None:
        while not self._signals.told_to_stop:
            self._signals.wait(0.2)
            self._look_after()
            if all(child.is_well for child in self._children()):
                self._health.all_is_well()

    def _stop(self) -> None:
        """Requests under way are answered while models and servers still run; builds and jobs are given back."""
        if self._signals.told_to_stop:
            self._say("stopping")
        self._health.over()
        for listener in (self._control, self._scoring):
            # Whoever comes now is refused, where a socket that nobody serves would let them wait.
            if listener is not None:
                listener.close()
        host = [child for child in self._others if child.name == "host"]
        rest = [child for child in self._others if child.name != "host"]
        _tell((*self._gateways, *rest))
        self._see_off(rest, _STOP_SECONDS)
        self._see_off(self._gateways, _GATEWAY_STOP_SECONDS)
        _tell(host)
        self._see_off(host, _STOP_SECONDS)
        _tell(self._servers)
        self._see_off(self._servers, _SERVER_STOP_SECONDS)
        self._postgres.clean_up()
        data_dir_lock.facts_file(self._data).unlink(missing_ok=True)
        os.close(self._lifeline_end)

    # What runs.

    def _has(self, role: Role) -> bool:
        return role in self._options.roles

    def _children(self) -> tuple[Child, ...]:
        return (*self._servers, *self._gateways, *self._others)

    def _run_all(self, services: Iterable[Service], children: list[Child]) -> None:
        for service in services:
            child = Child(service, self._lifeline, self._lock)
            children.append(child)
            child.start()

    def _server_services(self) -> Iterable[Service]:
        if self._given.database_url is None:
            self._postgres.prepare()
            yield self._postgres.service()
        if self._given.broker_url is None:
            self._valkey.prepare()
            yield self._valkey.service()

    def _settings(self) -> dict[str, str]:
        """The environment of our processes: what is not ours as it is, and of ours what they read."""
        given = self._given
        others = {name: value for name, value in self._environment.items() if not name.startswith("MODELYARD_")}
        public = {
            "MODELYARD_PUBLIC_URL": self._options.public_url,
            "MODELYARD_SCORING_PUBLIC_URL": self._options.scoring_public_url,
        }
        handed_on = {**given.handed_on, **{name: url for name, url in public.items() if url}}
        return {
            **others,
            **{name: value.rstrip("/") for name, value in handed_on.items()},
            "MODELYARD_DATA_DIR": str(self._data.root),
            "MODELYARD_DATABASE_URL": given.database_url or self._postgres.url(),
            "MODELYARD_BROKER_URL": given.broker_url or self._valkey.url,
            "MODELYARD_STORAGE_URL": given.storage_url or self._data.objects.as_uri(),
            "MODELYARD_MASTER_KEY": given.master_key or self._master_key(),
            "MODELYARD_SCORING_PORT": str(port_of(self._scoring) if self._scoring else self._options.scoring_port),
        }

    def _master_key(self) -> str:
        from modelyard.core.adapters.secret_box import new_master_key

        return load_or_generate(self._data.secrets / "master.key", new_master_key)

    def _admin_token(self) -> str:
        path = self._data.secrets / "admin.token"
        preset = self._given.admin_token
        return store_secret(path, preset) if preset else load_or_generate(path)

    # How it starts and goes on.

    def _prepare(self, settings: Mapping[str, str]) -> None:
        environment = {**settings, START_PATIENCE: str(self._given.start_patience)}
        arguments: tuple[str, ...] = ("--wait-for-schema",)
        if self._has(Role.CONTROL_PLANE):
            environment["MODELYARD_ADMIN_TOKEN"] = self._admin_token()
            # A database of this data dir's own takes any token; in another's, one that somebody uses stays.
            ours = self._given.admin_token is not None or self._given.database_url is None
            arguments = ("--migrate", "--replace-token") if ours else ("--migrate",)
        Preparation(arguments, environment).run(self._signals, self._say, meanwhile=self._look_after)

    def _wait_until_answering(self) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        waiting = [listener for listener in (self._control, self._scoring) if listener is not None]
        while waiting and not self._signals.told_to_stop:
            if time.monotonic() > deadline:
                raise StartRefused(f"the platform does not answer; its logs are in {self._data.logs}")
            self._signals.wait(0.05)
            self._look_after()
            waiting = [listener for listener in waiting if not answers(listener)]

    def _announce(self) -> None:
        if self._signals.told_to_stop:
            return
        host, token_file = self._options.host, self._data.secrets / "admin.token"
        url = url_of(self._control, host) if self._control else None
        scoring = url_of(self._scoring, host) if self._scoring else None
        roles = sorted(self._options.roles)
        facts = {"pid": os.getpid(), "roles": roles, "url": url, "scoring_url": scoring, "started_at": time.time()}
        replace_file(data_dir_lock.facts_file(self._data), json.dumps(facts), mode=0o600)
        if self._options.roles != ALL_ROLES:
            self._say(f"roles          {', '.join(roles)}")
        if url:
            remember_platform(self._environment, url, token_file)
            self._say(f"control plane  {self._options.public_url or url}")
        if scoring:
            self._say(f"scoring        {self._options.scoring_public_url or scoring}")
        self._say(f"data dir       {self._data.root}")
        self._say(f"stop with Ctrl-C or: kill {os.getpid()}")

    def _look_after(self) -> None:
        for child in self._children():
            reason = child.ended()
            if reason is not None and not self._signals.told_to_stop:
                self._say(f"{child.name} ended ({reason}); starting it again. Its log: {child.service.log}")
            if not self._signals.told_to_stop:
                child.start_if_due()
        reap_orphans({child.pid for child in self._children() if child.pid is not None})

    def _see_off(self, children: Iterable[Child], patience: float) -> None:
        """Wait for their end, for so long or until a second signal, and then insist."""
        left = list(children)
        orders, deadline = self._signals.stop_signals, time.monotonic() + patience
        while left and time.monotonic() < deadline and self._signals.stop_signals <= max(1, orders):
            self._signals.wait(0.05)
            left = [child for child in left if not child.gone_by(0)]
        for child in left:
            child.kill_group()
            child.gone_by(time.monotonic() + 1.0)


def _tell(children: Iterable[Child]) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
