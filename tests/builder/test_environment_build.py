"""Build environments with uv, virtualenv and the interpreters of the machine, from small generated packages."""

import os
import select
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.version import Version

from builder.build_run import BuildCancelled, BuildLog, BuildRun, cancellation_token
from builder.environment_build import BuildOrder, build_environment
from builder.environment_files.pip_lines import PipLine
from builder.environment_files.requirements import RequirementPolicy, collect_requirements
from builder.errors import ImportCheckFailed, InstallFailed, ResolutionFailed
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources
from modelyard.core.domain.outgoing_urls import UrlPolicy
from tests.builder.conftest import WORKER_USER, DiskRegistry, build, spec_from, versions
from tests.builder.packages import make_wheel

CREATED = datetime(2021, 6, 1, tzinfo=UTC)


def no_unfinished_environment(toolchain) -> bool:
    toolchain.environments.remove_abandoned()
    return toolchain.environments.all() == [] and not any(toolchain.environments._root.iterdir())


class TestBuilding:
    def test_environment_has_exactly_the_resolved_packages(self, isolated_toolchain, index, progress):
        index.add("alpha", "1.0", requires=["beta>=1"])
        index.add("beta", "1.5")
        index.add("beta", "2.0")
        built = build(
            isolated_toolchain, spec_from(index, "alpha", constraints=("beta<2",)), progress, modules=("alpha", "beta")
        )
        assert versions(isolated_toolchain, built) == {"alpha": "1.0", "beta": "1.5"}
        assert "--hash=sha256:" in built.lock.text
        assert progress.steps == ["resolving", "installing", "checking"]
        assert built.folder.name.startswith(built.lock.digest[:16])
        assert subprocess.run([built.python, "-c", "import alpha, beta"], check=False).returncode == 0

    def test_two_specs_with_the_same_lock_are_built_once(self, isolated_toolchain, index, progress):
        index.add("alpha")
        first = build(isolated_toolchain, spec_from(index, "alpha"), progress, modules=("alpha",))
        second = build(isolated_toolchain, spec_from(index, "alpha==1.0"), progress, modules=("alpha",))
        assert first.folder == second.folder
        assert progress.steps == ["resolving", "installing", "checking", "resolving"]

    def test_known_lock_is_installed_without_resolving(self, isolated_toolchain, index, progress):
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

    def test_log_notes_another_patch_version_once(self, isolated_toolchain, index, progress):
        index.add("alpha")
        build(isolated_toolchain, spec_from(index, "alpha", asked_patch="3.11.99"), progress, modules=("alpha",))
        assert progress.log.count("asked for Python 3.11.99, using 3.11.") == 1

    def test_every_supported_python_of_the_machine_gets_an_environment(self, isolated_toolchain, index, progress):
        index.add("alpha")
        minors = [minor for minor in isolated_toolchain.interpreters.minors() if Version(minor) >= Version("3.8")]
        assert minors
        for minor in minors:
            built = build(isolated_toolchain, spec_from(index, "alpha", python=minor), progress, modules=("alpha",))
            assert built.lock.python.startswith(f"{minor}.")


class TestIndexes:
    def test_best_version_of_all_indexes_is_taken_in_either_order(
        self, isolated_toolchain, index, other_index, progress
    ):
        index.add("alpha", "1.0")
        other_index.add("alpha", "2.0")
        for first, second in ((index, other_index), (other_index, index)):
            sources = PackageSources(index_url=first.url, extra_index_urls=(second.url,))
            built = build(
                isolated_toolchain, EnvironmentSpec("3.11", ("alpha",), sources=sources), progress, modules=("alpha",)
            )
            assert versions(isolated_toolchain, built) == {"alpha": "2.0"}

    def test_prerelease_is_taken_with_pre(self, isolated_toolchain, index, progress):
        index.add("alpha", "1.0")
        index.add("alpha", "2.0rc1")
        sources = PackageSources(index_url=index.url, pre=True)
        built = build(
            isolated_toolchain, EnvironmentSpec("3.11", ("alpha",), sources=sources), progress, modules=("alpha",)
        )
        assert versions(isolated_toolchain, built) == {"alpha": "2.0rc1"}

    def test_missing_find_links_folder_is_ignored_and_logged(self, isolated_toolchain, index, progress):
        index.add("alpha")
        sources = PackageSources(index_url=index.url, find_links=("/no/such/folder",))
        build(isolated_toolchain, EnvironmentSpec("3.11", ("alpha",), sources=sources), progress, modules=("alpha",))
        assert "find-links /no/such/folder does not exist; ignored" in progress.log

    def test_index_password_is_masked_in_log_and_error(self, isolated_toolchain, index, progress):
        url = index.url.replace("://", "://me:hush@")
        spec = EnvironmentSpec("3.11", ("nosuchpackage",), sources=PackageSources(index_url=url))
        with pytest.raises(ResolutionFailed) as failure:
            build(isolated_toolchain, spec, progress)
        assert "hush" not in progress.log + failure.value.message


class TestLocalWheels:
    def test_wheel_of_the_model_is_locked_by_content_and_not_by_path(
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
        asked = collect_requirements(folder, folder, lines, RequirementPolicy(urls=UrlPolicy.parse("127.0.0.1")))
        spec = EnvironmentSpec("3.11", asked.lines, sources=asked.sources, local_files=asked.local_files)
        built = build(isolated_toolchain, spec, progress, modules=("mine", "beta", "hidden"), folder=folder)
        assert "${MODELYARD_WHEELS}/" in built.lock.text
        assert str(folder) not in built.lock.text
        assert "hidden==1.0" in built.lock.text


class TestFailures:
    def test_unsatisfiable_requirements_fail_with_the_resolver_sentence(self, isolated_toolchain, index, progress):
        index.add("alpha", requires=["beta<2"])
        index.add("beta", "2.0")
        with pytest.raises(ResolutionFailed, match=r"^Because .*beta.*unsatisfiable\.$"):
            build(isolated_toolchain, spec_from(index, "alpha", "beta==2.0"), progress)
        assert no_unfinished_environment(isolated_toolchain)

    def test_locked_package_without_a_matching_file_fails_the_install(self, isolated_toolchain, index, progress):
        index.add("alpha")
        lock = f"alpha==1.0 --hash=sha256:{'0' * 64}\n"
        with pytest.raises(InstallFailed, match="alpha"):
            build(isolated_toolchain, spec_from(index, "alpha"), progress, known_lock=lock)
        assert no_unfinished_environment(isolated_toolchain)

    def test_failed_import_check_logs_the_line_to_change_last(self, isolated_toolchain, index, progress):
        index.add("alpha", code="import sklearn\n")
        with pytest.raises(ImportCheckFailed) as failure:
            build(
                isolated_toolchain,
                spec_from(index, "alpha==1.0"),
                progress,
                modules=("alpha",),
                model_created_at=CREATED,
            )
        assert "importing alpha fails: ModuleNotFoundError: No module named 'sklearn'" in failure.value.message
        assert progress.lines[-1].endswith('In conda.yaml: add "scikit-learn" under pip:')
        assert no_unfinished_environment(isolated_toolchain)

    def test_failed_import_check_names_the_failing_module_of_several(self, isolated_toolchain, index, progress):
        index.add("alpha", code="import sklearn\n")
        index.add("beta")
        with pytest.raises(ImportCheckFailed, match="importing alpha fails: ModuleNotFoundError"):
            build(isolated_toolchain, spec_from(index, "alpha", "beta"), progress, modules=("alpha", "beta"))

    def test_module_that_crashes_the_interpreter_is_named(self, isolated_toolchain, index, progress):
        index.add("alpha", code="import os\nos.abort()\n")
        with pytest.raises(ImportCheckFailed, match="importing alpha fails: the interpreter ended without a message"):
            build(isolated_toolchain, spec_from(index, "alpha"), progress, modules=("alpha",))


class TestDrift:
    """An unpinned requirement resolves to a package released after the model's creation."""

    @pytest.fixture
    def drifting(self, index):
        index.add("alpha", requires=["beta"], code="import beta\nbeta.old_name\n")
        index.add("beta", "1.0", at="2021-01-01T00:00:00Z", code="old_name = 1\n")
        index.add("beta", "2.0", at="2022-01-01T00:00:00Z")
        return index

    def test_failed_check_resolves_again_as_of_the_model_creation(self, isolated_toolchain, drifting, progress):
        built = build(
            isolated_toolchain,
            spec_from(drifting, "alpha==1.0"),
            progress,
            modules=("alpha",),
            model_created_at=CREATED,
        )
        assert versions(isolated_toolchain, built) == {"alpha": "1.0", "beta": "1.0"}
        assert "resolving as of 2021-06-01 00:00:00 UTC, when the model was made" in progress.log
        assert progress.steps == ["resolving", "installing", "checking"] * 2
        assert isolated_toolchain.environments.all() == [built]

    def test_failed_check_without_a_model_creation_time_fails_the_build(self, isolated_toolchain, drifting, progress):
        with pytest.raises(ImportCheckFailed, match="old_name"):
            build(isolated_toolchain, spec_from(drifting, "alpha==1.0"), progress, modules=("alpha",))

    def test_failed_check_with_all_versions_pinned_fails_the_build(self, isolated_toolchain, drifting, progress):
        spec = spec_from(drifting, "alpha==1.0", "beta==2.0")
        with pytest.raises(ImportCheckFailed):
            build(isolated_toolchain, spec, progress, modules=("alpha",), model_created_at=CREATED)
        assert progress.steps == ["resolving", "installing", "checking"]

    def test_first_failure_is_reported_when_that_day_has_no_solution(self, isolated_toolchain, drifting, progress):
        early = datetime(2019, 1, 1, tzinfo=UTC)
        with pytest.raises(ImportCheckFailed, match="old_name"):
            build(
                isolated_toolchain, spec_from(drifting, "alpha"), progress, modules=("alpha",), model_created_at=early
            )
        assert "as of that day no versions satisfy the requirements" in progress.log


class TestCancellation:
    """A package whose import never ends stands for any long step."""

    @pytest.fixture
    def endless(self, index):
        index.add("endless", code="import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(600)\n")
        return index

    def test_cancelled_build_ends_its_programs_and_removes_the_environment(self, isolated_toolchain, endless, progress):
        with cancellation_token() as token:

            def cancel_when_the_check_runs(line: str) -> None:
                progress.lines.append(line)
                if line.startswith("pid "):
                    threading.Thread(target=token.cancel).start()

            log = BuildLog(cancel_when_the_check_runs)
            order = BuildOrder(spec_from(endless, "endless"), Path("/nonexistent"), ("endless",))
            registry = DiskRegistry(isolated_toolchain, log)
            with pytest.raises(BuildCancelled):
                build_environment(isolated_toolchain, order, registry, BuildRun(log, token))
        assert not _runs(_pid(progress.lines))
        assert no_unfinished_environment(isolated_toolchain)

    def test_programs_end_with_a_killed_builder(self, isolated_toolchain, endless, tmp_path):
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
        # The shim closes the output when the whole process group has ended.
        assert killed.stdout.read() == ""
        killed.stdout.close()
        wait_for_end(_pid(lines))
        assert no_unfinished_environment(isolated_toolchain)


_BUILD = """
import os, sys
from pathlib import Path
from builder.build_run import BuildLog
from builder.composition import open_toolchain
from modelyard.core.data_dir import DataDir
from tests.builder.conftest import LOOPBACK_INDEXES, WORKER_USER, Recorder, build, builder_accounts_of
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources

class Printed(Recorder):
    def build_log(self):
        return BuildLog(lambda line: print(line, flush=True))

del os.environ["UV_CACHE_DIR"]
toolchain = open_toolchain(
    DataDir(Path(sys.argv[1])),
    environ=os.environ,
    home=Path.home(),
    worker_user=WORKER_USER,
    requirements=LOOPBACK_INDEXES,
    accounts=builder_accounts_of(DataDir(Path(sys.argv[1]))),
)
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
