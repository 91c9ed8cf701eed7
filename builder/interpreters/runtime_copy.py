"""Copy an interpreter into reach of model workers, once per interpreter.

A copy is needed when the platform runs as root and the interpreter lies in root's home. Files are hard links where a
link leaves the original unchanged. CPython derives the prefix from the place of the executable; a probe as the user of
model workers checks the prefix of the copy.
"""

import hashlib
from pathlib import Path

from builder.errors import NoInterpreter
from builder.interpreters.probe import Interpreter, probe
from modelyard.core.adapters.file_access import copy_within_reach, reachable
from modelyard.process.file_lock import locked_file

_ELF = b"\x7fELF"
_RELATIVE = b"$ORIGIN/../lib"
_NOT_NEEDED = frozenset({"test", "idlelib", "turtledemo", "__pycache__", "site-packages", "share"})


def reachable_interpreter(interpreter: Interpreter, *, user: int | None, copies: Path) -> Interpreter:
    """Return the interpreter if the user id `user` can run it, else its copy below `copies`. Raises NoInterpreter."""
    if user is None or _can_run(interpreter, user):
        return interpreter
    if interpreter.prefix in {Path("/"), Path("/usr"), Path("/usr/local")}:
        raise NoInterpreter(f"user {user} cannot run {interpreter.executable}; make it readable for everybody")
    target = copies / f"{interpreter.version}-{_identity(interpreter)}"
    copies.mkdir(parents=True, exist_ok=True)
    copies.chmod(0o755)
    with locked_file(copies / ".lock"):
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
            f"user {user} cannot reach {interpreter.executable}, and a copy of the interpreter does not run; "
            f"install Python {interpreter.minor} outside of {Path.home()}"
        )
    return copy


def _copy(interpreter: Interpreter, target: Path) -> None:
    prefix = interpreter.prefix

    def adapt(copy: Path) -> None:
        point_at_own_library(copy / interpreter.executable.relative_to(prefix), original_prefix=prefix)

    copy_within_reach(prefix, target, ignore=_skipped, adapt=adapt)


def _skipped(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in _NOT_NEEDED]


def point_at_own_library(executable: Path, *, original_prefix: Path) -> None:
    """Make a copied executable find the libpython of its own copy.

    A CPython with a shared library has the absolute folder of the library in its ELF file. The folder is replaced, in
    place, by a folder relative to the executable. An executable without such a folder stays unchanged.
    """
    content = executable.read_bytes()
    absolute = b"\0" + str(original_prefix / "lib").encode() + b"\0"
    if content.startswith(_ELF) and absolute in content and len(_RELATIVE) + 2 <= len(absolute):
        relative = b"\0" + _RELATIVE.ljust(len(absolute) - 2, b"\0") + b"\0"
        mode = executable.stat().st_mode
        executable.unlink()
        executable.write_bytes(content.replace(absolute, relative, 1))
        executable.chmod(mode)
