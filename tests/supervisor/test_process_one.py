"""The supervisor as process 1 of a container: it inherits orphans, and leaves no zombies."""

import sys

import psutil

from tests.supervisor.starts import started, wait_until

# A subreaper inherits the orphans among its descendants, as process 1 does in a container, and needs no privilege. This
# one leaves an orphan, and the ended parent of the orphan, to the supervisor that it becomes.
INIT = """
import ctypes, os, sys, time
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
if os.fork() == 0:
    if os.fork() == 0:
        print("orphan", os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_orphan_is_reaped_and_the_death_of_a_child_is_noticed(passable_folder, servers):
    init = (sys.executable, "-S", "-c", INIT)
    builder = ("--role", "builder", "--builders", "1")
    with started(passable_folder / "data", *builder, prefix=init, **servers) as start:
        start.says("orphan ")
        orphan = psutil.Process(int(start.printed.split("orphan ")[1].split()[0]))
        start.becomes_healthy()
        wait_until(lambda: orphan.ppid() == start.process.pid, "the orphan is the supervisor's")
        orphan.kill()
        wait_until(lambda: not orphan.is_running(), "the orphan is reaped")
        (child,) = psutil.Process(start.process.pid).children()
        child.kill()
        start.says("builder-0 ended (killed by SIGKILL); starting it again")
        assert start.stop() == 0
