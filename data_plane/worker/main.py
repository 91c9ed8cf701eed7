"""A model worker with the variables of the user's code: load the model, score until the end.

    python -I -S worker.pyz --config worker.json --listen-fd N --entered

Exit codes: 0 drained or told to stop, 3 the scoring script failed to load, 4 the host was lost.
"""

import argparse
import gc
import os
import signal
import socket
import sys
import threading
import time
import types
from typing import List, Optional

from . import output
from .array_shortcut import ArrayShortcut, array_shortcut
from .channel import Channel
from .configuration import Configuration, read_configuration
from .scorer import Scorer, exception_line
from .script import Script
from .state import FAILED, READY, WorkerState
from .user_environment import ENTERED

EXIT_STOPPED = 0
EXIT_INIT_FAILED = 3

_LINGER_SECONDS = 5.0
_EXIT_SECONDS = 2.0


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="modelyard model worker")
    parser.add_argument("--config", required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument(ENTERED, action="store_true", help="the process has the variables of the user's code")
    options = parser.parse_args(arguments)
    return _work(read_configuration(options.config), options.listen_fd)


def _work(configuration: Configuration, listen_fd: int) -> int:
    _leave_import_path()
    output.take_over_prints()
    os.set_inheritable(listen_fd, False)
    state = WorkerState(configuration)
    listener = socket.socket(fileno=listen_fd)
    channel = Channel(listener, state, configuration.host_timeout, configuration.busy_poll_seconds)
    _handle_stop_signal(channel, state)
    channel.start()
    output.log(
        output.INFO,
        "Worker started for {c.endpoint}/{c.deployment}, generation {c.generation}, Python {version}".format(
            c=configuration, version=sys.version.split()[0]
        ),
    )
    shortcut = _load(configuration, state, channel)
    if shortcut is None:
        channel.linger(_LINGER_SECONDS)
        return _end(EXIT_INIT_FAILED)
    Scorer(shortcut, channel, state).run()
    output.log(output.INFO, "Worker ends")
    return _end(EXIT_STOPPED)


def _leave_import_path() -> None:
    """Remove the worker's archive from `sys.path`, so that user code cannot import from the archive."""
    archive = sys.argv[0]
    sys.path[:] = [entry for entry in sys.path if entry != archive]
    sys.path_importer_cache.pop(archive, None)
    sys.argv[:] = [""]


def _handle_stop_signal(channel: Channel, state: WorkerState) -> None:
    def stop(_signal: int, _frame: Optional[types.FrameType]) -> None:
        output.log(output.INFO, "Told to stop")
        if state.state == READY and state.busy_since is None:
            channel.end_main()
        else:
            output.flush()
            os._exit(EXIT_STOPPED)

    signal.signal(signal.SIGTERM, stop)


def _load(configuration: Configuration, state: WorkerState, channel: Channel) -> Optional[ArrayShortcut]:
    started = time.monotonic()
    # Collections during the load search objects that live as long as the worker: a tenth of the load's CPU time.
    gc.disable()
    try:
        script = Script(configuration.bundle_dir)
    except BaseException as error:  # noqa: BLE001 - sys.exit() in init() is a failure, too
        output.log_exception("The scoring script failed to load", error)
        state.error = exception_line(error)
        state.state = FAILED
        channel.wake()
        return None
    shortcut = array_shortcut(script.run, script.module, os.environ)
    # A collection while a request waits leaves the packages and the model alone.
    gc.freeze()
    gc.enable()
    state.state = READY
    channel.wake()
    output.log(output.INFO, "Worker ready after {:.1f} s".format(time.monotonic() - started))
    return shortcut


def _end(code: int) -> int:
    """Let Python exit, so that the user's exit handlers run, but only for a limited time."""

    def force_exit() -> None:
        output.flush()
        os._exit(code)

    watchdog = threading.Timer(_EXIT_SECONDS, force_exit)
    watchdog.daemon = True
    watchdog.start()
    return code
