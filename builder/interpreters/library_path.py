"""Lets a copied executable find its own libpython.

A CPython built with a shared library has the absolute folder of that library in its ELF file. In the copy the folder
is replaced, in place and never longer, by one relative to the executable.
"""

from pathlib import Path

_ELF = b"\x7fELF"
_RELATIVE = b"$ORIGIN/../lib"


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
