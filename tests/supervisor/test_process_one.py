"""As process 1 of a container, the supervisor inherits what others leave, and leaves no zombies."""

import sys

import psutil

from tests.supervisor.starts import started, wait_until

# A subreaper is to its descendants what process 1 is to a container's, and needs no privilege. This one leaves to the
# supervisor that it becomes an orphan, and the orphan's parent, which has ended.
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


def test_orphans_are_reaped_and_the_death_of_a_child_is_still_noticed(passable_folder, servers):
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
