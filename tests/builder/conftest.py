"""A toolchain for the whole session, model folders, and small packages to build environments of."""

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builder.environment_build import BuildOrder, Packing, build_environment
from builder.supervised_process import cancellation_token
from builder.toolchain import BuildToolchain, open_toolchain
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources
from modelyard.core.environments.folder import BuiltEnvironment
from tests.builder.packages import PackageIndex, served

WORKER_USER = 64042 if os.getuid() == 0 else None

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
    """The progress of a build, kept."""

    steps: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.steps.append(name)

    def say(self, line: str) -> None:
        self.lines.append(line)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture(scope="session")
def toolchain(session_data_dir: DataDir) -> BuildToolchain:
    return open_toolchain(session_data_dir, environ=os.environ, home=Path.home(), worker_user=WORKER_USER)


@pytest.fixture
def isolated_toolchain(
    tmp_path_factory: pytest.TempPathFactory, session_data_dir: DataDir, toolchain: BuildToolchain
) -> BuildToolchain:
    """A toolchain whose environments and caches are this test's own, and which knows no index of this machine."""
    own = DataDir(session_data_dir.root / tmp_path_factory.mktemp("own").name)
    own.prepare()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environ["PIP_CONFIG_FILE"] = os.devnull
    isolated = open_toolchain(own, environ=environ, home=Path.home(), worker_user=WORKER_USER)
    return replace(isolated, interpreters=toolchain.interpreters)


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
    """Makes a model folder from the texts of its files."""

    def make(files: dict[str, str] | None = None, *, mlmodel: str = MLMODEL) -> Path:
        folder = tmp_path / "model"
        for name, text in {"MLmodel": mlmodel, **(files or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    return make


def spec_from(index: PackageIndex, *requirements: str, python: str = "3.11", **options) -> EnvironmentSpec:
    """A spec whose packages come from one index and no other place."""
    return EnvironmentSpec(
        python=python, requirements=requirements, sources=PackageSources(index_url=index.url), **options
    )


def build(
    toolchain: BuildToolchain,
    spec: EnvironmentSpec,
    progress: Recorder,
    *,
    modules: tuple[str, ...] = (),
    folder: Path = Path("/nonexistent"),
    packing: Packing = lambda built, say: nullcontext(),
    **options,
) -> BuiltEnvironment:
    """Build without a database: what is complete on disk counts as published."""
    with cancellation_token() as alive:
        return build_environment(
            toolchain,
            BuildOrder(spec, folder, modules, **options),
            already_built=lambda lock: toolchain.environments.find(lock.digest),
            packing=packing,
            publish=lambda built: None,
            progress=progress,
            alive=alive,
        )
