"""The uv program: flags, environment variables, and the errors of each command."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from uv import find_uv_bin

from builder.accounts import BuilderAccounts, hand_over, make_programs_executable, read_output
from builder.build_run import BuildLog, BuildRun
from builder.build_sandbox import BuildSandbox
from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.pip_configuration import PipConfiguration
from builder.installers.uv_errors import (
    FailureContext,
    denials,
    explain_failure,
    failure_sentence,
    missing_packages,
)
from builder.installers.uv_lock import check_lock, with_declared_hashes
from builder.supervised_process import FinishedProcess, installer_environ, run_supervised
from builder.work_folder import work_folder
from modelyard.core.adapters.file_access import reachable
from modelyard.core.adapters.outgoing import Place, checking_proxy
from modelyard.core.domain.declared_text import shown, unprintable_in
from modelyard.core.domain.environment_spec import LOCAL_FILES_VARIABLE, EnvironmentSpec, PackageSources
from modelyard.core.domain.outgoing_urls import UrlPolicy
from modelyard.process.atomic_files import atomic_file

_LARGEST_LOCK = 16 << 20
_NEEDS_BUILD = re.compile(r"no usable wheels|`--no-build`|[Bb]uilding (?:from source|source distributions) is disabled")
_LOCAL_FILE = re.compile(re.escape(f"${{{LOCAL_FILES_VARIABLE}}}/") + "([0-9a-f]{64})")
# Variables that name a file of the operator's, which the accounts of builds perhaps cannot read.
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
_CREDENTIALS = ("NETRC", "SSL_CLIENT_CERT", "UV_CONFIG_FILE")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
# Where uv looks without a variable, below the home.
_USUAL_FILES = {"NETRC": ".netrc", "UV_CONFIG_FILE": ".config/uv/uv.toml"}
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
    programs: Path
    """Copies of uv, for accounts that cannot reach the platform's."""


class UvProgram:
    def __init__(
        self,
        folders: UvFolders,
        *,
        environ: Mapping[str, str],
        pip: PipConfiguration,
        variables: frozenset[str] = frozenset(),
        accounts: BuilderAccounts | None = None,
        sandbox: BuildSandbox | None = None,
        urls: UrlPolicy | None = None,
    ) -> None:
        """`environ` is the platform account's; UV_CACHE_DIR and UV_INDEX_STRATEGY win over the defaults here.

        `variables` are the names that requirements may write as `${NAME}`.
        """
        self._folders = folders
        self._accounts = accounts or BuilderAccounts()
        self._sandbox = sandbox
        self._urls = urls or UrlPolicy()
        self._has_proxy = bool(pip.proxy) or any(environ.get(name) for name in _PROXY_VARIABLES)
        self._expanded = {name: environ.get(name, "") for name in variables}
        self._pip = pip
        self._environ = installer_environ(
            environ,
            **uv_variables(pip),
            **self._cache(environ),
            **self._expanded,
            **{LOCAL_FILES_VARIABLE: str(folders.local_files)},
            UV_NO_PROGRESS="1",
            NO_COLOR="1",
        )

    def _cache(self, environ: Mapping[str, str]) -> dict[str, str]:
        named = environ.get("UV_CACHE_DIR")
        account = self._accounts.installer
        if named and (account is None or (Path(named).is_dir() and Path(named).stat().st_uid == account)):
            return {}
        return {"UV_CACHE_DIR": str(self._folders.cache)}

    def compile(self, spec: EnvironmentSpec, python: Path, run: BuildRun) -> str:
        """Return the text of the lock. Raises ResolutionFailed with the cause, the lines and the change to make."""
        for note in self._pip.notes:
            run.log.note(note)
        unreachable: dict[Place, str] = {}
        with self._work_folder() as folder:
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
            # Standard output repeats the lock, thousands of hashes long.
            finished = self._run(
                command,
                spec.sources,
                cwd=folder,
                run=run,
                fetches_repository=any("git+" in line for line in spec.requirements),
                drop_output=True,
                unreachable=unreachable,
            )
            if not finished.succeeded:
                denied = self._denials(missing_packages(finished.output), spec.sources, python, run)
                output = "\n".join((finished.output, *denied))
                raise ResolutionFailed(run.log.masked(explain_failure(output, self._context(spec, unreachable))))
            lock = read_output(folder / "lock.txt", most=_LARGEST_LOCK)
        check_lock(lock)
        return with_declared_hashes(lock, spec.requirements)

    def _context(self, spec: EnvironmentSpec, unreachable: Mapping[Place, str]) -> FailureContext:
        """The origins with the URLs as uv writes them, with the values of variables."""
        origins = {self._expand(text): where for text, where in spec.origins.items()}
        return FailureContext(origins, unreachable)

    def _denials(self, packages: Sequence[str], asked: PackageSources, python: Path, run: BuildRun) -> Iterator[str]:
        """uv's hints of indexes that deny access. With several indexes, uv takes a denial for a missing package."""
        sources = asked.over(self._pip.sources)
        indexes = [url for url in (*sources.extra_index_urls, sources.index_url or "") if url.startswith(("http", "$"))]
        for url in indexes if packages else ():
            run.log.line(f"asking {url} for {packages[0]}")
            with self._work_folder() as folder, self._proxied(asked, folder, run.log, {}) as proxied:
                _write_lines(folder / "requirements.in", packages[:1])
                finished = self._run_as_installer(
                    [*("pip", "compile", "requirements.in", "--python", python), "--no-deps", "--no-build", "--quiet"],
                    cwd=folder,
                    run=run,
                    drop_output=True,
                    variables={**proxied, "UV_DEFAULT_INDEX": self._expand(url), "UV_INDEX": "", "UV_FIND_LINKS": ""},
                )
            yield from denials(finished.output)

    def sync(self, lock: str, environment: Path, sources: PackageSources, run: BuildRun) -> None:
        """Install exactly the lock. Raises InstallFailed with the cause."""
        check_lock(lock)
        unreachable: dict[Place, str] = {}
        with self._work_folder() as folder:
            (folder / "lock.txt").write_text(lock)
            command: list[str | Path] = [
                *("pip", "sync", "lock.txt", "--python", environment / "bin" / "python"),
                *self._sources(sources, run.log),
            ]
            finished = self._run(
                command,
                sources,
                cwd=folder,
                run=run,
                environment=environment,
                fetches_repository="git+" in lock,
                unreachable=unreachable,
            )
        if not finished.succeeded:
            context = FailureContext(unreachable=unreachable)
            raise InstallFailed(run.log.masked(explain_failure(finished.output, context)))

    def install_wheels(self, wheels: Sequence[Path], environment: Path, run: BuildRun) -> None:
        """Install exactly the wheels, offline. Raises InstallFailed with uv's sentence."""
        with self._work_folder() as folder:
            _write_lines(folder / "wheels.txt", [wheel.as_uri() for wheel in wheels])
            command: list[str | Path] = [
                *("pip", "install", "--requirements", "wheels.txt", "--python", environment / "bin" / "python"),
                *("--no-deps", "--no-index", "--offline", "--no-config", "--quiet", "--no-build"),
            ]
            finished = self._run_as_installer(command, cwd=folder, run=run)
        if not finished.succeeded:
            raise InstallFailed(failure_sentence(finished.output))

    def fetch_interpreter(self, minor: str, run: BuildRun) -> str | None:
        """Fetch a Python of the minor version; return uv's sentence if uv fails."""
        target = self._folders.interpreters
        target.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = ["python", "install", minor, "--install-dir", target, "--no-bin"]
        environ = {**self._environ, "UV_CACHE_DIR": str(target / ".cache")}
        finished = run_supervised([find_uv_bin(), *command], environ=environ, cwd=target, run=run)
        return None if finished.succeeded else failure_sentence(finished.output)

    def _run(
        self,
        command: Sequence[str | Path],
        sources: PackageSources,
        *,
        cwd: Path,
        run: BuildRun,
        environment: Path | None = None,
        fetches_repository: bool = False,
        drop_output: bool = False,
        unreachable: dict[Place, str],
    ) -> FinishedProcess:
        """Run uv on wheels alone; only if a package has no wheel, run uv apart from other builds, with builds.

        A repository's git is a program that reads an author's files: `fetches_repository` runs it apart at once.
        `unreachable` receives the error of each place without a connection.
        """
        run.log.hide(self._expanded)
        with self._proxied(sources, cwd, run.log, unreachable) as proxied:
            return self._run_by_stages(
                command,
                cwd=cwd,
                run=run,
                environment=environment,
                wheels_first=not (fetches_repository or sources.over(self._pip.sources).no_binary),
                drop_output=drop_output,
                variables={**self._indexes(sources), **proxied},
            )

    def _run_by_stages(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        run: BuildRun,
        environment: Path | None,
        wheels_first: bool,
        drop_output: bool,
        variables: Mapping[str, str],
    ) -> FinishedProcess:
        if wheels_first:
            finished = self._run_as_installer(
                [*command, "--no-build"], cwd=cwd, run=run, drop_output=drop_output, variables=variables
            )
            if finished.succeeded or not _NEEDS_BUILD.search(finished.output):
                return finished
            run.log.line("a package has no wheel: building packages from source, apart from other builds")
        return self._run_with_builds(
            command, cwd=cwd, run=run, environment=environment, drop_output=drop_output, variables=variables
        )

    @contextmanager
    def _proxied(
        self, sources: PackageSources, cwd: Path, log: BuildLog, unreachable: dict[Place, str]
    ) -> Iterator[dict[str, str]]:
        """Where a model names a URL, every request of uv passes the rule at connect time, redirects included.

        With a proxy of the operator's, that proxy alone knows the addresses.
        """
        named = [sources.index_url or "", *sources.extra_index_urls, *sources.find_links, *_texts(cwd)]
        if self._has_proxy or not any("://" in text for text in named):
            yield {}
            return
        operator = self._pip.sources
        exempt = _places((operator.index_url or "", *operator.extra_index_urls, *operator.find_links))

        def record(place: Place, error: Exception) -> None:
            if place not in unreachable:
                unreachable[place] = str(error)
                log.line(f"no connection to {place[0]}:{place[1]}: {error}")

        with checking_proxy(self._urls, exempt=exempt, on_failure=record) as url:
            names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
            yield {**dict.fromkeys(names, url), "NO_PROXY": "", "no_proxy": ""}

    def _run_as_installer(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        run: BuildRun,
        drop_output: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> FinishedProcess:
        with self._work_folder() as home:
            files = self._readable_files(home, (*_CERTIFICATES, *_CREDENTIALS))
            for folder in (home, cwd):
                hand_over(folder, self._accounts.installer)
            return run_supervised(
                [self._uv(), *command],
                environ={**self._environ, **files, **(variables or {})},
                cwd=cwd,
                run=run,
                user=self._accounts.installer,
                drop_output=drop_output,
            )

    def _run_with_builds(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        run: BuildRun,
        environment: Path | None,
        drop_output: bool,
        variables: Mapping[str, str],
    ) -> FinishedProcess:
        """Run uv with the code of packages: with a cache of its own, without the operator's credential files."""
        own = [cwd] if environment is None else [cwd, environment]
        environ = {name: value for name, value in self._environ.items() if name not in _CREDENTIALS}
        environ |= {"HOME": str(cwd), "TMPDIR": str(cwd), **self._readable_files(cwd, _CERTIFICATES), **variables}
        with self._work_folder() as cache:
            try:
                with self._accounts.code_account() as account:
                    for folder in (*own, cache):
                        hand_over(folder, account)
                    confined = (
                        None
                        if self._sandbox is None
                        else self._sandbox.of(
                            own=(*own, cache),
                            read=(Path(self._uv()), *self._places_to_read(command, cwd, environ)),
                            has_network=True,
                            owns_account=account is not None,
                        )
                    )
                    return run_supervised(
                        [self._uv(), *command],
                        environ={**environ, "UV_CACHE_DIR": str(cache)},
                        cwd=cwd,
                        run=run,
                        user=account,
                        sandbox=confined,
                        drop_output=drop_output,
                    )
            finally:
                for folder in own:
                    hand_over(folder, self._accounts.installer)
                if environment is not None and self._accounts.installer is None:
                    make_programs_executable(environment / "bin")

    def _places_to_read(self, command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str]) -> Iterator[Path]:
        """The interpreter, the wheels of this model, and the operator's folders of packages and certificates."""
        for word in command:
            if isinstance(word, Path) or word.startswith("/"):
                python = Path(word).resolve()
                yield python.parent.parent if python.parent.name == "bin" else python
        for text in _texts(cwd):
            for digest in _LOCAL_FILE.findall(text):
                yield self._folders.local_files / digest
        for name in _CERTIFICATES:
            if name in environ:
                yield Path(environ[name])
        for url in (environ.get("UV_DEFAULT_INDEX", ""), *environ.get("UV_INDEX", "").split()):
            if url.startswith("file://"):
                folder = Path(unquote(urlsplit(url).path))
                yield folder
                # The pages of such an index often name packages beside the folder: "../../files/…".
                if len(folder.parts) > 2:
                    yield folder.parent

    @contextmanager
    def _work_folder(self) -> Iterator[Path]:
        with work_folder(self._folders.work) as folder:
            hand_over(folder, self._accounts.installer)
            yield folder

    def _readable_files(self, home: Path, names: Sequence[str]) -> dict[str, str]:
        """The variables for a home of another account, with copies of files that the account cannot read."""
        account = self._accounts.installer
        if account is None:
            return {}
        variables = {"HOME": str(home), "TMPDIR": str(home)}
        for name in names:
            usual = Path(self._environ.get("HOME", "/nonexistent")) / _USUAL_FILES.get(name, "nonexistent")
            file = Path(self._environ.get(name, usual))
            if file.is_file() and not reachable(file, account):
                variables[name] = str(shutil.copyfile(file, home / name.lower()))
                Path(variables[name]).chmod(0o600)
            elif file.is_file() and name not in self._environ:
                variables[name] = str(file)
        return variables

    def _uv(self) -> str | Path:
        """The program, or a copy that the accounts of builds can run."""
        program = Path(find_uv_bin())
        account = self._accounts.installer
        if account is None or reachable(program, account):
            return program
        found = program.stat()
        copy = self._folders.programs / f"uv-{found.st_size}-{found.st_mtime_ns}" / "uv"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with program.open("rb") as content, atomic_file(copy, mode=0o755) as written:
                shutil.copyfileobj(content, written)
        return copy

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
            if re.match(r"^[a-z]+://", place):
                yield place
            elif Path(place).exists():
                self._check_reachable(Path(place))
                yield place
            else:
                log.note(f"find-links {place} does not exist; ignored")

    def _check_reachable(self, place: Path) -> None:
        account = self._accounts.installer
        if account is not None and not reachable(place, account):
            raise ResolutionFailed(
                f"the find-links place {place} is closed to user {account}, who installs packages: let other accounts "
                "read the folder and pass through the folders above"
            )


def _texts(cwd: Path) -> list[str]:
    """The requirements of a run."""
    files = (cwd / name for name in ("requirements.in", "constraints.txt", "lock.txt"))
    return [file.read_text() for file in files if file.is_file()]


def _places(urls: Sequence[str]) -> frozenset[Place]:
    """Hosts and ports of the operator's URLs."""
    parts = [urlsplit(url) for url in urls if url.startswith(("http://", "https://"))]
    return frozenset((each.hostname or "", each.port or {"http": 80}.get(each.scheme, 443)) for each in parts)


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
    files = [
        _copied(Path(file), folder / f"machine-constraints-{number}.txt")
        for number, file in enumerate(pip.constraint_files)
    ]
    if spec.constraints:
        _write_lines(folder / "constraints.txt", spec.constraints)
        files.append("constraints.txt")
    for file in files:
        yield from ("--constraints", file)


def _copied(file: Path, target: Path) -> str:
    """A file of the machine in the folder of the run; a URL or a missing file stays for uv to judge."""
    return shutil.copyfile(file, target).name if file.is_file() else str(file)


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    """Raises ResolutionFailed for a text of several lines, which would become requirements of their own."""
    broken = next((line for line in lines if unprintable_in(line) is not None), None)
    if broken is not None:
        raise ResolutionFailed(f"the requirement {shown(broken)} is not one line of text")
    file.write_text("".join(f"{line}\n" for line in lines))
