"""The life of a model worker: enter the deployment's environment, load the model, score until told to end.

    python -I -S worker.pyz --config worker.json --listen-fd N

Exit codes: 0 drained or told to stop, 3 the scoring script failed to load, 4 the host was lost.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import time
import types
from typing import List, NoReturn, Optional

from . import output
from .channel import Channel
from .condition import FAILED, READY, Condition
from .configuration import Configuration, read_configuration
from .scoring import Scorer, one_line
from .script import Script

EXIT_STOPPED = 0
EXIT_INIT_FAILED = 3

_SECONDS_TO_HEAR_OF_A_FAILURE = 5.0
_SECONDS_TO_FINISH = 2.0


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="modelyard model worker")
    parser.add_argument("--config", required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--entered", action="store_true", help="the environment is already the deployment's own")
    options = parser.parse_args(arguments)
    configuration = read_configuration(options.config)
    if not options.entered:
        _enter_environment(arguments, configuration)
    return _work(configuration, options.listen_fd)


def _enter_environment(arguments: List[str], configuration: Configuration) -> NoReturn:
    """Start again as the user's own Python.

    The keeper, which may be root, must never see variables that a user chose (LD_PRELOAD among them), and the dynamic
    loader only reads its own at the start of a process; so this process, which already is the worker's user, makes
    the change.
    """
    command = [sys.executable, sys.argv[0], *arguments, "--entered"]
    os.execve(sys.executable, command, configuration.environment)


def _work(configuration: Configuration, listen_fd: int) -> int:
    _leave_import_path()
    output.take_over_prints()
    os.set_inheritable(listen_fd, False)
    condition = Condition(configuration)
    channel = Channel(socket.socket(fileno=listen_fd), condition, configuration.host_timeout)
    _stop_when_told(channel, condition)
    channel.start()
    output.log(
        output.INFO,
        "Worker started for {c.endpoint}/{c.deployment}, generation {c.generation}, Python {version}".format(
            c=configuration, version=sys.version.split()[0]
        ),
    )
    script = _load(configuration, condition, channel)
    if script is None:
        channel.linger(_SECONDS_TO_HEAR_OF_A_FAILURE)
        return _end(EXIT_INIT_FAILED)
    Scorer(script, channel, condition).run()
    output.log(output.INFO, "Worker ends")
    return _end(EXIT_STOPPED)


def _leave_import_path() -> None:
    """Our archive is the first entry; nothing of the user's may find it there."""
    archive = sys.argv[0]
    sys.path[:] = [entry for entry in sys.path if entry != archive]
    sys.path_importer_cache.pop(archive, None)
    sys.argv[:] = [""]


def _stop_when_told(channel: Channel, condition: Condition) -> None:
    def stop(_signal: int, _frame: Optional[types.FrameType]) -> None:
        output.log(output.INFO, "Told to stop")
        if condition.state == READY and condition.busy_since is None:
            channel.jobs.put(None)
        else:
            output.flush()
            os._exit(EXIT_STOPPED)

    signal.signal(signal.SIGTERM, stop)


def _load(configuration: Configuration, condition: Condition, channel: Channel) -> Optional[Script]:
    started = time.monotonic()
    try:
        script = Script(configuration.bundle_dir)
    except BaseException as error:  # noqa: BLE001 - sys.exit() in init() is a failure like any other
        output.log_exception("The scoring script failed to load", error)
        condition.error = one_line(error)
        condition.state = FAILED
        channel.wake()
        return None
    condition.state = READY
    channel.wake()
    output.log(output.INFO, "Worker ready after {:.1f} s".format(time.monotonic() - started))
    return script


def _end(code: int) -> int:
    """Leave through Python's own end, so that what the user's code registered runs; but not for ever."""

    def insist() -> None:
        output.flush()
        os._exit(code)

    watchdog = threading.Timer(_SECONDS_TO_FINISH, insist)
    watchdog.daemon = True
    watchdog.start()
    return code
