"""CPU time and memory read from /proc."""

import os
import subprocess
import sys
import threading
import time

from benchmarks.processes import cpu_microseconds, cpu_seconds, forget_peaks, memory, peak, started_at, tree


class TestTree:
    def test_tree_contains_the_children_of_a_process(self) -> None:
        with subprocess.Popen(["sh", "-c", "cat & wait"], stdin=subprocess.PIPE) as shell:
            assert tree(shell.pid)[0] == shell.pid
            assert shell.pid in tree(os.getpid())


class TestStart:
    def test_process_starts_between_the_moments_around_the_call(self) -> None:
        before = time.time()
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
            after = time.time()

            # The kernel counts in clock ticks of 10 ms, and two clocks are read one after the other.
            assert before - 0.1 < started_at(process.pid) < after + 0.1


class TestCost:
    def test_cpu_time_grows_with_work(self) -> None:
        before, began = cpu_seconds([os.getpid()]), time.process_time()
        while time.process_time() < began + 0.1:
            sum(range(1000))

        assert cpu_seconds([os.getpid()]) > before

    def test_cpu_microseconds_include_all_threads(self) -> None:
        before = cpu_microseconds([os.getpid()])
        spent: list[float] = []

        def work() -> None:
            began = time.thread_time()
            while time.thread_time() < began + 0.05:
                sum(range(1000))
            spent.append(cpu_microseconds([os.getpid()]) - before)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert spent[0] >= 40_000

    def test_ended_process_counts_as_zero(self) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()

        assert cpu_seconds([ended.pid]) == 0
        assert memory([ended.pid]).resident == 0

    def test_peak_memory_is_kept_until_reset(self) -> None:
        own = [os.getpid()]
        held = bytearray(os.urandom(1 << 20) * 64)
        assert peak(own) >= memory(own).resident >= len(held) / (1 << 20)
        highest = peak(own)
        del held
        forget_peaks(own)

        assert peak(own) < highest
