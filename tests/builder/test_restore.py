"""Restore environments on another machine: from real wheels, with uv and virtualenv, without a package index."""

import fcntl
import io
import json
import os
import select
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

import pytest

from builder.build_run import BuildLog
from builder.environment_files.pip_lines import PipLine
from builder.environment_files.requirements import RequirementPolicy, collect_requirements
from builder.toolchain import this_platform
from builder.wheels.installed import _for_any_interpreter
from builder.wheels.wheel_store import WheelStore
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, PackageSources
from modelyard.core.environments.folder import BuiltEnvironment
from tests.builder.conftest import Recorder, build, spec_from
from tests.builder.machines import Machine, distributions, files, other_machine, run
from tests.builder.packages import PackageIndex, make_wheel, served, store_packed

BACKEND = """
import base64, hashlib, zipfile
def build_wheel(folder, settings=None, metadata=None):
    name = "fromsource-1.0-py3-none-any.whl"
    files = {
        "fromsource.py": "WORD = 'built'",
        "fromsource-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: fromsource\\nVersion: 1.0\\n",
        "fromsource-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "fromsource-1.0.dist-info/RECORD": "fromsource.py,,\\n",
    }
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
"""
ALPHA = "def main():\n    print('hello')\n"
EQUIPPED = {
    "equipped/__init__.py": "",
    "equipped-1.0.data/scripts/own-tool": "#!python\nimport equipped, sys\nprint(sys.prefix)\n",
    "equipped-1.0.data/scripts/shell-tool": "#!/bin/sh\necho shell\n",
    "equipped-1.0.data/data/share/equipped/words.txt": "words",
    "equipped-1.0.data/headers/equipped.h": "int equipped;",
    "equipped-1.0.data/purelib/beside.py": "BESIDE = 1",
}
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "fromsource"
version = "1.0"
"""


@pytest.fixture
def store(passable_folder) -> FolderStore:
    return FolderStore(passable_folder / "objects")


@pytest.fixture
def machine(passable_folder, session_data_dir) -> Machine:
    return other_machine(passable_folder, session_data_dir)


@pytest.fixture
def packed(isolated_toolchain, store, progress) -> Callable[..., BuiltEnvironment]:
    """Build an environment as a builder does, and pack the packages into the object store."""

    def make(spec: EnvironmentSpec, **options) -> BuiltEnvironment:
        wheels = WheelStore(store, work=isolated_toolchain.work, fetched=isolated_toolchain.wheels)
        return build(isolated_toolchain, spec, progress, packing=wheels.packing, **options)

    return make


@dataclass(frozen=True)
class Pair:
    built: BuiltEnvironment
    again: BuiltEnvironment


@pytest.fixture(scope="module")
def pair(session_data_dir, toolchain, tmp_path_factory) -> Pair:
    """An environment with every kind of package, built here and restored on another machine."""
    folder = session_data_dir.root / tmp_path_factory.mktemp("pair").name
    folder.mkdir(mode=0o711)
    wheels = WheelStore(FolderStore(folder / "objects"), work=toolchain.work, fetched=toolchain.wheels)
    with served(PackageIndex(tmp_path_factory.mktemp("index"))) as index:
        model = tmp_path_factory.mktemp("model")
        make_source_archive(folder / "source")
        spec = spec_of_every_kind(index, model, folder / "source")
        built = build(toolchain, spec, Recorder(), packing=wheels.packing, folder=model)
    return Pair(built, other_machine(folder, session_data_dir).restore(built.lock.digest))


def spec_of_every_kind(index: PackageIndex, model: Path, source: Path) -> EnvironmentSpec:
    entry_points = "[console_scripts]\nalpha-says = alpha:main\n"
    index.add("alpha", modules={"alpha.py": ALPHA, "alpha-1.0.dist-info/entry_points.txt": entry_points})
    index.add("equipped", modules=EQUIPPED)
    index.add("one", modules={"space/one.py": "", "one.pth": "import sys; sys.from_a_path_file = True\n"})
    index.add("two", modules={"space/two.py": ""}, unrecorded={"space/deep/three.py": "", "four.py": ""})
    make_wheel(model, "ours", code="WORD = 'ours'")
    asked = collect_requirements(
        model, model, (PipLine("ours-1.0-py3-none-any.whl", "conda.yaml"),), RequirementPolicy()
    )
    return EnvironmentSpec(
        "3.11",
        ("alpha", "equipped", "one", "two", "fromsource", *asked.lines),
        sources=PackageSources(index_url=index.url, find_links=(str(source),)),
        local_files=asked.local_files,
    )


def make_source_archive(folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(folder / "fromsource-1.0.tar.gz", "w:gz") as archive:
        for name, text in {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "PKG-INFO": ""}.items():
            member = tarfile.TarInfo(f"fromsource-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


class TestRestoredEnvironment:
    def test_restored_environment_has_the_same_lock_distributions_and_files(self, pair):
        assert pair.again.lock == pair.built.lock
        assert pair.again.folder != pair.built.folder
        assert distributions(pair.again) == distributions(pair.built)
        assert files(pair.again) == files(pair.built)

    def test_console_scripts_name_the_restored_interpreter(self, pair):
        assert run(pair.again, program="alpha-says") == "hello\n"
        assert str(pair.again.folder) in (pair.again.folder / "bin" / "alpha-says").read_text()

    def test_scripts_headers_and_data_files_keep_their_places(self, pair):
        again = pair.again
        assert run(again, program="own-tool").strip() == str(again.folder)
        assert run(again, program="shell-tool") == "shell\n"
        assert (again.folder / "share" / "equipped" / "words.txt").read_text() == "words"
        assert [path.name for path in again.folder.rglob("*.h")] == ["equipped.h"]
        assert run(again, "-c", "import beside; print(beside.BESIDE)") == "1\n"

    def test_namespace_packages_pth_files_and_unrecorded_files_are_restored(self, pair):
        code = "import sys, four, space.one, space.two, space.deep.three; print(sys.from_a_path_file)"
        assert run(pair.again, "-c", code) == "True\n"

    def test_package_built_from_source_is_restored(self, pair):
        assert run(pair.again, "-c", "import fromsource; print(fromsource.WORD)") == "built\n"

    def test_wheel_of_the_model_is_restored(self, pair):
        assert run(pair.again, "-c", "import ours; print(ours.WORD)") == "ours\n"

    def test_restored_packages_are_compiled_and_read_only_for_workers(self, pair):
        (module,) = pair.again.folder.rglob("ours/__init__.py")
        assert module.stat().st_mode & 0o777 == 0o644
        assert list(module.parent.glob("__pycache__/*.pyc"))


class TestPacking:
    def test_stored_wheel_is_not_packed_again(self, packed, store, index):
        for name in ("alpha", "beta"):
            index.add(name)
        packed(spec_from(index, "alpha"))
        before = {key: store._path(key).stat().st_mtime_ns for key in store.list("wheels/")}
        packed(spec_from(index, "alpha", "beta"))
        after = {key: store._path(key).stat().st_mtime_ns for key in store.list("wheels/")}
        assert len(after) == 2
        assert before.items() <= after.items()

    def test_packing_the_same_package_twice_gives_the_same_bytes(
        self, packed, isolated_toolchain, store, index, tmp_path
    ):
        index.add("equipped", modules=EQUIPPED)
        built = packed(spec_from(index, "equipped"))
        other = FolderStore(tmp_path / "other-objects")
        for content in built.folder.rglob("equipped*"):
            os.utime(content, (1, 1))
        with WheelStore(other, work=isolated_toolchain.work, fetched=isolated_toolchain.wheels).packing(
            built, BuildLog(print)
        ):
            pass
        assert {key: b"".join(other.get(key)) for key in other.list("")} == {
            key: b"".join(store.get(key)) for key in store.list("")
        }

    def test_failed_build_stores_no_environment_document(self, packed, isolated_toolchain, store, index, tmp_path):
        index.add("alpha")
        built = packed(spec_from(index, "alpha"))
        other = FolderStore(tmp_path / "other-objects")
        wheels = WheelStore(other, work=isolated_toolchain.work, fetched=isolated_toolchain.wheels)
        with pytest.raises(ZeroDivisionError), wheels.packing(built, BuildLog(print)):
            raise ZeroDivisionError
        assert not wheels.has(built.lock.digest)
        assert list(other.list("environments/")) == []

    @pytest.mark.parametrize(
        "shebang",
        [
            "#!{python}\n",
            "#!{python}3\n",
            "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
        ],
    )
    def test_packed_script_names_no_interpreter_path(self, tmp_path, shebang):
        script = tmp_path / "tool"
        script.write_text(shebang.format(python=tmp_path / "bin" / "python") + "print()\n")
        assert _for_any_interpreter(script, tmp_path) == b"#!python\nprint()\n"

    @pytest.mark.parametrize("content", [b"#!/bin/sh\necho\n", b"\x7fELF", b""])
    def test_other_programs_are_packed_unchanged(self, tmp_path, content):
        script = tmp_path / "tool"
        script.write_bytes(content)
        assert _for_any_interpreter(script, tmp_path) is None


@pytest.fixture
def lock_hash(store, tmp_path) -> str:
    """The lock hash of a packed environment with a single package."""
    lock = EnvironmentLock("alpha==1.0\n", python_version(), this_platform())
    store_packed(store, lock, [make_wheel(tmp_path, "alpha")])
    return lock.digest


class TestFailedRestore:
    def test_damaged_wheel_fails_the_restore_by_its_hash(self, machine, store, lock_hash):
        (key,) = store.list("wheels/")
        whole = b"".join(store.get(key))
        store.put(key, [whole[:-1], b"x"])
        assert f"the package {key} in the object store is damaged" in machine.refusal(lock_hash)
        store.put(key, [whole])
        machine.restore(lock_hash)

    def test_missing_wheel_is_named_in_the_error(self, machine, store, lock_hash):
        (key,) = store.list("wheels/")
        store.delete(key)
        assert f"{key} is not in the object store" in machine.refusal(lock_hash)

    def test_document_of_another_environment_fails_the_restore(self, machine, store):
        lock = EnvironmentLock("", python_version(), this_platform())
        store_packed(store, lock, [])
        document = json.loads(b"".join(store.get(f"environments/{lock.digest}.json")))
        store.put(f"environments/{lock.digest}.json", [json.dumps({**document, "text": "x==1"}).encode()])
        assert "is damaged" in machine.refusal(lock.digest)

    @pytest.mark.parametrize("platform", ["linux-riscv-glibc2.1", "darwin-arm64", "linux-x86_64-musl1.2", "future"])
    def test_environment_of_another_platform_is_refused(self, machine, store, platform):
        if platform == "future":
            platform = f"{this_platform().rpartition('glibc')[0]}glibc99.1"
        lock = EnvironmentLock("", python_version(), platform)
        store_packed(store, lock, [])
        refusal = machine.refusal(lock.digest)
        assert f"built on {platform} and cannot run on this machine, which is {this_platform()}" in refusal

    def test_environment_of_an_older_c_library_is_restored(self, machine, store):
        lock = EnvironmentLock("", python_version(), f"{this_platform().rpartition('glibc')[0]}glibc2.2")
        store_packed(store, lock, [])
        assert machine.restore(lock.digest).lock == lock

    def test_missing_interpreter_is_named_with_the_version_to_install(self, machine, store):
        lock = EnvironmentLock("", "3.5.1", this_platform())
        store_packed(store, lock, [])
        assert "no Python 3.5 on this machine" in (refusal := machine.refusal(lock.digest))
        assert "install Python 3.5" in refusal


class TestInterruption:
    def test_killed_restore_leaves_no_environment_and_the_next_restore_completes(self, machine, lock_hash):
        program = machine.start(lock_hash)
        waiting = threading.Event()
        while not list(machine.data_dir.environments.glob("*-*/bin/python")):
            assert program.poll() is None, program.communicate()
            waiting.wait(0.002)
        program.kill()
        program.communicate()
        assert machine.environments.all() == []
        again = machine.restore(lock_hash)
        assert machine.start(lock_hash).communicate()[0] == f"{again.name}\n"
        assert list(machine.data_dir.environments.iterdir()) == [again.folder]

    def test_restores_at_the_same_time_make_one_environment(self, machine, lock_hash):
        with at_work_on(machine, lock_hash):
            programs = [machine.start(lock_hash) for _ in range(3)]
            for program in programs:
                assert "another process on this machine is restoring this environment" in line_of(program)
        outputs = [program.communicate()[0].splitlines() for program in programs]
        (made,) = machine.environments.all()
        assert [output[-1] for output in outputs] == [made.name] * 3
        assert sorted(len(output) for output in outputs)[:2] == [1, 1]


@contextmanager
def at_work_on(machine: Machine, lock_hash: str) -> Iterator[None]:
    """Stand in for another process that restores the environment for the length of the block."""
    folder = machine.data_dir.package_cache / "restoring"
    folder.mkdir()
    with (folder / lock_hash).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def line_of(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    assert select.select([program.stdout], [], [], 60)[0], "it says nothing"
    return program.stdout.readline()
