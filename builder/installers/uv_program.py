"""The uv program: flags, environment variables, and the errors of each command."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from builder.build_run import BuildLog, BuildRun
from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.pip_configuration import PipConfiguration
from builder.installers.uv_errors import failure_sentence
from builder.supervised_process import FinishedProcess, installer_environ, run_supervised
from builder.work_folder import work_folder
from modelyard.core.domain.declared_text import shown, unprintable_in
from modelyard.core.domain.environment_spec import LOCAL_FILES_VARIABLE, EnvironmentSpec, PackageSources

# pip takes the best version of all indexes. uv's default takes the first index with the package.
_INDEX_STRATEGY = "unsafe-best-match"


@dataclass(frozen=True, slots=True)
class UvFolders:
    cache: Path
    """On the file system of the environments, so that uv links packages instead of copying."""
    work: Path
    """Input and output of each run. uv refuses a folder inside the cache."""
    local_files: Path
    """Wheels of models, each in a folder named by the wheel's hash."""
    interpreters: Path
    """Fetched interpreters."""


class UvProgram:
    def __init__(
        self,
        folders: UvFolders,
        *,
        environ: Mapping[str, str],
        pip: PipConfiguration,
        variables: frozenset[str] = frozenset(),
    ) -> None:
        """`environ` is the platform account's; UV_CACHE_DIR and UV_INDEX_STRATEGY win over the defaults here.

        `variables` are the names that requirements may write as `${NAME}`.
        """
        self._folders = folders
        self._expanded = {name: environ.get(name, "") for name in variables}
        self._pip = pip
        self._environ = installer_environ(
            environ,
            **uv_variables(pip),
            **({} if "UV_CACHE_DIR" in environ else {"UV_CACHE_DIR": str(folders.cache)}),
            **self._expanded,
            **{LOCAL_FILES_VARIABLE: str(folders.local_files)},
            UV_NO_PROGRESS="1",
            NO_COLOR="1",
        )

    def compile(self, spec: EnvironmentSpec, python: Path, run: BuildRun) -> str:
        """Return the text of the lock. Raises ResolutionFailed with the resolver's sentence."""
        for note in self._pip.notes:
            run.log.note(note)
        with work_folder(self._folders.work) as folder:
            _write_lines(folder / "requirements.in", spec.requirements)
            command: list[str | Path] = [
                *("pip", "compile", "requirements.in", "--output-file", "lock.txt"),
                *("--python", python, "--no-python-downloads"),
                *("--generate-hashes", "--no-header", "--no-annotate"),
                *_constraints(folder, spec, self._pip),
                *(("--exclude-newer", spec.exclude_newer.isoformat()) if spec.exclude_newer else ()),
                *(("--prerelease", "allow") if spec.sources.over(self._pip.sources).pre else ()),
                *self._sources(spec.sources, run.log),
            ]
            indexes = self._indexes(spec.sources)
            # Standard output repeats the lock, thousands of hashes long.
            finished = self._run(command, cwd=folder, run=run, drop_output=True, variables=indexes)
            if not finished.succeeded:
                raise ResolutionFailed(failure_sentence(finished.output))
            return (folder / "lock.txt").read_text()

    def sync(self, lock: str, environment: Path, sources: PackageSources, run: BuildRun) -> None:
        """Install exactly the lock. Raises InstallFailed with uv's sentence."""
        with work_folder(self._folders.work) as folder:
            (folder / "lock.txt").write_text(lock)
            command: list[str | Path] = [
                *("pip", "sync", "lock.txt", "--python", environment / "bin" / "python"),
                *self._sources(sources, run.log),
            ]
            finished = self._run(command, cwd=folder, run=run, variables=self._indexes(sources))
        if not finished.succeeded:
            raise InstallFailed(failure_sentence(finished.output))

    def install_wheels(self, wheels: Sequence[Path], environment: Path, run: BuildRun) -> None:
        """Install exactly the wheels, offline. Raises InstallFailed with uv's sentence."""
        with work_folder(self._folders.work) as folder:
            _write_lines(folder / "wheels.txt", [wheel.as_uri() for wheel in wheels])
            command: list[str | Path] = [
                *("pip", "install", "--requirements", "wheels.txt", "--python", environment / "bin" / "python"),
                *("--no-deps", "--no-index", "--offline", "--no-config", "--quiet"),
            ]
            finished = self._run(command, cwd=folder, run=run)
        if not finished.succeeded:
            raise InstallFailed(failure_sentence(finished.output))

    def fetch_interpreter(self, minor: str, run: BuildRun) -> str | None:
        """Fetch a Python of the minor version; return uv's sentence if uv fails."""
        target = self._folders.interpreters
        target.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = ["python", "install", minor, "--install-dir", target, "--no-bin"]
        finished = self._run(command, cwd=target, run=run)
        return None if finished.succeeded else failure_sentence(finished.output)

    def _run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        run: BuildRun,
        drop_output: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> FinishedProcess:
        environ = {**self._environ, **(variables or {})}
        return run_supervised([find_uv_bin(), *command], environ=environ, cwd=cwd, run=run, drop_output=drop_output)

    def _indexes(self, asked: PackageSources) -> dict[str, str]:
        """The indexes as variables: every account can read the arguments of a process, and a URL may have a password.

        Raises ResolutionFailed for a URL that no process can be given.
        """
        sources = asked.over(self._pip.sources)
        variables = {
            "UV_DEFAULT_INDEX": sources.index_url or "",
            "UV_INDEX": " ".join(sources.extra_index_urls),
        }
        if any("\0" in value for value in variables.values()):
            raise ResolutionFailed("the URL of a package index has a NUL character; correct pip's configuration")
        return {name: self._expand(value) for name, value in variables.items() if value}

    def _expand(self, text: str) -> str:
        for name, value in self._expanded.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    def _sources(self, asked: PackageSources, log: BuildLog) -> Iterator[str]:
        sources = asked.over(self._pip.sources)
        for place in self._existing(sources.find_links, log):
            yield from ("--find-links", place)
        for host in sources.trusted_hosts:
            yield from ("--allow-insecure-host", host)
        for package in sources.no_binary:
            yield from ("--no-binary", package)
        for package in sources.only_binary:
            yield from ("--only-binary", package)
        yield from ("--no-index",) if sources.no_index else ()
        yield from ("--index-strategy", _INDEX_STRATEGY) if "UV_INDEX_STRATEGY" not in self._environ else ()

    def _existing(self, places: Sequence[str], log: BuildLog) -> Iterator[str]:
        """The existing find-links places. pip warns about a missing folder; uv would fail."""
        for written in places:
            place = self._expand(written.replace(f"${{{LOCAL_FILES_VARIABLE}}}", str(self._folders.local_files)))
            if re.match(r"^[a-z]+://", place) or Path(place).exists():
                yield place
            else:
                log.note(f"find-links {place} does not exist; ignored")


def uv_variables(pip: PipConfiguration) -> dict[str, str]:
    """pip's network options as variables for uv."""
    certificate_variable = "SSL_CERT_DIR" if pip.certificates and Path(pip.certificates).is_dir() else "SSL_CERT_FILE"
    variables = {
        certificate_variable: pip.certificates,
        "SSL_CLIENT_CERT": pip.client_certificate,
        "UV_HTTP_TIMEOUT": pip.timeout_seconds,
        "UV_HTTP_RETRIES": pip.retries,
        "ALL_PROXY": pip.proxy,
        "UV_KEYRING_PROVIDER": "subprocess" if pip.uses_keyring else None,
    }
    return {name: value for name, value in variables.items() if value}


def _constraints(folder: Path, spec: EnvironmentSpec, pip: PipConfiguration) -> Iterator[str]:
    files = list(pip.constraint_files)
    if spec.constraints:
        _write_lines(folder / "constraints.txt", spec.constraints)
        files.append("constraints.txt")
    for file in files:
        yield from ("--constraints", file)


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    """Raises ResolutionFailed for a text of several lines, which would become requirements of their own."""
    broken = next((line for line in lines if unprintable_in(line) is not None), None)
    if broken is not None:
        raise ResolutionFailed(f"the requirement {shown(broken)} is not one line of text")
    file.write_text("".join(f"{line}\n" for line in lines))
