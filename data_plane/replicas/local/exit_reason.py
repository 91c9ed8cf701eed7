"""Why a worker ended, in words for the owner of the deployment."""

import json
import signal
from typing import Any

from data_plane.replicas.local.worker_process import WorkerProcess

_EXIT_CODES = {
    0: "drained or told to stop",
    3: "init failed",
    4: "lost the host",
    126: "the interpreter cannot be run",
    127: "the interpreter cannot be started",
}
_SIGNALS = {
    signal.SIGKILL: "out of memory?",
    signal.SIGSEGV: "native code crashed",
    signal.SIGABRT: "native code aborted",
    signal.SIGILL: "native code was built for another processor",
    signal.SIGBUS: "native code crashed, or a disk is full",
}


def exit_reason(worker: WorkerProcess) -> str | None:
    """Return the reason, such as "exited with code 3 (init failed)"; None for a running worker."""
    if worker.is_running():
        return None
    if worker.kill_note.exists():
        return f"killed by the platform: {worker.kill_note.read_text()}"
    try:
        record: dict[str, Any] = json.loads(worker.exit_file.read_text())
    except FileNotFoundError:
        return "ended without a record: the process shim was killed, or the machine restarted"
    if record["signal"] is not None:
        return _by_signal(record["signal"])
    return _by_code(record["exit_code"])


def _by_code(code: int) -> str:
    meaning = _EXIT_CODES.get(code)
    return f"exited with code {code}" + (f" ({meaning})" if meaning else "")


def _by_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"killed by signal {number}"
    meaning = _SIGNALS.get(signal.Signals(number))
    return f"killed by signal {number} ({name})" + (f": {meaning}" if meaning else "")
