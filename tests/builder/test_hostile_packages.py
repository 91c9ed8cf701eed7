"""Packages whose code runs during a build: what the code can reach, and what is left of it afterwards."""

import io
import json
import os
import tarfile
import time
from pathlib import Path

import pytest

from builder.accounts import BuilderAccounts
from builder.errors import InstallFailed
from builder.toolchain import BuildToolchain
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.environment_spec import LOCAL_FILES_VARIABLE, EnvironmentSpec, PackageSources
from tests.builder.conftest import Recorder, build, builder_accounts_of, open_isolated, spec_from

# Runs in a package's code, and tells what the code reaches.
SPY = """
import glob, json, os
def found():
    def reads(path):
        try:
            with open(path) as file:
                return file.read() or "empty"
        except OSError as error:
            return type(error).__name__
    def writes(folder):
        try:
            os.close(os.open(f"{folder}/written", os.O_CREAT | os.O_WRONLY))
            return True
        except OSError:
            return False
    return {
        "uid": os.getuid(),
        "secret": reads(%(secret)r),
        "home": reads(%(home)r),
        "model": reads(%(model)r),
        "platform environ": reads("/proc/%(platform)d/environ"),
        "writes": [folder for folder in (%(cache)r, %(environments)r, %(other)r) if writes(folder)],
        "variables": sorted(os.environ),
        "no new privileges": reads("/proc/self/status").partition("NoNewPrivs:")[2].split()[0],
    }
"""

BACKEND = """
import json, os, zipfile
PID = []
%(spy)s
def build_wheel(folder, settings=None, metadata=None):
    %(deed)s
    name = "fromsource-1.0-py3-none-any.whl"
    files = {
        "fromsource.json": json.dumps({**found(), "pid": sum(PID)}),
        "fromsource-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: fromsource\\nVersion: 1.0\\n",
        "fromsource-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "fromsource-1.0.dist-info/entry_points.txt": "[console_scripts]\\nfromsource-tool = json:tool\\n",
        "fromsource-1.0.dist-info/RECORD": "fromsource.json,,\\n",
    }
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "fromsource"
version = "1.0"
"""
DAEMON = """reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon == 0:
            import time
            for descriptor in range(3):
                os.close(descriptor)
            time.sleep(300)
        os.write(writer, str(daemon).encode())
        os._exit(0)
    PID.append(int(os.read(reader, 20)))"""
LINK = """for place in glob.glob("/proc/[0-9]*/cmdline"):
        words = open(place, "rb").read().decode(errors="replace").split(chr(0))
        for word in words:
            if "/environments/" in word and word.endswith("/bin/python"):
                for site in glob.glob(word[: -len("bin/python")] + "lib/python3*/site-packages"):
                    try:
                        os.symlink(%r, site + "/stolen.py")
                    except OSError:
                        pass"""


@pytest.fixture(params=["accounts and sandbox", "sandbox alone"])
def confined(request, own_data_dir: DataDir, toolchain: BuildToolchain) -> BuildToolchain:
    """The toolchain as root makes it, and as an ordinary user makes it: there the sandbox alone protects.

    Also in the second, root runs the tests: what the sandbox refuses, it refuses to root.
    """
    is_root_only = request.param == "accounts and sandbox"
    if is_root_only and os.getuid() != 0:
        pytest.skip("accounts of their own need a platform that runs as root")
    accounts = builder_accounts_of(own_data_dir) if is_root_only else BuilderAccounts()
    made = open_isolated(own_data_dir, toolchain, accounts)
    assert made.sandbox is not None
    if not is_root_only and made.sandbox.kernel.landlock == 0:
        pytest.skip("the kernel has no Landlock, and docs/security.md says what does not hold then")
    return made


@pytest.fixture
def data_dir(own_data_dir: DataDir) -> DataDir:
    return own_data_dir


@pytest.fixture
def spy(data_dir: DataDir) -> str:
    data_dir.secrets.mkdir(exist_ok=True)
    data_dir.master_key.write_text("hunter2")
    data_dir.master_key.chmod(0o600)
    (data_dir.models / "other").mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir.models / "other" / "MLmodel").write_text("hunter2")
    other = data_dir.environments / "0000000000000000-1"
    other.mkdir(exist_ok=True)
    (other / "complete").write_text("{}")
    return SPY % {
        "secret": str(data_dir.master_key),
        "home": str(Path.home() / ".bash_history"),
        "model": str(data_dir.models / "other" / "MLmodel"),
        "platform": os.getpid(),
        "cache": str(data_dir.package_cache / "uv"),
        "environments": str(data_dir.environments),
        "other": str(other),
    }


def source_archive(folder: Path, backend: str) -> Path:
    folder.mkdir(mode=0o755)
    with tarfile.open(folder / "fromsource-1.0.tar.gz", "w:gz") as archive:
        for name, text in {"pyproject.toml": PYPROJECT, "backend.py": backend, "PKG-INFO": ""}.items():
            member = tarfile.TarInfo(f"fromsource-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return folder


def source_spec(links: Path, *requirements: str) -> EnvironmentSpec:
    return EnvironmentSpec(
        "3.11",
        ("fromsource", *requirements),
        sources=PackageSources(find_links=(str(links),), no_index=True),
    )


def is_running(pid: int) -> bool:
    """A zombie, whose parent has not asked for its end yet, runs no code."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "\nState:\tZ" not in status


def check_confined(found: dict, toolchain: BuildToolchain) -> None:
    assert found["secret"] in {"PermissionError", "FileNotFoundError"}
    assert found["home"] in {"PermissionError", "FileNotFoundError"}
    assert found["model"] in {"PermissionError", "FileNotFoundError"}
    if found["uid"] != 0:
        # Landlock leaves root the memory and environment of other processes: root's builds have accounts.
        assert found["platform environ"] in {"PermissionError", "FileNotFoundError"}
    assert found["writes"] == []
    assert found["no new privileges"] == "1"
    ours = [name for name in found["variables"] if name.startswith(("MODELYARD_", "AWS_", "PG"))]
    assert ours in ([], [LOCAL_FILES_VARIABLE])
    if toolchain.accounts.pool is not None:
        assert found["uid"] in toolchain.accounts.pool.numbers


class TestCodeOfPackages:
    def test_source_distribution_is_built_by_an_account_that_reaches_nothing(self, confined, data_dir, progress, spy):
        links = source_archive(data_dir.root / "links", BACKEND % {"spy": spy, "deed": "pass"})
        built = build(confined, source_spec(links), progress)
        (file,) = built.folder.glob("lib/python3*/site-packages/fromsource.json")
        check_confined(json.loads(file.read_text()), confined)
        if confined.accounts.installer is not None:
            assert file.stat().st_uid == confined.accounts.installer
            assert built.folder.stat().st_uid == 0
        assert os.access(built.folder / "bin" / "fromsource-tool", os.X_OK)

    def test_daemon_of_a_source_distribution_ends_with_the_build(self, confined, data_dir, progress, spy):
        links = source_archive(data_dir.root / "links", BACKEND % {"spy": spy, "deed": DAEMON})
        built = build(confined, source_spec(links), progress)
        (file,) = built.folder.glob("lib/python3*/site-packages/fromsource.json")
        daemon = json.loads(file.read_text())["pid"]
        deadline = time.monotonic() + 10
        while is_running(daemon) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(daemon)

    def test_link_of_a_source_distribution_to_a_secret_fails_the_build(self, confined, data_dir, progress, spy):
        deed = LINK % str(data_dir.master_key)
        links = source_archive(data_dir.root / "links", BACKEND % {"spy": spy, "deed": deed})
        with pytest.raises(InstallFailed, match=r"stolen\.py as a link out of the environment"):
            build(confined, source_spec(links), progress)

    def test_path_file_of_a_wheel_runs_in_the_import_check_alone_and_reaches_nothing(
        self, confined, data_dir, index, progress, spy
    ):
        program = f"import json; exec({spy!r}, globals()); print('PTH ' + json.dumps(found()), flush=True)"
        index.add("sly", modules={"sly.py": "", "sly.pth": program + "\n", "usercustomize.py": "print('CUSTOM')"})
        index.add("custom", modules={"sitecustomize.py": "import os; print('SITE', os.getuid(), flush=True)"})
        build(confined, spec_from(index, "sly", "custom"), progress, modules=("sly",))
        runs = [json.loads(line.partition("PTH ")[2]) for line in progress.lines if "PTH " in line]
        # Python runs a path file once for each of its folders of packages: lib and, a link to it, lib64.
        assert 1 <= len(runs) <= 2
        for found in runs:
            check_confined(found, confined)
        sites = [line for line in progress.lines if line.startswith("SITE ")]
        assert sites == [f"SITE {runs[0]['uid']}"]
        assert progress.lines.index(sites[0]) > progress.lines.index("step: checking")


def test_packages_are_compiled_without_any_code_of_the_environment(isolated_toolchain, index, progress: Recorder):
    index.add("sly", modules={"sly.py": "x = 1", "sly.pth": "import sys; print('PTH', sys.argv, flush=True)\n"})
    built = build(isolated_toolchain, spec_from(index, "sly"), progress)
    assert list(built.folder.glob("lib/python3*/site-packages/__pycache__/sly.*.pyc"))
    assert not [line for line in progress.lines if "compileall" in line]
