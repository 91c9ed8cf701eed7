"""A copy of an interpreter where workers can reach it, made once per interpreter.

Needed when the platform runs as root and the interpreter lies in root's home. Files are linked where that changes
nothing about the original, and copied otherwise. CPython finds its prefix from where its executable lies; that the
copy does so too is checked by running it as the user that workers run as.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from builder.errors import NoInterpreter
from builder.interpreters.probe import Interpreter, probe
from modelyard.core.adapters.file_access import copy_within_reach, reachable
from modelyard.process.file_lock import locked_file

_ELF = b"\x7fELF"
_RELATIVE = b"$ORIGIN/../lib"
_NOT_NEEDED = frozenset({"test", "idlelib", "turtledemo", "__pycache__", "site-packages", "share"})


def reachable_interpreter(interpreter: Interpreter, *, user: int | None, copies: Path) -> Interpreter:
    """The interpreter itself when `user` can run it, else its copy below `copies`."""
    if user is None or _can_run(interpreter, user):
        return interpreter
    if interpreter.prefix in {Path("/"), Path("/usr"), Path("/usr/local")}:
        raise NoInterpreter(f"user {user} cannot run {interpreter.executable}; make it readable for everybody")
    target = copies / f"{interpreter.version}-{_identity(interpreter)}"
    with _only_one(copies):
        _copy(interpreter, target)
    return _checked(interpreter, target, user)


def _can_run(interpreter: Interpreter, user: int) -> bool:
    library = interpreter.prefix / "lib" / f"python{interpreter.minor}" / "os.py"
    return reachable(interpreter.executable, user) and reachable(library, user)


def _identity(interpreter: Interpreter) -> str:
    changed = interpreter.executable.stat().st_mtime_ns
    return hashlib.sha256(f"{interpreter.prefix}\n{changed}".encode()).hexdigest()[:12]


def _checked(interpreter: Interpreter, target: Path, user: int) -> Interpreter:
    executable = target / interpreter.executable.relative_to(interpreter.prefix)
    copy = probe(executable, user=user)
    if copy is None or copy.prefix != target.resolve() or copy.version != interpreter.version:
        raise NoInterpreter(
            f"{interpreter.executable} lies where user {user} cannot reach it, and a copy of it does not run; "
            f"install Python {interpreter.minor} outside of {Path.home()}"
        )
    return copy


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    with locked_file(folder / ".lock"):
        yield


def _copy(interpreter: Interpreter, target: Path) -> None:
    prefix = interpreter.prefix

    def adapt(copy: Path) -> None:
        point_at_own_library(copy / interpreter.executable.relative_to(prefix), original_prefix=prefix)

    copy_within_reach(prefix, target, ignore=_skipped, adapt=adapt)


def _skipped(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in _NOT_NEEDED]


def point_at_own_library(executable: Path, *, original_prefix: Path) -> None:
    """Change a copy, which must not be a link to the original. Without a library folder of its own nothing changes."""
    content = executable.read_bytes()
    absolute = b"\0" + str(original_prefix / "lib").encode() + b"\0"
    if content.startswith(_ELF) and absolute in content and len(_RELATIVE) + 2 <= len(absolute):
        relative = b"\0" + _RELATIVE.ljust(len(absolute) - 2, b"\0") + b"\0"
        mode = executable.stat().st_mode
        executable.unlink()
        executable.write_bytes(content.replace(absolute, relative, 1))
        executable.chmod(mode)
