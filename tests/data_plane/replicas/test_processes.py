import os
import subprocess
import sys

from data_plane.replicas.local.processes import Process, children, identify
from tests.data_plane.replicas.worker_harness import eventually

WAITING = [sys.executable, "-c", "input()"]


class TestIdentify:
    def test_knows_a_process_again(self) -> None:
        here = identify(os.getpid())
        assert here is not None
        assert here == identify(os.getpid())
        assert here.is_running()

    def test_tells_a_process_from_another_that_got_its_pid(self) -> None:
        assert not Process(os.getpid(), "another start").is_running()

    def test_finds_nothing_where_a_process_has_ended_even_before_it_is_reaped(self) -> None:
        with subprocess.Popen(WAITING, stdin=subprocess.PIPE) as process:
            child = identify(process.pid)
            assert child is not None
            assert children(os.getpid()).count(process.pid) == 1
            process.kill()
            eventually(lambda: not child.is_running())
        assert identify(process.pid) is None
