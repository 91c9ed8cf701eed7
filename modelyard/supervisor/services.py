"""Which processes a machine runs, each with what it needs and nothing else."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelyard.core.data_dir import DataDir
from modelyard.supervisor.children import Service
from modelyard.supervisor.options import UpOptions
from modelyard.supervisor.roles import Role

REQUEST_SECONDS = 60
"""What requests under way get when the platform is told to stop."""

_MOST_BATCH_WORKERS = 4
"""Unless asked for: each holds a model of its own while it works."""

_GATEWAY_NAMES = {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"}
_GATEWAY_PREFIXES = ("LC_", "PYTHON")


@dataclass(frozen=True, slots=True)
class Services:
    options: UpOptions
    data: DataDir
    settings: Mapping[str, str]
    """The environment of whoever uses database, broker and store."""
    control_fd: int | None
    scoring_fd: int | None

    def gateways(self) -> Iterator[Service]:
        """They need nothing but the data dir, so they come before everything else, and get no secret."""
        if Role.DATA_PLANE not in self.options.roles:
            return
        assert self.scoring_fd is not None, "the data plane's port is bound"
        for index in range(self.options.gateways):
            place = ("--index", str(index), "--gateways", str(self.options.gateways))
            patience = ("--shutdown-seconds", str(REQUEST_SECONDS))
            arguments = ("--fd", str(self.scoring_fd), "--data-dir", str(self.data.root), *place, *patience)
            yield self._ours(
                f"gateway-{index}",
                "data_plane.gateway.main",
                arguments,
                _without_secrets(self.settings),
                (self.scoring_fd,),
            )

    def others(self) -> Iterator[Service]:
        if Role.CONTROL_PLANE in self.options.roles:
            assert self.control_fd is not None, "the control plane's port is bound"
            fd = self.control_fd
            yield self._ours("control-plane", "control_plane.main", ("--fd", str(fd)), self.settings, (fd,))
        if Role.DATA_PLANE in self.options.roles:
            yield self._ours("host", "data_plane.host.main", ("--gateways", str(self.options.gateways)), self.settings)
        if Role.BUILDER in self.options.roles:
            for index in range(self.options.builders):
                yield self._ours(f"builder-{index}", "builder.main", (), self.settings)
        if Role.BATCH in self.options.roles:
            yield from self._batch_workers()

    def _batch_workers(self) -> Iterator[Service]:
        wanted = self.options.batch_workers
        count = min(_MOST_BATCH_WORKERS, os.cpu_count() or 1) if wanted is None else wanted
        for index in range(count):
            place = ("--index", str(index), "--workers", str(count))
            yield self._ours(f"batch-{index}", "data_plane.batch.main", place, self.settings)

    def _ours(
        self,
        name: str,
        module: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        fds: tuple[int, ...] = (),
    ) -> Service:
        command = (sys.executable, "-m", module, *arguments)
        return Service(name, command, self.data.logs / f"{name}.log", environment, fds)


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Named one by one: a store's credentials may be in variables that we have never heard of."""
    return {
        name: value
        for name, value in environment.items()
        if name in _GATEWAY_NAMES or name.startswith(_GATEWAY_PREFIXES)
    }
