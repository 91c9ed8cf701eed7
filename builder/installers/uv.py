"""uv: resolves requirements to an exact lock, installs a lock, fetches interpreters."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.pip_configuration import PipConfiguration
from builder.installers.uv_errors import failure_sentence, redacted
from builder.interpreters.probe import Interpreter
from builder.supervised_process import CancellationToken, Finished, installer_environ, run
from builder.work_folder import work_folder
from modelyard.core.domain.environment_spec import (
    LOCAL_FILES_VARIABLE,
    EnvironmentLock,
    EnvironmentSpec,
    PackageSources,
)

Say = Callable[[str], None]

# As pip treats several indexes: the best version of all counts, wherever it is.
_AS_PIP_CHOOSES = "unsafe-best-match"


@dataclass(frozen=True, slots=True)
class UvFolders:
    cache: Path
    """Beside the environments, so that packages are linked instead of copied."""
    work: Path
    """What uv reads and writes while it runs; not inside its cache, which it refuses."""
    local_files: Path
    """Wheels that models bring, each in a folder named by its hash."""
    interpreters: Path
    """Where fetched interpreters are installed."""


class Uv:
    def __init__(self, folders: UvFolders, *, environ: Mapping[str, str], pip: PipConfiguration) -> None:
        self._folders = folders
        self._pip = pip
        own_cache = {} if "UV_CACHE_DIR" in environ else {"UV_CACHE_DIR": str(folders.cache)}
        self._environ = installer_environ(
            environ,
            **pip.variables,
            **own_cache,
            **{LOCAL_FILES_VARIABLE: str(folders.local_files)},
            UV_NO_PROGRESS="1",
            NO_COLOR="1",
        )

    def resolve(
        self, spec: EnvironmentSpec, interpreter: Interpreter, *, platform: str, alive: CancellationToken, say: Say
    ) -> EnvironmentLock:
        """Raises ResolutionFailed with the resolver's own sentence."""
        with work_folder(self._folders.work) as folder:
            _write_lines(folder / "requirements.in", spec.requirements)
            command: list[str | Path] = [
                *("pip", "compile", "requirements.in", "--output-file", "lock.txt"),
                *("--python", interpreter.executable, "--no-python-downloads"),
                *("--generate-hashes", "--no-header", "--no-annotate"),
                *_constraints(folder, spec, self._pip),
                *(("--exclude-newer", spec.exclude_newer.isoformat()) if spec.exclude_newer else ()),
                *(("--prerelease", "allow") if spec.sources.over(self._pip.sources).pre else ()),
                *self._sources(spec.sources, say),
            ]
            ended = self._run(command, cwd=folder, alive=alive, say=say, drop_output=True)
            if not ended.succeeded:
                raise ResolutionFailed(failure_sentence(ended.output))
            text = (folder / "lock.txt").read_text()
        return EnvironmentLock(text=text, python=interpreter.version, platform=platform)

    def install(
        self, lock: EnvironmentLock, environment: Path, sources: PackageSources, *, alive: CancellationToken, say: Say
    ) -> None:
        """Install exactly the lock. Raises InstallFailed with what uv says about it."""
        with work_folder(self._folders.work) as folder:
            (folder / "lock.txt").write_text(lock.text)
            command: list[str | Path] = [
                *("pip", "sync", "lock.txt", "--python", environment / "bin" / "python"),
                *self._sources(sources, say),
            ]
            ended = self._run(command, cwd=folder, alive=alive, say=say)
        if not ended.succeeded:
            raise InstallFailed(failure_sentence(ended.output))

    def install_wheels(self, wheels: Sequence[Path], environment: Path, *, alive: CancellationToken, say: Say) -> None:
        """Install exactly these files, asking nobody. Raises InstallFailed with what uv says about it."""
        with work_folder(self._folders.work) as folder:
            _write_lines(folder / "wheels.txt", [wheel.as_uri() for wheel in wheels])
            command: list[str | Path] = [
                *("pip", "install", "--requirements", "wheels.txt", "--python", environment / "bin" / "python"),
                *("--no-deps", "--no-index", "--offline", "--no-config", "--quiet"),
            ]
            ended = self._run(command, cwd=folder, alive=alive, say=say)
        if not ended.succeeded:
            raise InstallFailed(failure_sentence(ended.output))

    def fetch_interpreter(self, minor: str, *, alive: CancellationToken, say: Say) -> str | None:
        """Install a Python; returns why it could not be had, or None."""
        target = self._folders.interpreters
        target.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = ["python", "install", minor, "--install-dir", target, "--no-bin"]
        ended = self._run(command, cwd=target, alive=alive, say=say)
        return None if ended.succeeded else failure_sentence(ended.output)

    def _run(
        self, command: Sequence[str | Path], *, cwd: Path, alive: CancellationToken, say: Say, drop_output: bool = False
    ) -> Finished:
        return run(
            [find_uv_bin(), *command],
            environ=self._environ,
            cwd=cwd,
            alive=alive,
            on_line=lambda line: say(redacted(line)),
            drop_output=drop_output,
        )

    def _sources(self, asked: PackageSources, say: Say) -> Iterator[str]:
        sources = asked.over(self._pip.sources)
        if sources.index_url:
            yield from ("--default-index", sources.index_url)
        for index in sources.extra_index_urls:
            yield from ("--index", index)
        for place in self._present(sources.find_links, say):
            yield from ("--find-links", place)
        for host in sources.trusted_hosts:
            yield from ("--allow-insecure-host", host)
        for package in sources.no_binary:
            yield from ("--no-binary", package)
        for package in sources.only_binary:
            yield from ("--only-binary", package)
        yield from ("--no-index",) if sources.no_index else ()
        yield from ("--index-strategy", _AS_PIP_CHOOSES) if "UV_INDEX_STRATEGY" not in self._environ else ()

    def _present(self, places: Sequence[str], say: Say) -> Iterator[str]:
        """Places to find packages in; pip only warns about a folder that is not there, and uv would stop."""
        for written in places:
            place = written.replace(f"${{{LOCAL_FILES_VARIABLE}}}", str(self._folders.local_files))
            if re.match(r"^[a-z]+://", place) or Path(place).exists():
                yield place
            else:
                say(f"find-links {place} does not exist; left out")


def _constraints(folder: Path, spec: EnvironmentSpec, pip: PipConfiguration) -> Iterator[str]:
    files = list(pip.constraint_files)
    if spec.constraints:
        _write_lines(folder / "constraints.txt", spec.constraints)
        files.append("constraints.txt")
    for file in files:
        yield from ("--constraints", file)


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines))
