"""Run the `main` of a module as a program, without garbage collections while the imports run.

    python -m modelyard.process.program MODULE [ARGUMENT ...]

Imports make many objects that live as long as the process, and collections during imports search all of these in vain:
a seventh of the CPU time of a process's start.
"""

import gc
import sys
from importlib import import_module


def program_command(module: str, *arguments: str) -> list[str]:
    """Return the command line of the module's `main(arguments)`, which returns the exit code or None."""
    return [sys.executable, "-m", "modelyard.process.program", module, *arguments]


def _run(module: str, arguments: list[str]) -> int | None:
    gc.disable()
    main = import_module(module).main
    # Later collections leave the imported objects alone.
    gc.freeze()
    gc.enable()
    code: int | None = main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1], sys.argv[2:]))
