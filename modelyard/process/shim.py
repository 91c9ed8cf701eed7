"""The process shim: runs one foreign program, and ends all its processes.

A program without a watch on the lifeline pipe (Postgres, Valkey, uv, a model worker) runs under a shim:

    python -I -S shim.py --lifeline FD --exit-file PATH [options] -- command...

- The command gets a new session and process group, and only the descriptors of `--pass-fd`.
- At the end of the lifeline pipe (every writer has died), or on a stop signal to the shim, the command receives
  `--stop-signal`, and after `--grace` seconds the shim kills the whole group.
- After the end of the command, the shim kills every process that the command has left, daemons included: on Linux the
  shim is the new parent of orphans.
- `--exit-file` then has {"pid", "exit_code", "signal", "ended_at"} for a later host.
- With `--log-bytes`, the command has the write end of a pipe alone, and the shim writes the log: bounded, rotated, and
  with a line in place of the output beyond `--log-rate`. The command can neither grow nor truncate the file.
- When the shim itself is killed, the kernel sends the command `--death-signal` (Linux).

The shim keeps the privileges of the parent; the command runs as `--uid`/`--gid` if given, and within the sandbox whose
plan the descriptor `--confine` holds. Standard library only, in the grammar of Python 3.8, and quick to start: every
model worker has a shim. So no module of the platform is imported here but `confine`, and that by path.
"""

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 10.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv):
    options = _parse(argv)
    confinement = _Confinement(options.confine)
    _adopt_orphans()
    wakeup, _ = open_wakeup_pipe()
    output = _Output(options) if options.log and options.log_bytes else None
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    # The child ignores a stop signal until it has the default handlers: block signals until then.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if pid == 0:
        _become(options, output, confinement)
    confinement.close()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return _Watch(options, pid, wakeup, output).run()


def _parse(argv):
    parser = argparse.ArgumentParser(prog="shim")
    parser.add_argument("--lifeline", type=int, required=True, help="read end of the pipe that the parent holds open")
    parser.add_argument("--exit-file", help="where to record how the command ended")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--group", type=int, action="append", default=[], help="supplementary group; repeatable")
    parser.add_argument("--umask", type=lambda text: int(text, 8), default=0o077)
    parser.add_argument("--pass-fd", type=int, action="append", default=[])
    parser.add_argument("--confine", type=int, help="descriptor of the sandbox's plan; see confine.py")
    parser.add_argument("--log", help="append standard output and error to this file")
    parser.add_argument("--log-bytes", type=int, help="size at which the log is rotated (default: no rotation)")
    parser.add_argument("--log-files", type=int, default=5, help="files of the log, the current one included")
    parser.add_argument("--log-rate", type=float, default=1e5, help="bytes a second that the log takes for long")
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


class _Confinement:
    """The sandbox of the command; without a plan every step does nothing."""

    def __init__(self, descriptor):
        self.plan = {}
        if descriptor is None:
            return
        with open(descriptor) as file:
            self.plan = json.load(file)
        # At the end of the path: a module of the platform's has the name of one of the standard library.
        sys.path.append(os.path.dirname(os.path.abspath(__file__)))
        self.steps = importlib.import_module("confine")

    @property
    def descriptors(self):
        return [self.plan["landlock"]] if "landlock" in self.plan else []

    def enter_namespaces(self):
        if self.plan:
            self.steps.join_cgroups(self.plan)
            self.steps.enter_namespaces(self.plan)

    def enter(self):
        if self.plan:
            self.steps.enter(self.plan)

    def close(self):
        for descriptor in self.descriptors:
            os.close(descriptor)


def _adopt_orphans():
    """Become the parent of every descendant whose own parent has ended."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become(options, output, confinement):
    """In the forked child: drop signals, descriptors and privileges of the platform, then execute the command."""
    try:
        _reset_signals()
        os.setsid()
        _redirect(options.log, output)
        os.umask(options.umask)
        if options.nice:
            os.nice(options.nice)
        # Enter the folder before dropping privileges: the command's user may own a folder whose parents are closed.
        os.chdir(options.cwd)
        confinement.enter_namespaces()
        if options.uid is not None:
            os.setgroups(options.group)
            os.setgid(options.gid if options.gid is not None else options.uid)
            os.setuid(options.uid)
        # After setuid, which clears the death signal.
        _die_with_parent(options.death_signal)
        _keep_only(options.pass_fd + confinement.descriptors)
        confinement.enter()
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


def _redirect(log, output):
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if log:
        written = _open_log(log) if output is None else output.writer
        os.dup2(written, 1)
        os.dup2(written, 2)


def _open_log(log):
    return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


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


_PIECE_BYTES = 1 << 16
_TURN_BYTES = 1 << 20
_TURN_SECONDS = 0.05
_TAIL_BYTES = 1 << 16


class _Output:
    """The command's output on the way from a pipe to a log of bounded size.

    The log takes a burst of `--log-bytes`, and `--log-rate` bytes a second for long. Output beyond that is read and
    left out, at most 1 MB each 50 ms: a fast writer is slowed down, and never blocked for long. The last 64 KB before a
    pause or the end are kept.
    """

    def __init__(self, options):
        self.path = options.log
        self.max_bytes = options.log_bytes
        self.files = options.log_files
        self.rate = options.log_rate
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.file = _open_log(self.path)
        self.size = os.fstat(self.file).st_size
        self.allowance = float(self.max_bytes)
        self.refilled_at = time.monotonic()
        self.tail = bytearray()
        self.left_out = 0
        self.resume_at = None

    def attend(self, events, ready):
        """Take the output that has arrived. After a full turn, leave the pipe alone until the next turn."""
        if self.resume_at is not None and time.monotonic() >= self.resume_at:
            self.resume_at = None
            events.register(self.reader, select.POLLIN)
        elif self.reader in ready:
            taken = self._take_turn()
            if taken is None or taken >= _TURN_BYTES:
                events.unregister(self.reader)
            if taken is not None and taken >= _TURN_BYTES:
                self.resume_at = time.monotonic() + _TURN_SECONDS

    def finish(self):
        """Take the rest, of bounded size: a process that left the command's group may write for ever."""
        for _ in range(4):
            taken = self._take_turn()
            if taken is None or taken < _TURN_BYTES:
                break
        self._write_tail()
        for descriptor in (self.reader, self.file):
            os.close(descriptor)

    def _take_turn(self):
        """Return the number of bytes; None at the end of the pipe."""
        taken = 0
        while taken < _TURN_BYTES:
            try:
                piece = os.read(self.reader, _PIECE_BYTES)
            except BlockingIOError:
                return taken
            if not piece:
                return None
            taken += len(piece)
            self._take(piece)
        return taken

    def _take(self, piece):
        now = time.monotonic()
        self.allowance = min(self.max_bytes, self.allowance + (now - self.refilled_at) * self.rate)
        self.refilled_at = now
        self.tail += piece
        if self.allowance > 0:
            self._write_tail()
        elif len(self.tail) > _TAIL_BYTES:
            excess = len(self.tail) - _TAIL_BYTES
            end = self.tail.find(b"\n", excess) + 1
            excess = end if end else excess
            self.left_out += excess
            del self.tail[:excess]

    def _write_tail(self):
        if self.left_out:
            self._write(b"%d bytes left out: the model wrote faster than its log takes\n" % self.left_out)
            self.left_out = 0
        self.allowance -= len(self.tail)
        self._write(bytes(self.tail))
        self.tail.clear()

    def _write(self, data):
        try:
            while len(data) > self.max_bytes - self.size:
                room = max(0, self.max_bytes - self.size)
                # Between two lines, unless a line is longer than a file.
                end = data.rfind(b"\n", 0, room) + 1 or (0 if self.size else room)
                self._append(data[:end])
                data = data[end:]
                self._rotate()
            self._append(data)
        except OSError:
            # A full disk loses output, and must not end the command.
            self.left_out += len(data)

    def _append(self, data):
        while data:
            written = os.write(self.file, data)
            self.size += written
            data = data[written:]

    def _rotate(self):
        os.close(self.file)
        for number in range(self.files - 1, 0, -1):
            newer = "{}.{}".format(self.path, number - 1) if number > 1 else self.path
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, "{}.{}".format(self.path, number))
        self.file = _open_log(self.path)
        self.size = os.fstat(self.file).st_size


class _Watch:
    """Waits for the end of the command, of the lifeline, or for a stop signal, and writes the log meanwhile."""

    def __init__(self, options, pid, wakeup, output):
        self.options = options
        self.pid = pid
        self.wakeup = wakeup
        self.output = output
        self.kill_at = None
        # Not select(): a parent with many open files passes descriptors over the limit of 1024.
        self.events = select.poll()
        for descriptor in (wakeup, options.lifeline):
            self.events.register(descriptor, select.POLLIN)
        if output is not None:
            os.close(output.writer)
            self.events.register(output.reader, select.POLLIN)
        for descriptor in options.pass_fd:
            os.close(descriptor)

    def run(self):
        while True:
            status = self._reap()
            if status is not None:
                return self._ended(status)
            ready = [descriptor for descriptor, _ in self.events.poll(self._milliseconds_left())]
            if self.output is not None:
                self.output.attend(self.events, ready)
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self._kill_all()
                self.kill_at = time.monotonic() + 1.0
            if self.wakeup in ready and self._stop_requested():
                self._stop()
            if self.options.lifeline in ready and not os.read(self.options.lifeline, 1):
                self.events.unregister(self.options.lifeline)
                self._stop()

    def _milliseconds_left(self):
        resume_at = None if self.output is None else self.output.resume_at
        due = [moment for moment in (self.kill_at, resume_at) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) * 1000 if due else None

    def _reap(self):
        """Reap ended children, orphans of the command included. Return the command's status at the command's end."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == self.pid:
                    return status
                if not pid:
                    return None

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

    def _kill_all(self):
        self._signal_group(signal.SIGKILL)
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _kill_remaining(self):
        """Kill and reap until no child is left: a killed process hands its children over to the shim."""
        deadline = time.monotonic() + _KILL_SECONDS
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < deadline:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    self._kill_all()
                    time.sleep(0.002)

    def _ended(self, status):
        self._signal_group(signal.SIGKILL)
        self._kill_remaining()
        exit_code = os.waitstatus_to_exitcode(status)
        if self.output is not None:
            # Before the record: a reader of the record finds the last output in the log.
            self.output.finish()
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


def _descendants(ancestor):
    """Return the processes below `ancestor`; systems without /proc give none."""
    children = {}  # type: ignore[var-annotated]
    with contextlib.suppress(FileNotFoundError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/{}/stat".format(name), "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, unvisited = [], [ancestor]
    while unvisited:
        below = children.get(unvisited.pop(), [])
        found += below
        unvisited += below
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
