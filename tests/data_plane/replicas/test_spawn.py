import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.processes import identify
from data_plane.replicas.local.runtime import remove_strays
from data_plane.replicas.local.spawn import LaunchSettings, spawn, worker_accounts
from data_plane.replicas.local.worker_process import (
    WorkerProcess,
    find_all,
    kill,
    remove,
    wait_for_end,
)
from data_plane.replicas.port import ReplicaGone
from data_plane.scoring.payload.values import JsonPayload, JsonResult
from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.replicas.worker_harness import (
    IS_LINUX,
    PATIENCE,
    WorkerHarness,
    eventually,
    running_workers,
    stop,
)

WORKER_UIDS = range(64100, 65100)

INSPECTING = """
    import os, sys, stat

    def init():
        pass

    def run(input_data, params=None):
        if input_data == "environment":
            return dict(os.environ)
        if input_data == "where":
            return [os.getcwd(), os.getuid(), os.getgid(), os.getgroups(), sys.argv, os.getppid()]
        if input_data == "descriptors":
            return {number: kind(number) for number in range(64) if kind(number)}
        if isinstance(input_data, list):
            return [readable(path) for path in input_data]

    def kind(number):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            return None
        return "socket" if stat.S_ISSOCK(mode) else "other"

    def readable(path):
        try:
            os.listdir(path) if os.path.isdir(path) else open(path).close()
        except OSError as error:
            return type(error).__name__
        return "readable"
"""


def asked(connection: BlockingWorkerConnection, question: Any) -> Any:
    result = connection.score(JsonPayload(question), timeout=PATIENCE)
    assert isinstance(result, JsonResult)
    return json.loads(result.text)


class TestWorkerEnvironment:
    def test_variables_are_the_documented_ones_and_the_deployments_own(
        self, harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MODELYARD_DATABASE_URL", "postgresql://user:secret@localhost/db")
        worker, connection = harness.ready(
            INSPECTING, environment_variables={"COLOUR": "red", "TZ": "Europe/Oslo"}, threads=2
        )
        environment = asked(connection, "environment")
        assert environment.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
        assert environment == {
            "PATH": f"{harness.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(worker.folder),
            "TMPDIR": str(worker.folder),
            "USER": "modelyard",
            "LOGNAME": "modelyard",
            "LANG": "C.UTF-8",
            "TZ": "Europe/Oslo",
            "PYTHONUNBUFFERED": "1",
            "PYTHONNOUSERSITE": "1",
            "OMP_NUM_THREADS": "2",
            "OPENBLAS_NUM_THREADS": "2",
            "MKL_NUM_THREADS": "2",
            "AZUREML_MODEL_DIR": str(harness.data_dir.models),
            "AZUREML_ENTRY_SCRIPT": "score.py",
            "_MLFLOW_IS_IN_SERVING_ENVIRONMENT": "true",
            "COLOUR": "red",
        }

    def test_working_folder_is_private(self, harness: WorkerHarness) -> None:
        worker, connection = harness.ready(INSPECTING)
        assert asked(connection, "where")[0] == os.path.realpath(worker.folder)
        assert stat.S_IMODE(worker.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((worker.folder / "worker.json").stat().st_mode) == 0o600

    def test_worker_inherits_no_other_descriptor_than_its_listener(
        self, harness: WorkerHarness, tmp_path: Path
    ) -> None:
        with (tmp_path / "secret").open("w") as secret:
            os.set_inheritable(secret.fileno(), True)
            _, connection = harness.ready(INSPECTING)
            descriptors = asked(connection, "descriptors")
        # /dev/null on 0, the log on 1 and 2, and the worker's own: the listening socket, a connection, a socket pair
        # for wake-ups, and the selector.
        assert [descriptors.pop(number) for number in "012"] == ["other"] * 3
        assert sorted(descriptors.values()) == ["other", "socket", "socket", "socket", "socket"]

    def test_worker_does_not_inherit_the_lifeline_and_ends_with_it(self, harness: WorkerHarness) -> None:
        reader, writer = os.pipe()
        worker, connection = harness.ready(INSPECTING, launch={"lifeline_fd": reader})
        assert list(asked(connection, "descriptors").values()).count("other") == 4
        os.close(reader)
        os.close(writer)
        assert wait_for_end(worker, PATIENCE)
        assert exit_reason(worker) == "exited with code 0 (drained or told to stop)"


if IS_LINUX:

    class TestWorkerInProc:
        def test_no_secret_is_in_arguments_environment_or_descriptors(
            self, harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
        ) -> None:
            monkeypatch.setenv("MODELYARD_ADMIN_TOKEN", "very-secret")
            worker, _ = harness.ready(environment_variables={"PASSWORD": "the-users-own"})
            for process in (worker.process.pid, worker.shim.pid):
                shown = Path(f"/proc/{process}")
                assert b"secret" not in (shown / "environ").read_bytes()
                assert b"users-own" not in (shown / "cmdline").read_bytes()
            targets = [os.readlink(entry) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()]
            files = {target for target in targets if target.startswith("/")}
            # The log is not among them: the shim writes the log from a pipe.
            assert files == {"/dev/null"}

        def test_process_shim_does_not_get_the_users_variables(self, harness: WorkerHarness) -> None:
            # The process shim may be root, and LD_PRELOAD would run the user's code in the shim.
            worker, _ = harness.ready(environment_variables={"LD_BIND_NOW": "1"})
            assert b"LD_BIND_NOW" not in Path(f"/proc/{worker.shim.pid}/environ").read_bytes()
            assert b"LD_BIND_NOW" in Path(f"/proc/{worker.pid}/environ").read_bytes()


def runs_as_worker(python: Path) -> bool:
    done = subprocess.run([python, "-c", ""], user=64042, group=64042, check=False, capture_output=True, cwd="/")
    return done.returncode == 0


def public_interpreter() -> Path | None:
    candidates = [*interpreters().values(), Path("/usr/bin/python3"), Path("/usr/local/bin/python3")]
    for python in candidates:
        try:
            if runs_as_worker(python):
                return python
        except OSError:
            continue
    return None


PUBLIC_INTERPRETER = public_interpreter() if os.geteuid() == 0 else None

if PUBLIC_INTERPRETER is not None:

    class TestWorkerOfARootPlatform:
        def test_worker_is_another_user_who_cannot_read_platform_files(self, harness: WorkerHarness) -> None:
            secret = harness.data_dir.secrets / "master.key"
            secret.write_text("key")
            # The folder of another worker belongs to the same user, but no other file does.
            other, _ = harness.ready()
            accounts = worker_accounts(WORKER_UIDS, harness.data_dir)
            worker, connection = harness.ready(INSPECTING, python=PUBLIC_INTERPRETER, launch={"accounts": accounts})
            where = asked(connection, "where")
            assert where[1] == where[2]
            assert {where[1], *where[3]} <= set(WORKER_UIDS)
            assert where[1] not in {entry.pw_uid for entry in pwd.getpwall()}
            data = harness.data_dir
            closed = [data.secrets, secret, data.run, data.logs, data.objects, data.socket_dir, other.folder, other.log]
            closed += [worker.log, data.workers, data.root]
            assert asked(connection, [str(path) for path in closed]) == ["PermissionError"] * len(closed)
            assert asked(connection, [str(data.models), str(worker.folder)]) == ["readable", "readable"]


class TestWorkerProcess:
    def test_run_file_keeps_the_labels(self, harness: WorkerHarness) -> None:
        harness.start(labels={"environment": "abc-1"})
        (found,) = find_all(harness.data_dir.worker_run_files)
        assert found.labels == {"environment": "abc-1"}

    def test_worker_outlives_its_host_and_is_found_by_its_run_file(self, harness: WorkerHarness) -> None:
        spec = harness.spec("def init(): pass\ndef run(data): return data")
        host = f"""
            import os
            from pathlib import Path
            from data_plane.replicas.local.spawn import LaunchSettings, spawn
            from data_plane.replicas.port import ReplicaSpec
            from modelyard.core.data_dir import DataDir
            spec = ReplicaSpec(
                endpoint="wines", deployment="blue", generation=3,
                python=Path({str(spec.python)!r}), bundle_dir=Path({str(spec.bundle_dir)!r}),
                model_dir=Path({str(spec.model_dir)!r}),
            )
            spawn(spec, LaunchSettings(DataDir(Path({str(harness.data_dir.root)!r}))), worker_id="abc123")
            os.killpg(0, 9)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(host)], start_new_session=True, cwd=Path.cwd(), check=False
        )
        assert done.returncode == -signal.SIGKILL
        (worker,) = running_workers(harness.data_dir.worker_run_files)
        harness.adopt(worker)
        assert (worker.worker_id, worker.endpoint, worker.deployment, worker.generation) == (
            "abc123",
            "wines",
            "blue",
            3,
        )
        connection = harness.connect(worker)
        assert connection.wait_until_loaded(PATIENCE).pid == worker.pid
        assert connection.score(JsonPayload("hello"), timeout=PATIENCE) == JsonResult(b'"hello"')

    def test_ended_worker_keeps_its_run_file_until_it_is_removed(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        run_files = harness.data_dir.worker_run_files
        kill(worker, "a test")
        assert wait_for_end(worker, PATIENCE)
        assert running_workers(run_files) == []
        assert find_all(run_files) == [worker]
        remove(worker)
        assert find_all(run_files) == []
        assert not worker.folder.exists()
        assert not worker.socket.exists()
        assert list(run_files.iterdir()) == []
        assert worker.log.exists()

    def test_reused_pid_is_not_taken_for_the_worker_and_not_killed(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        document = json.loads(worker.run_file.read_text())
        for role in ("process", "keeper"):
            document[role] = {"pid": os.getpid(), "started": "long ago"}
        worker.run_file.write_text(json.dumps(document))
        assert running_workers(harness.data_dir.worker_run_files) == []
        (impostor,) = find_all(harness.data_dir.worker_run_files)
        kill(impostor, "it is somebody else")
        stop(impostor)
        assert identify(os.getpid()) is not None

    def test_kill_ends_the_whole_process_group(self, harness: WorkerHarness, tmp_path: Path) -> None:
        script = f"""
            import subprocess, sys
            def init():
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
            def run(data):
                return data
        """
        worker, _ = harness.ready(script)
        child = identify(int((tmp_path / "pid").read_text()))
        assert child is not None
        kill(worker, "a test")
        assert wait_for_end(worker, PATIENCE)
        eventually(lambda: not child.is_running())

    def test_ended_worker_refuses_connections(self, harness: WorkerHarness) -> None:
        worker, connection = harness.ready()
        kill(worker, "a test")
        assert wait_for_end(worker, PATIENCE)
        with pytest.raises(ReplicaGone):
            BlockingWorkerConnection(worker.socket)
        with pytest.raises(ReplicaGone):
            connection.ping()

    def test_relative_interpreter_is_rejected(self, harness: WorkerHarness) -> None:
        with pytest.raises(ValueError, match="absolute path"):
            harness.spec("", python=Path("python"))

    def test_failed_start_leaves_no_files(self, harness: WorkerHarness) -> None:
        socket = harness.data_dir.socket_dir / "abc123.sock"
        socket.touch()
        with pytest.raises(OSError, match="in use"):
            spawn(harness.spec(""), LaunchSettings(harness.data_dir), worker_id="abc123")
        assert not socket.exists()
        assert not list(harness.data_dir.workers.iterdir())


class TestExitReason:
    def test_running_worker_has_no_exit_reason(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        assert exit_reason(worker) is None

    def test_sigkill_from_outside_suspects_memory(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        os.kill(worker.pid, signal.SIGKILL)
        assert ended(worker) == "killed by signal 9 (SIGKILL): out of memory?"

    def test_segmentation_fault_is_a_crash_in_native_code(self, harness: WorkerHarness) -> None:
        worker = harness.start("import ctypes\nctypes.string_at(0)")
        assert ended(worker) == "killed by signal 11 (SIGSEGV): native code crashed"
        assert "Fatal Python error: Segmentation fault" in worker.log.read_text()

    def test_kill_by_the_platform_gives_the_platforms_reason(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        kill(worker, "it answered no ping for 10 s")
        assert ended(worker) == "killed by the platform: it answered no ping for 10 s"

    def test_stopped_worker_was_told_to_stop(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        stop(worker)
        assert ended(worker) == "exited with code 0 (drained or told to stop)"

    def test_missing_interpreter_is_named_in_reason_and_log(self, harness: WorkerHarness) -> None:
        worker = harness.start(python=Path("/no/such/python"))
        assert ended(worker) == "exited with code 127 (the interpreter cannot be started)"
        assert "/no/such/python" in worker.log.read_text()

    def test_killed_shim_leaves_no_record_of_the_exit(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready()
        os.kill(worker.shim.pid, signal.SIGKILL)
        eventually(lambda: not worker.is_running())
        assert ended(worker) == "ended without a record: the process shim was killed, or the machine restarted"


def ended(worker: WorkerProcess) -> str | None:
    assert wait_for_end(worker, PATIENCE)
    return exit_reason(worker)


class TestRemoveStrays:
    def test_only_files_without_a_run_file_are_removed(self, harness: WorkerHarness) -> None:
        worker, connection = harness.ready()
        data = harness.data_dir
        (data.workers / "half-made").mkdir()
        (data.socket_dir / "half-made.sock").touch()
        remove_strays(data, older_than=-1)
        assert [path.name for path in data.workers.iterdir() if path.is_dir()] == [worker.worker_id]
        assert [path.stem for path in data.socket_dir.iterdir()] == [worker.worker_id]
        assert connection.ping(PATIENCE).state == "ready"
