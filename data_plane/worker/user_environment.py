"""Replaces the new process by one with the environment variables of the user's code.

The process shim may be root and must never see a user's variables, LD_PRELOAD for example. The dynamic loader reads
variables only at the start of a process. So the process executes the interpreter again, already as the worker's user,
and before the rest of the worker is imported.
"""

import os
import sys
from typing import List, NoReturn

from .configuration import read_configuration

ENTERED = "--entered"


def enter(arguments: List[str]) -> NoReturn:
    configuration = read_configuration(arguments[arguments.index("--config") + 1])
    os.execve(sys.executable, [sys.executable, sys.argv[0], *arguments, ENTERED], configuration.environment)
