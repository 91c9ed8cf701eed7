"""The process shim: runs one foreign program, and ends all its processes.

A program without a watch on the lifeline pipe (Postgres, Valkey, uv, a model worker) runs under a shim:

    python -I -S shim.py --lifeline FD --exit-file PATH [options] -- command...

- The command gets a new session and process group, and only the descriptors of `--pass-fd`.
- At the end of the lifeline pipe (every writer has died), or on a stop signal to the shim, the command receives
  `--stop-signal`, and after `--grace` seconds the shim kills the whole group.
- After the end of the command, the shim kills the rest of the group.
- `--exit-file` then has {"pid", "exit_code", "signal", "ended_at"} for a later host.
- When the shim itself is killed, the kernel sends the command `--death-signal` (Linux).

The shim keeps the privileges of the parent; the command runs as `--uid`/`--gid` if given. Standard library only, in the
grammar of Python 3.8, and quick to start: every model worker has a shim. So no module of the platform is imported here.
"""

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv):
    options = _parse(argv)
    wakeup, _ = open_wakeup_pipe()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    # The child ignores a stop signal until it has the default handlers: block signals until then.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if pid == 0:
        _become(options)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return _Watch(options, pid, wakeup).run()


def _parse(argv):
    parser = argparse.ArgumentParser(prog="shim")
    parser.add_argument("--lifeline", type=int, required=True, help="read end of the pipe that the parent holds open")
    parser.add_argument("--exit-file", help="where to record how the command ended")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--group", type=int, action="append", default=[], help="supplementary group; repeatable")
    parser.add_argument("--umask", type=lambda text: int(text, 8), default=0o077)
    parser.add_argument("--pass-fd", type=int, action="append", default=[])
    parser.add_argument("--log", help="append standard output and error to this file")
    parser.add_argument("--cwd", default="/")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--grace", type=float, default=3.0, help="seconds between the stop signal and the kill")
    parser.add_argument("--stop-signal", type=_signal, default=signal.SIGTERM)
    parser.add_argument("--death-signal", type=_signal, default=signal.SIGKILL)
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def _signal(name):
    return getattr(signal, "SIG" + name)


def open_wakeup_pipe() -> "tuple[int, int]":
    """Return both ends of a pipe; Python writes the number of each handled signal into the pipe."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader, writer


def _become(options):
    """In the forked child: drop signals, descriptors and privileges of the platform, then execute the command."""
    try:
        _reset_signals()
        os.setsid()
        _redirect(options.log)
        os.umask(options.umask)
        if options.nice:
            os.nice(options.nice)
        # Enter the folder before dropping privileges: the command's user may own a folder whose parents are closed.
        os.chdir(options.cwd)
        if options.uid is not None:
            os.setgroups(options.group)
            os.setgid(options.gid if options.gid is not None else options.uid)
            os.setuid(options.uid)
        # After setuid, which clears the death signal.
        _die_with_parent(options.death_signal)
        _keep_only(options.pass_fd)
        os.execvpe(options.command[0], options.command, os.environ)
    except BaseException as error:
        os.write(2, f"shim: cannot start {options.command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _reset_signals():
    signal.set_wakeup_fd(-1)
    for number in (*_SIGNALS, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _redirect(log):
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if log:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)


def _die_with_parent(death_signal):
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent or parent == 1:
        os._exit(127)


def _keep_only(descriptors):
    low = 3
    for descriptor in sorted(descriptors):
        os.set_inheritable(descriptor, True)
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


class _Watch:
    """Waits for the end of the command, of the lifeline, or for a stop signal."""

    def __init__(self, options, pid, wakeup):
        self.options = options
        self.pid = pid
        self.wakeup = wakeup
        self.kill_at = None
        # Not select(): a parent with many open files passes descriptors over the limit of 1024.
        self.events = select.poll()
        for descriptor in (wakeup, options.lifeline):
            self.events.register(descriptor, select.POLLIN)
        for descriptor in options.pass_fd:
            os.close(descriptor)

    def run(self):
        while True:
            status = self._reap()
            if status is not None:
                return self._ended(status)
            ready = [descriptor for descriptor, _ in self.events.poll(self._milliseconds_left())]
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self._signal_group(signal.SIGKILL)
                self.kill_at = time.monotonic() + 1.0
            if self.wakeup in ready and self._stop_requested():
                self._stop()
            if self.options.lifeline in ready and not os.read(self.options.lifeline, 1):
                self.events.unregister(self.options.lifeline)
                self._stop()

    def _milliseconds_left(self):
        return None if self.kill_at is None else max(0.0, self.kill_at - time.monotonic()) * 1000

    def _reap(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None

    def _stop_requested(self):
        received = os.read(self.wakeup, 4096)
        return any(number in received for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))

    def _stop(self):
        if self.kill_at is None:
            self.kill_at = time.monotonic() + self.options.grace
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.options.stop_signal)

    def _signal_group(self, number):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _ended(self, status):
        self._signal_group(signal.SIGKILL)
        exit_code = os.waitstatus_to_exitcode(status)
        if self.options.exit_file:
            self._record(exit_code)
        return exit_code if exit_code >= 0 else 128 - exit_code

    def _record(self, exit_code):
        ending = {
            "pid": self.pid,
            "exit_code": exit_code if exit_code >= 0 else None,
            "signal": -exit_code if exit_code < 0 else None,
            "ended_at": time.time(),
        }
        unfinished = self.options.exit_file + ".part"
        with open(unfinished, "w") as file:
            json.dump(ending, file)
        os.replace(unfinished, self.options.exit_file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
