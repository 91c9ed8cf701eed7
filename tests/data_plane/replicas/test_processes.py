import os
import subprocess
import sys

from data_plane.replicas.local.processes import Process, children, identify
from tests.data_plane.replicas.worker_harness import eventually

WAITING = [sys.executable, "-c", "input()"]


class TestIdentify:
    def test_process_equals_its_later_identity(self) -> None:
        here = identify(os.getpid())
        assert here is not None
        assert here == identify(os.getpid())
        assert here.is_running()

    def test_reused_pid_is_another_process(self) -> None:
        assert not Process(os.getpid(), "another start").is_running()

    def test_ended_process_has_no_identity_even_as_a_zombie(self) -> None:
        with subprocess.Popen(WAITING, stdin=subprocess.PIPE) as process:
            child = identify(process.pid)
            assert child is not None
            assert children(os.getpid()).count(process.pid) == 1
            process.kill()
            eventually(lambda: not child.is_running())
        assert identify(process.pid) is None
