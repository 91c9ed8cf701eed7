"""Making environments for real: uv, virtualenv and interpreters, of packages that are made in a moment."""

import os
import select
import stat
import subprocess
import sys
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.version import Version

from builder.environment_build import BuildOrder, build_environment
from builder.environment_files.pip_lines import PipLine
from builder.environment_files.requirements import collect
from builder.errors import ImportCheckFailed, InstallFailed, ResolutionFailed
from builder.supervised_process import BuildCancelled, cancellation_token
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources
from tests.builder.conftest import WORKER_USER, build, spec_from
from tests.builder.packages import make_wheel

CREATED = datetime(2021, 6, 1, tzinfo=UTC)


def nothing_half_made(toolchain) -> bool:
    toolchain.environments.remove_abandoned()
    return toolchain.environments.all() == [] and not any(toolchain.environments._root.iterdir())


class TestBuilding:
    def test_an_environment_has_exactly_what_was_resolved(self, isolated_toolchain, index, progress):
        index.add("alpha", "1.0", requires=["beta>=1"])
        index.add("beta", "1.5")
        index.add("beta", "2.0")
        built = build(
            isolated_toolchain, spec_from(index, "alpha", constraints=("beta<2",)), progress, modules=("alpha", "beta")
        )
        assert built.lock.versions == {"alpha": "1.0", "beta": "1.5"}
        assert "--hash=sha256:" in built.lock.text
        assert progress.steps == ["resolving", "installing", "checking"]
        assert built.folder.name.startswith(built.lock.digest[:16])
        assert subprocess.run([built.python, "-c", "import alpha, beta"], check=False).returncode == 0

    def test_the_same_lock_is_built_once(self, isolated_toolchain, index, progress):
        index.add("alpha")
        first = build(isolated_toolchain, spec_from(index, "alpha"), progress, modules=("alpha",))
        second = build(isolated_toolchain, spec_from(index, "alpha==1.0"), progress, modules=("alpha",))
        assert first.folder == second.folder
        assert progress.steps == ["resolving", "installing", "checking", "resolving"]

    def test_a_known_lock_is_not_resolved_again(self, isolated_toolchain, index, progress):
        index.add("alpha", "1.0")
        index.add("alpha", "2.0")
        known = build(isolated_toolchain, spec_from(index, "alpha<2"), progress, modules=("alpha",)).lock
        again = build(
            isolated_toolchain, spec_from(index, "alpha"), progress, modules=("alpha",), known_lock=known.text
        )
        assert again.lock.digest == known.digest
        assert "known from an earlier build" in progress.log

    def test_packages_are_compiled_and_readable_for_workers_but_not_writable(self, isolated_toolchain, index, progress):
        index.add("alpha", code="x = 1\n")
        before = os.umask(0o077)
        try:
            built = build(isolated_toolchain, spec_from(index, "alpha"), progress, modules=("alpha",))
        finally:
            os.umask(before)
        (compiled,) = built.folder.glob("lib/python3.11/site-packages/alpha/__pycache__/*.pyc")
        for path in (compiled, compiled.parent, built.folder):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o044 == 0o044
            assert mode & 0o022 == 0
        answer = subprocess.run(
            [built.python, "-c", "import alpha"], check=False, cwd="/", env={}, user=WORKER_USER, group=WORKER_USER
        )
        assert answer.returncode == 0

    def test_another_patch_version_is_noted_in_the_log(self, isolated_toolchain, index, progress):
        index.add("alpha")
        build(isolated_toolchain, spec_from(index, "alpha", asked_patch="3.11.99"), progress, modules=("alpha",))
        assert "asked for Python 3.11.99, using 3.11." in progress.log

    def test_every_python_of_the_machine_gets_environments(self, isolated_toolchain, index, progress):
        index.add("alpha")
        minors = [minor for minor in isolated_toolchain.interpreters.minors() if Version(minor) >= Version("3.8")]
        assert minors
        for minor in minors:
            built = build(isolated_toolchain, spec_from(index, "alpha", python=minor), progress, modules=("alpha",))
            assert built.lock.python.startswith(f"{minor}.")


class TestIndexes:
    def test_the_best_version_of_all_indexes_counts_as_with_pip(self, isolated_toolchain, index, other_index, progress):
        index.add("alpha", "1.0")
        other_index.add("alpha", "2.0")
        for first, second in ((index, other_index), (other_index, index)):
            sources = PackageSources(index_url=first.url, extra_index_urls=(second.url,))
            built = build(
                isolated_toolchain, EnvironmentSpec("3.11", ("alpha",), sources=sources), progress, modules=("alpha",)
            )
            assert built.lock.versions == {"alpha": "2.0"}

    def test_prereleases_count_when_asked_for(self, isolated_toolchain, index, progress):
        index.add("alpha", "1.0")
        index.add("alpha", "2.0rc1")
        sources = PackageSources(index_url=index.url, pre=True)
        built = build(
            isolated_toolchain, EnvironmentSpec("3.11", ("alpha",), sources=sources), progress, modules=("alpha",)
        )
        assert built.lock.versions == {"alpha": "2.0rc1"}

    def test_find_links_that_do_not_exist_are_left_out_as_with_pip(self, isolated_toolchain, index, progress):
        index.add("alpha")
        sources = PackageSources(index_url=index.url, find_links=("/no/such/folder",))
        build(isolated_toolchain, EnvironmentSpec("3.11", ("alpha",), sources=sources), progress, modules=("alpha",))
        assert "find-links /no/such/folder does not exist; left out" in progress.log

    def test_a_password_in_an_index_url_is_not_in_the_log(self, isolated_toolchain, index, progress):
        url = index.url.replace("://", "://me:hush@")
        spec = EnvironmentSpec("3.11", ("nosuchpackage",), sources=PackageSources(index_url=url))
        with pytest.raises(ResolutionFailed) as failure:
            build(isolated_toolchain, spec, progress)
        assert "hush" not in progress.log + failure.value.message


class TestLocalWheels:
    def test_are_installed_by_content_and_the_lock_names_no_path_of_the_machine(
        self, isolated_toolchain, index, progress, model_folder
    ):
        folder = model_folder()
        index.add("beta")
        make_wheel(folder / "wheels", "mine", requires=["beta"])
        make_wheel(folder / "more", "hidden")
        lines = [
            PipLine("./wheels/mine-1.0-py3-none-any.whl", "x"),
            PipLine("--find-links more", "x"),
            PipLine("hidden", "x"),
            PipLine(f"--index-url {index.url}", "x"),
        ]
        asked = collect(folder, folder, lines)
        spec = EnvironmentSpec("3.11", asked.lines, sources=asked.sources, local_files=asked.local_files)
        built = build(isolated_toolchain, spec, progress, modules=("mine", "beta", "hidden"), folder=folder)
        assert "${MODELYARD_WHEELS}/" in built.lock.text
        assert str(folder) not in built.lock.text
        assert "hidden==1.0" in built.lock.text


class TestFailures:
    def test_requirements_without_a_solution_fail_with_the_resolvers_sentence(
        self, isolated_toolchain, index, progress
    ):
        index.add("alpha", requires=["beta<2"])
        index.add("beta", "2.0")
        with pytest.raises(ResolutionFailed, match=r"^Because .*beta.*unsatisfiable\.$"):
            build(isolated_toolchain, spec_from(index, "alpha", "beta==2.0"), progress)
        assert nothing_half_made(isolated_toolchain)

    def test_a_package_that_vanished_since_it_was_locked_fails_the_install(self, isolated_toolchain, index, progress):
        index.add("alpha")
        lock = f"alpha==1.0 --hash=sha256:{'0' * 64}\n"
        with pytest.raises(InstallFailed, match="alpha"):
            build(isolated_toolchain, spec_from(index, "alpha"), progress, known_lock=lock)
        assert nothing_half_made(isolated_toolchain)

    def test_a_failed_check_ends_the_log_with_the_line_to_change(self, isolated_toolchain, index, progress):
        index.add("alpha", code="import sklearn\n")
        with pytest.raises(ImportCheckFailed) as failure:
            build(
                isolated_toolchain,
                spec_from(index, "alpha==1.0"),
                progress,
                modules=("alpha",),
                model_created_at=CREATED,
            )
        assert "alpha does not import in it: ModuleNotFoundError: No module named 'sklearn'" in failure.value.message
        assert progress.lines[-1].endswith('In conda.yaml: add "scikit-learn" under pip:')
        assert nothing_half_made(isolated_toolchain)


class TestDrift:
    """A requirement left open gets a release that did not exist when the model was made."""

    @pytest.fixture
    def drifting(self, index):
        index.add("alpha", requires=["beta"], code="import beta\nbeta.old_name\n")
        index.add("beta", "1.0", at="2021-01-01T00:00:00Z", code="old_name = 1\n")
        index.add("beta", "2.0", at="2022-01-01T00:00:00Z")
        return index

    def test_is_undone_by_resolving_as_of_the_models_creation(self, isolated_toolchain, drifting, progress):
        built = build(
            isolated_toolchain,
            spec_from(drifting, "alpha==1.0"),
            progress,
            modules=("alpha",),
            model_created_at=CREATED,
        )
        assert built.lock.versions == {"alpha": "1.0", "beta": "1.0"}
        assert "resolving once more as of 2021-06-01 00:00:00 UTC, when the model was made" in progress.log
        assert progress.steps == ["resolving", "installing", "checking"] * 2
        assert isolated_toolchain.environments.all() == [built]

    def test_stays_a_failure_when_the_day_is_not_known(self, isolated_toolchain, drifting, progress):
        with pytest.raises(ImportCheckFailed, match="old_name"):
            build(isolated_toolchain, spec_from(drifting, "alpha==1.0"), progress, modules=("alpha",))

    def test_is_not_looked_for_when_everything_is_pinned(self, isolated_toolchain, drifting, progress):
        spec = spec_from(drifting, "alpha==1.0", "beta==2.0")
        with pytest.raises(ImportCheckFailed):
            build(isolated_toolchain, spec, progress, modules=("alpha",), model_created_at=CREATED)
        assert progress.steps == ["resolving", "installing", "checking"]

    def test_shows_the_first_failure_when_that_day_has_no_solution(self, isolated_toolchain, drifting, progress):
        early = datetime(2019, 1, 1, tzinfo=UTC)
        with pytest.raises(ImportCheckFailed, match="old_name"):
            build(
                isolated_toolchain, spec_from(drifting, "alpha"), progress, modules=("alpha",), model_created_at=early
            )
        assert "as of that day there is no solution" in progress.log


class TestInterruption:
    """A package whose import waits for ever stands for any long step."""

    @pytest.fixture
    def endless(self, index):
        index.add("endless", code="import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(600)\n")
        return index

    def test_a_build_whose_lease_is_lost_ends_its_programs_and_leaves_nothing(
        self, isolated_toolchain, endless, progress
    ):
        with cancellation_token() as alive:
            say = progress.say

            def cut_when_it_runs(line: str) -> None:
                say(line)
                if line.startswith("pid "):
                    threading.Thread(target=alive.cancel).start()

            progress.say = cut_when_it_runs
            with pytest.raises(BuildCancelled):
                build_environment(
                    isolated_toolchain,
                    BuildOrder(spec_from(endless, "endless"), Path("/nonexistent"), ("endless",)),
                    already_built=lambda lock: isolated_toolchain.environments.find(lock.digest),
                    packing=lambda built, say: nullcontext(),
                    publish=lambda built: None,
                    progress=progress,
                    alive=alive,
                )
        assert not _runs(_pid(progress.lines))
        assert nothing_half_made(isolated_toolchain)

    def test_a_builder_that_is_killed_takes_its_programs_with_it(self, isolated_toolchain, endless, tmp_path):
        killed = subprocess.Popen(
            [sys.executable, "-c", _BUILD, str(isolated_toolchain.environments._root.parent), endless.url],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert killed.stdout is not None
        lines = []
        for line in killed.stdout:
            lines.append(line.strip())
            if line.startswith("pid "):
                break
        killed.kill()
        killed.wait()
        # The keeper closes its end of the output when everything it kept has ended.
        assert killed.stdout.read() == ""
        killed.stdout.close()
        wait_for_end(_pid(lines))
        assert nothing_half_made(isolated_toolchain)


_BUILD = """
import os, sys
from pathlib import Path
from builder.toolchain import open_toolchain
from modelyard.core.data_dir import DataDir
from tests.builder.conftest import Recorder, build
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources

class Printed(Recorder):
    def say(self, line):
        print(line, flush=True)

del os.environ["UV_CACHE_DIR"]
worker = 64042 if os.getuid() == 0 else None
toolchain = open_toolchain(DataDir(Path(sys.argv[1])), environ=os.environ, home=Path.home(), worker_user=worker)
spec = EnvironmentSpec("3.11", ("endless",), sources=PackageSources(index_url=sys.argv[2]))
build(toolchain, spec, Printed(), modules=("endless",))
"""


def _pid(lines: list[str]) -> int:
    return next(int(line.split()[1]) for line in lines if line.startswith("pid "))


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 10)[0], "the program outlived its builder"
    finally:
        os.close(descriptor)
