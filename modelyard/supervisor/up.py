"""`modelyard up`: the supervisor of a platform's processes on one machine.

The supervisor binds the listening sockets, generates secrets, starts Postgres and Valkey unless the environment names
servers, prepares database, broker and object store, starts every process and restarts ended processes. All processes
end with the supervisor, also with a killed supervisor: each holds the read end of a lifeline pipe, and only the
supervisor holds the write end.
"""

import errno
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from modelyard.core.data_dir import DataDir
from modelyard.core.errors import InvalidSetting, NoSpaceLeft
from modelyard.process.accounts import withdraw_all
from modelyard.process.atomic_files import replace_file
from modelyard.process.logging import configure_logging
from modelyard.process.sandbox import SandboxUnavailable, check_kernel, missing, probe
from modelyard.process.signals import SignalPipe, reap_orphans
from modelyard.supervisor.certificate_names import certificate_names
from modelyard.supervisor.children import Child, Service
from modelyard.supervisor.config_report import report_settings, settings_file, write_report
from modelyard.supervisor.data_dir_lock import check_passable, check_restored, lock_data_dir, run_info_file
from modelyard.supervisor.environment_settings import ADMIN_TOKEN, DATABASE_URL, EnvironmentSettings, read_environment
from modelyard.supervisor.generated_secrets import load_or_generate, new_master_key, store_secret
from modelyard.supervisor.given_certificate import check_given_certificate
from modelyard.supervisor.health import HealthFile
from modelyard.supervisor.listeners import is_answering, listen, local_url, loopback_of, port_of
from modelyard.supervisor.options import Announce, StartRefused, UpOptions
from modelyard.supervisor.pointer import remember_platform
from modelyard.supervisor.postgres import EmbeddedPostgres
from modelyard.supervisor.prepare_process import PrepareProcess
from modelyard.supervisor.roles import ALL_ROLES, Role
from modelyard.supervisor.services import Services
from modelyard.supervisor.silence import Silence
from modelyard.supervisor.valkey import EmbeddedValkey

_log = logging.getLogger(__name__)

# A gateway ends itself after `MODELYARD_GATEWAY_SHUTDOWN_SECONDS`; the rest is for closing.
_GATEWAY_MARGIN_SECONDS = 2.0
_KILL_SECONDS = 1.0
_DEPENDENCY_SECONDS = 5.0
_PREPARE_CERTIFICATES = "modelyard.supervisor.prepare_certificates"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def up(options: UpOptions, environment: Mapping[str, str] = os.environ, announce: Announce | None = None) -> int:
    """Run the platform until a stop signal. Returns the exit code. Raises a PlatformError for a failed start."""
    environment = with_flags(options, environment)
    settings = read_environment(environment, options.roles)
    configure_logging("supervisor", settings.tunables.log_level)
    try:
        return _Supervisor(options, settings, environment, announce or _print_to_stderr).run()
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise NoSpaceLeft(str(options.data_dir)) from error
        raise StartRefused(f"{error.filename or options.data_dir}: {error.strerror or error}") from error


def migrate(environment: Mapping[str, str] = os.environ, announce: Announce | None = None) -> int:
    """Upgrade the schema of the database, once. Raises a PlatformError on failure."""
    settings = read_environment(environment, ALL_ROLES)
    if settings.database_url is None:
        raise InvalidSetting(f"{DATABASE_URL} must be set to the database whose schema is to be upgraded")
    announce = announce or _print_to_stderr
    signals = SignalPipe()
    PrepareProcess(("--migrate-only", "--replace-token"), environment).run(signals, announce)
    if signals.told_to_stop:
        raise StartRefused("interrupted")
    announce("the database is up to date")
    return 0


def with_flags(options: UpOptions, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with overrides by flags."""
    flags = {
        "MODELYARD_PUBLIC_URL": options.public_url,
        "MODELYARD_SCORING_PUBLIC_URL": options.scoring_public_url,
        "MODELYARD_TLS_CERTIFICATE": _absolute(options.tls_certificate),
        "MODELYARD_TLS_KEY": _absolute(options.tls_key),
    }
    return {**environment, **{name: value for name, value in flags.items() if value}}


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.expanduser().absolute())


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Supervisor:
    def __init__(
        self,
        options: UpOptions,
        settings: EnvironmentSettings,
        environment: Mapping[str, str],
        announce: Announce,
    ) -> None:
        self._options = options
        self._settings = settings
        self._limits = settings.tunables.supervisor
        self._environment = environment
        self._announce = announce
        self._data = DataDir(options.data_dir.expanduser().resolve())
        self._postgres = EmbeddedPostgres(self._data)
        self._valkey = EmbeddedValkey(self._data)
        self._health = HealthFile(self._data)
        self._dependencies = Silence(self._data.heartbeats / "dependencies")
        self._control: socket.socket | None = None
        self._scoring: socket.socket | None = None
        self._control_tls: socket.socket | None = None
        self._scoring_tls: socket.socket | None = None
        self._servers: list[Child] = []
        self._gateways: list[Child] = []
        self._others: list[Child] = []

    # The life of a platform: start, watch, stop.

    def run(self) -> int:
        self._signals = SignalPipe(signal.SIGCHLD)
        # Every check comes before the first file.
        check_passable(self._data.root, self._settings.tunables.worker.uid)
        check_restored(self._data)
        self._check_sandbox()
        self._check_tls()
        self._bind()
        self._data.prepare()
        self._lock = lock_data_dir(self._data, self._announce, leftover_seconds=self._limits.leftover_seconds)
        if self._settings.tunables.worker_numbers is not None:
            # No worker runs yet. The registry of accounts may be gone with the last boot, and the numbers with it.
            withdraw_all((self._data.bundles, self._data.models, self._data.workers))
        self._lifeline, self._lifeline_end = os.pipe()
        self._health.remove()
        self._dependencies.begin()
        try:
            if self._options.tls:
                self._prepare_certificates()
            self._start()
            self._announce_addresses()
            self._watch()
        finally:
            self._stop()
        return 0

    def _check_sandbox(self) -> None:
        """Raise StartRefused where the kernel offers less than the setting requires."""
        self._sandbox = "off: model workers run without a sandbox"
        tunables = self._settings.tunables
        if not self._has(Role.DATA_PLANE) or tunables.sandbox == "off":
            return
        kernel, owns_account = probe(), tunables.worker_numbers is not None
        if tunables.sandbox == "require":
            try:
                check_kernel(kernel, owns_account=owns_account)
            except SandboxUnavailable as unavailable:
                raise StartRefused(str(unavailable)) from None
        absent = missing(kernel, owns_account=owns_account)
        self._sandbox = f"this machine offers no {', no '.join(absent)}" if absent else "full"

    def _check_tls(self) -> None:
        options, tls = self._options, self._settings.tunables.tls
        if options.tls_certificate is not None and not options.tls:
            raise StartRefused("--tls-certificate has no effect without --tls: add --tls, or remove the certificate")
        if options.tls and tls.certificate is not None and tls.key is not None:
            check_given_certificate(Path(tls.certificate), Path(tls.key))

    def _bind(self) -> None:
        options = self._options
        # With TLS the plain ports are for this machine.
        self._plain_host = loopback_of(options.host) if options.tls else options.host
        if self._has(Role.CONTROL_PLANE):
            self._control = listen(self._plain_host, options.port)
            self._control_tls = listen(options.host, options.tls_port) if options.tls else None
        if self._has(Role.DATA_PLANE):
            self._scoring = listen(self._plain_host, options.scoring_port)
            self._scoring_tls = listen(options.host, options.scoring_tls_port) if options.tls else None

    def _listeners(self) -> tuple[socket.socket, ...]:
        every = (self._control, self._scoring, self._control_tls, self._scoring_tls)
        return tuple(listener for listener in every if listener is not None)

    def _prepare_certificates(self) -> None:
        tls = self._settings.tunables.tls
        arguments: tuple[str, ...] = ("--data-dir", str(self._data.root))
        if tls.certificate is not None:
            arguments += ("--certificate", tls.certificate)
        else:
            tunables = self._settings.tunables
            names = certificate_names(self._options.host, tunables.public_url, tunables.scoring_public_url)
            for name in names:
                arguments += ("--name", name)
        PrepareProcess(arguments, self._environment, _PREPARE_CERTIFICATES).run(self._signals, self._announce)

    def _start(self) -> None:
        environment = self._child_environment()
        services = Services(
            self._options,
            self._data,
            self._limits,
            environment,
            control_fd=self._control.fileno() if self._control else None,
            scoring_fd=self._scoring.fileno() if self._scoring else None,
            control_tls_fd=self._control_tls.fileno() if self._control_tls else None,
            scoring_tls_fd=self._scoring_tls.fileno() if self._scoring_tls else None,
        )
        self._start_all(self._server_services(), self._servers)
        self._start_all(services.gateways(), self._gateways)
        self._prepare(environment)
        if not self._signals.told_to_stop:
            self._start_all(services.others(), self._others)
        self._wait_until_answering()

    def _watch(self) -> None:
        while not self._signals.told_to_stop:
            self._signals.wait(0.2)
            self._restart_ended()
            if self._is_healthy():
                self._health.touch()

    def _is_healthy(self) -> bool:
        self._dependencies.look()
        # The control plane touches the file while the database and the broker serve its requests.
        are_well = self._dependencies.seconds < _DEPENDENCY_SECONDS or not self._has(Role.CONTROL_PLANE)
        return are_well and all(child.is_steady for child in self._children())

    def _stop(self) -> None:
        """End gateways before models and servers: requests under way are answered."""
        if self._signals.told_to_stop:
            self._announce("stopping")
        self._health.remove()
        for listener in self._listeners():
            # A closed port refuses clients at once; an open port without a server would let clients wait.
            listener.close()
        host = [child for child in self._others if child.name == "host"]
        rest = [child for child in self._others if child.name != "host"]
        gateway_seconds = self._settings.tunables.gateway.shutdown_seconds + _GATEWAY_MARGIN_SECONDS
        _terminate((*self._gateways, *rest))
        self._wait_or_kill(rest, self._limits.stop_seconds)
        self._wait_or_kill(self._gateways, gateway_seconds)
        _terminate(host)
        self._wait_or_kill(host, self._limits.stop_seconds)
        _terminate(self._servers)
        self._wait_or_kill(self._servers, self._limits.server_stop_seconds)
        self._data.remove_short_folder()
        run_info_file(self._data).unlink(missing_ok=True)
        settings_file(self._data).unlink(missing_ok=True)
        os.close(self._lifeline_end)

    # The processes and their environment.

    def _has(self, role: Role) -> bool:
        return role in self._options.roles

    def _children(self) -> tuple[Child, ...]:
        return (*self._servers, *self._gateways, *self._others)

    def _start_all(self, services: Iterable[Service], children: list[Child]) -> None:
        for service in services:
            child = Child(service, lifeline=self._lifeline, lock=self._lock, max_log_bytes=self._limits.log_bytes)
            children.append(child)
            child.start()

    def _server_services(self) -> Iterable[Service]:
        if self._settings.database_url is None:
            self._postgres.prepare()
            yield replace(
                self._postgres.service(),
                heartbeat=self._data.heartbeats / "database",
                silence_seconds=self._limits.database_silence_seconds,
            )
        if self._settings.broker_url is None:
            self._valkey.prepare()
            yield replace(
                self._valkey.service(),
                heartbeat=self._data.heartbeats / "broker",
                silence_seconds=self._limits.silence_seconds,
            )

    def _child_environment(self) -> dict[str, str]:
        """Return all foreign variables, and the MODELYARD_ variables of the processes."""
        settings = self._settings
        others = {name: value for name, value in self._environment.items() if not name.startswith("MODELYARD_")}
        return {
            **others,
            **settings.tunable_variables,
            "MODELYARD_DATA_DIR": str(self._data.root),
            "MODELYARD_DATABASE_URL": settings.database_url or self._postgres.url(),
            "MODELYARD_BROKER_URL": settings.broker_url or self._valkey.url,
            "MODELYARD_STORAGE_URL": settings.storage_url or self._data.objects.as_uri(),
            "MODELYARD_MASTER_KEY": settings.master_key or load_or_generate(self._data.master_key, new_master_key),
            "MODELYARD_SCORING_PORT": str(port_of(self._scoring) if self._scoring else self._options.scoring_port),
            **self._tls_variables(),
        }

    def _tls_variables(self) -> dict[str, str]:
        options, tls = self._options, self._settings.tunables.tls
        if not options.tls:
            return {}
        port = port_of(self._scoring_tls) if self._scoring_tls else options.scoring_tls_port
        return {
            "MODELYARD_TLS_CERTIFICATE": tls.certificate or str(self._data.tls_certificate),
            "MODELYARD_TLS_KEY": tls.key or str(self._data.tls_key),
            "MODELYARD_SCORING_TLS_PORT": str(port),
        }

    def _admin_token(self) -> str:
        preset = self._settings.admin_token
        return store_secret(self._data.admin_token, preset) if preset else load_or_generate(self._data.admin_token)

    # Start and restart.

    def _prepare(self, environment: Mapping[str, str]) -> None:
        arguments: tuple[str, ...] = ("--wait-for-schema",)
        if self._has(Role.CONTROL_PLANE):
            environment = {**environment, ADMIN_TOKEN: self._admin_token()}
            # An embedded database takes any token; a shared database keeps the token of another data dir.
            replace = self._settings.admin_token is not None or self._settings.database_url is None
            arguments = ("--migrate", "--replace-token") if replace else ("--migrate",)
        PrepareProcess(arguments, environment).run(self._signals, self._announce, meanwhile=self._restart_ended)

    def _wait_until_answering(self) -> None:
        deadline = time.monotonic() + self._limits.answer_seconds
        silent = [listener for listener in (self._control, self._scoring) if listener is not None]
        while silent and not self._signals.told_to_stop:
            if time.monotonic() > deadline:
                raise StartRefused(f"the platform does not answer; its logs are in {self._data.logs}")
            self._signals.wait(0.05)
            self._restart_ended()
            silent = [listener for listener in silent if not is_answering(listener)]

    def _announce_addresses(self) -> None:
        if self._signals.told_to_stop:
            return
        url, scoring = self._local_url(self._control), self._local_url(self._scoring)
        https, https_scoring = self._local_url(self._control_tls), self._local_url(self._scoring_tls)
        roles = sorted(self._options.roles)
        info = {
            "pid": os.getpid(),
            "roles": roles,
            "url": url,
            "scoring_url": scoring,
            "https_url": https,
            "https_scoring_url": https_scoring,
            "started_at": time.time(),
        }
        replace_file(run_info_file(self._data), json.dumps(info), mode=0o600)
        write_report(report_settings(self._options, self._environment), self._data)
        if self._options.roles != ALL_ROLES:
            self._announce(f"roles          {', '.join(roles)}")
        if url:
            self._remember(url, https)
            self._announce(f"control plane  {self._settings.tunables.public_url or https or url}")
        if scoring:
            self._announce(f"scoring        {self._settings.tunables.scoring_public_url or https_scoring or scoring}")
            self._announce(f"sandbox        {self._sandbox}")
        self._announce(f"data dir       {self._data.root}")
        if https:
            self._announce("clients        modelyard client-env prints the variables that clients need for https")
        self._announce(f"stop with Ctrl-C or: kill {os.getpid()}")

    def _local_url(self, listener: socket.socket | None) -> str | None:
        if listener is None:
            return None
        is_tls = listener in {self._control_tls, self._scoring_tls}
        host = self._options.host if is_tls else self._plain_host
        return local_url(listener, host, scheme="https" if is_tls else "http")

    def _remember(self, url: str, https: str | None) -> None:
        public = self._settings.tunables.public_url or ""
        remember_platform(
            self._environment,
            url,
            self._data.admin_token,
            https_url=public if public.startswith("https:") else https,
            certificates=self._data.tls_bundle if https else None,
        )

    def _restart_ended(self) -> None:
        for child in self._children():
            reason = child.take_exit()
            if self._signals.told_to_stop:
                continue
            # The control plane asks the servers, and beats for them.
            silence = child.take_silence(counts=child not in self._servers or self._control_plane_beats())
            if silence is not None:
                _log.error("%s is silent for %.0f s; killing it. Its log: %s", child.name, silence, child.service.log)
            if reason is not None:
                _log.warning("%s ended (%s); starting it again. Its log: %s", child.name, reason, child.service.log)
            child.start_if_due()
        reap_orphans({child.pid for child in self._children() if child.pid is not None})

    def _control_plane_beats(self) -> bool:
        return any(child.is_beating for child in self._others if child.name == "control-plane")

    def _wait_or_kill(self, children: Iterable[Child], seconds: float) -> None:
        """Wait for the exit of the children; after `seconds` or a second stop signal, kill the rest."""
        running = list(children)
        earlier, deadline = self._signals.stop_signals, time.monotonic() + seconds
        while running and time.monotonic() < deadline and self._signals.stop_signals <= max(1, earlier):
            self._signals.wait(0.05)
            running = [child for child in running if not child.wait(0)]
        for child in running:
            child.kill_group()
            child.wait(_KILL_SECONDS)


def _terminate(children: Iterable[Child]) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
