"""The processes of a machine by role, each with only the needed variables and descriptors."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelyard.core.data_dir import DataDir
from modelyard.core.settings import SupervisorSettings, Tunables
from modelyard.core.settings_variables import variables_of
from modelyard.process.program import program_command
from modelyard.supervisor.children import Service
from modelyard.supervisor.options import UpOptions
from modelyard.supervisor.roles import Role

_MAX_BATCH_WORKERS = 4
"""Default limit: each batch worker holds a loaded model."""

_GATEWAY_NAMES = {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"}
_GATEWAY_PREFIXES = ("LC_", "PYTHON")


@dataclass(frozen=True, slots=True)
class Services:
    options: UpOptions
    data: DataDir
    limits: SupervisorSettings
    environment: Mapping[str, str]
    """Environment of processes with access to database, broker and object store."""
    control_fd: int | None
    scoring_fd: int | None
    control_tls_fd: int | None = None
    scoring_tls_fd: int | None = None

    def gateways(self) -> Iterator[Service]:
        """Gateways need only the data dir, start before all other processes, and get no secret."""
        if Role.DATA_PLANE not in self.options.roles:
            return
        assert self.scoring_fd is not None, "the data plane's port is bound"
        environment = _without_secrets(self.environment)
        for index in range(self.options.gateways):
            position = ("--index", str(index), "--gateways", str(self.options.gateways))
            sockets, fds = _sockets(self.scoring_fd, self.scoring_tls_fd)
            arguments = (*sockets, "--data-dir", str(self.data.root), *position)
            yield self._service(f"gateway-{index}", "data_plane.gateway.main", arguments, environment, fds)

    def others(self) -> Iterator[Service]:
        if Role.CONTROL_PLANE in self.options.roles:
            assert self.control_fd is not None, "the control plane's port is bound"
            sockets, fds = _sockets(self.control_fd, self.control_tls_fd)
            yield self._service("control-plane", "control_plane.main", sockets, self.environment, fds)
        if Role.DATA_PLANE in self.options.roles:
            arguments = ("--gateways", str(self.options.gateways))
            yield self._service("host", "data_plane.host.main", arguments, self.environment)
        if Role.BUILDER in self.options.roles:
            for index in range(self.options.builders):
                yield self._service(f"builder-{index}", "builder.main", (), self.environment)
        if Role.BATCH in self.options.roles:
            yield from self._batch_workers()

    def _batch_workers(self) -> Iterator[Service]:
        count = self.options.batch_workers
        if count is None:
            count = min(_MAX_BATCH_WORKERS, os.cpu_count() or 1)
        for index in range(count):
            position = ("--index", str(index), "--workers", str(count))
            yield self._service(f"batch-{index}", "data_plane.batch.main", position, self.environment)

    def _service(
        self,
        name: str,
        module: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        fds: tuple[int, ...] = (),
    ) -> Service:
        command = tuple(program_command(module, *arguments))
        limits = self.limits
        return Service(
            name,
            command,
            self.data.logs / f"{name}.log",
            environment,
            fds,
            heartbeat=self.data.heartbeats / name,
            silence_seconds=limits.silence_seconds,
            start_seconds=limits.answer_seconds,
        )


def _sockets(plain: int, tls: int | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The arguments for the listening sockets of a port, and the sockets."""
    if tls is None:
        return ("--fd", str(plain)), (plain,)
    return ("--fd", str(plain), "--tls-fd", str(tls)), (plain, tls)


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Select variables by name: credentials of an object store may be in variables of any name."""
    names = _GATEWAY_NAMES | {variable.name for variable in variables_of(Tunables)}
    return {name: value for name, value in environment.items() if name in names or name.startswith(_GATEWAY_PREFIXES)}
