"""A toolchain for the whole session, model folders, and small packages to build environments of."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builder.accounts import BuilderAccounts, builder_accounts
from builder.build_run import BuildLog, BuildRun, cancellation_token
from builder.build_sandbox import open_build_sandbox
from builder.composition import open_toolchain
from builder.environment_build import BuildOrder, build_environment
from builder.environment_files.requirements import RequirementPolicy
from builder.installers.port import index_versions
from builder.installers.uv import UvInstaller
from builder.toolchain import BuildToolchain
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, PackageSources
from modelyard.core.domain.outgoing_urls import UrlPolicy
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.settings import MachineSettings
from tests.builder.packages import PackageIndex, served

WORKER_USER = 64042 if os.getuid() == 0 else None
LOOPBACK_INDEXES = RequirementPolicy(urls=UrlPolicy.parse("127.0.0.1"))


def builder_accounts_of(data_dir: DataDir) -> BuilderAccounts:
    return builder_accounts(settings_of(data_dir))


def settings_of(data_dir: DataDir) -> MachineSettings:
    return MachineSettings(data_dir=data_dir.root, storage_url="file:///nonexistent")


MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.10.4
  sklearn:
    pickled_model: model.pkl
    sklearn_version: 1.1.2
mlflow_version: 2.7.1
utc_time_created: '2023-11-20 10:00:00.000000'
"""


@dataclass
class Recorder:
    """The steps and log lines of a build."""

    steps: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def build_log(self) -> BuildLog:
        return BuildLog(self.lines.append, self.steps.append)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


Packing = Callable[[BuiltEnvironment, BuildLog], AbstractContextManager[None]]


@dataclass(frozen=True)
class DiskRegistry:
    """An environment registry without a database: a complete environment on disk counts as published."""

    toolchain: BuildToolchain
    log: BuildLog
    pack: Packing = lambda built, log: nullcontext()

    def adopt(self, lock: EnvironmentLock) -> BuiltEnvironment | None:
        return self.toolchain.environments.find(lock.digest)

    def packing(self, built: BuiltEnvironment) -> AbstractContextManager[None]:
        return self.pack(built, self.log)

    def publish(self, built: BuiltEnvironment) -> None: ...


@pytest.fixture(scope="session")
def toolchain(session_data_dir: DataDir) -> BuildToolchain:
    return open_toolchain(
        session_data_dir,
        environ=os.environ,
        home=Path.home(),
        worker_user=WORKER_USER,
        requirements=LOOPBACK_INDEXES,
        accounts=builder_accounts_of(session_data_dir),
        sandbox=open_build_sandbox(settings_of(session_data_dir)),
    )


@pytest.fixture
def isolated_toolchain(own_data_dir: DataDir, toolchain: BuildToolchain) -> BuildToolchain:
    return open_isolated(own_data_dir, toolchain, builder_accounts_of(own_data_dir))


@pytest.fixture
def own_data_dir(tmp_path_factory: pytest.TempPathFactory, session_data_dir: DataDir) -> DataDir:
    own = DataDir(session_data_dir.root / tmp_path_factory.mktemp("own").name)
    own.prepare()
    return own


def open_isolated(own: DataDir, toolchain: BuildToolchain, accounts: BuilderAccounts) -> BuildToolchain:
    """A toolchain with environments and caches of its own, without the machine's package indexes."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environ["PIP_CONFIG_FILE"] = os.devnull
    isolated = open_toolchain(
        own,
        environ=environ,
        home=Path.home(),
        worker_user=WORKER_USER,
        requirements=LOOPBACK_INDEXES,
        accounts=accounts,
        sandbox=open_build_sandbox(settings_of(own)),
    )
    assert isinstance(isolated.installer, UvInstaller)
    installer = replace(isolated.installer, interpreters=toolchain.interpreters)
    return replace(isolated, installer=installer, interpreters=toolchain.interpreters)


@pytest.fixture
def progress() -> Recorder:
    return Recorder()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    with served(PackageIndex(tmp_path / "index")) as running:
        yield running


@pytest.fixture
def other_index(tmp_path: Path) -> Iterator[PackageIndex]:
    with served(PackageIndex(tmp_path / "other-index")) as running:
        yield running


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a model folder from the texts of the files."""

    def make(files: dict[str, str] | None = None, *, mlmodel: str = MLMODEL) -> Path:
        folder = tmp_path / "model"
        for name, text in {"MLmodel": mlmodel, **(files or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    return make


def spec_from(index: PackageIndex, *requirements: str, python: str = "3.11", **options) -> EnvironmentSpec:
    """A spec with a single index as the source of all packages."""
    return EnvironmentSpec(
        python=python, requirements=requirements, sources=PackageSources(index_url=index.url), **options
    )


def versions(toolchain: BuildToolchain, built: BuiltEnvironment) -> dict[str, str]:
    """The version of each package in the environment's lock, by name."""
    return index_versions(toolchain.installer.describe(built.lock))


def build(
    toolchain: BuildToolchain,
    spec: EnvironmentSpec,
    progress: Recorder,
    *,
    modules: tuple[str, ...] = (),
    folder: Path = Path("/nonexistent"),
    packing: Packing = lambda built, log: nullcontext(),
    **options,
) -> BuiltEnvironment:
    log = progress.build_log()
    registry = DiskRegistry(toolchain, log, packing)
    with cancellation_token() as token:
        return build_environment(
            toolchain, BuildOrder(spec, folder, modules, **options), registry, BuildRun(log, token)
        )
