"""The two distributions of this repository: `modelyard`, the light client, and `modelyard-server`, the planes."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PLANES = {"control_plane", "data_plane", "builder", "migrations"}
UV = [sys.executable, "-m", "uv", "--no-progress", "--quiet"]
IMPORT_ALL = """
import importlib, pkgutil, modelyard.cli, modelyard.client
for package in (modelyard.cli, modelyard.client):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
"""


def project(folder: str) -> dict[str, Any]:
    document = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    return document["project"]


def files_of(*packages: str) -> set[str]:
    """The paths of the packages' files, without caches."""
    paths = (path for package in packages for path in (ROOT / package).rglob("*") if path.is_file())
    caches = {"__pycache__", ".ruff_cache"}
    return {str(path.relative_to(ROOT)) for path in paths if not caches.intersection(path.parts)}


def files_in(wheel: Path) -> set[str]:
    return {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both wheels as the Dockerfile does. Returns the wheels by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, ROOT / "server"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


class Environment:
    """A virtual environment of a user."""

    def __init__(self, folder: Path, *requirements: str | Path) -> None:
        self.bin = folder / "bin"
        subprocess.run([*UV, "venv", "--python", sys.executable, folder], check=True)
        self.install(*requirements)

    def install(self, *requirements: str | Path) -> None:
        self._uv_pip("install", *requirements)

    def versions(self) -> dict[str, str]:
        return {entry["name"]: entry["version"] for entry in json.loads(self._uv_pip("list", "--format", "json"))}

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.bin / program, *arguments], capture_output=True, text=True, check=False)

    def _uv_pip(self, verb: str, *arguments: str | Path) -> str:
        command = [*UV, "pip", verb, "--python", self.bin / "python", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def client_alone(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install modelyard` brings to an empty environment."""
    return Environment(tmp_path_factory.mktemp("client"), wheels["modelyard"])


class TestWheels:
    def test_client_wheel_holds_the_package_modelyard_and_no_other(self, wheels):
        assert files_in(wheels["modelyard"]) == files_of("modelyard")

    def test_server_wheel_holds_the_planes_and_nothing_of_the_client(self, wheels):
        assert files_in(wheels["modelyard_server"]) == files_of(*PLANES)

    def test_both_wheels_carry_the_license(self, wheels):
        for wheel in wheels.values():
            licenses = [name for name in ZipFile(wheel).namelist() if name.endswith(".dist-info/licenses/LICENSE")]
            assert [ZipFile(wheel).read(name) for name in licenses] == [(ROOT / "LICENSE").read_bytes()]

    def test_server_and_client_require_each_other_in_the_same_version(self):
        client, server = project("."), project("server")
        assert client["version"] == server["version"]
        assert client["optional-dependencies"]["server"] == [f"modelyard-server=={server['version']}"]
        assert f"modelyard=={client['version']}" in server["dependencies"]

    def test_server_wheel_built_from_its_source_distribution_holds_the_planes(self, tmp_path):
        build = f"from hatchling.build import build_sdist; print(build_sdist({str(tmp_path)!r}))"
        made = subprocess.run(
            [sys.executable, "-c", build], cwd=ROOT / "server", capture_output=True, text=True, check=True
        )
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
        archive = tmp_path / made.stdout.strip()
        subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", tmp_path, archive], check=True)
        [wheel] = tmp_path.glob("*.whl")
        assert files_in(wheel) == files_of(*PLANES)


class TestClientInAnEnvironment:
    def test_client_beside_the_newest_mlflow_adds_packages_and_changes_none(self, wheels, tmp_path):
        environment = Environment(tmp_path / "mlflow", "mlflow")
        before = environment.versions()
        environment.install(wheels["modelyard"])
        after = environment.versions()
        added = after.keys() - before.keys()
        declared = {Requirement(requirement).name for requirement in project(".")["dependencies"]}
        assert {name: after[name] for name in before} == before
        assert "modelyard" in added
        assert "modelyard-server" not in added
        assert declared <= after.keys()

    def test_every_module_of_the_client_imports_without_the_server(self, client_alone):
        done = client_alone.run("python", "-I", "-W", "error", "-c", IMPORT_ALL)
        assert (done.returncode, done.stderr) == (0, "")

    def test_up_without_the_server_names_the_command_that_installs_it(self, client_alone):
        for command in ("up", "migrate"):
            done = client_alone.run("modelyard", command)
            assert done.returncode == 1
            assert done.stderr == ("error: the server of Modelyard is not installed: pip install 'modelyard[server]'\n")
