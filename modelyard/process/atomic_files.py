"""Atomic files: written beside the target, then renamed over the target.

A reader sees the old content or the new content, also after a kill of the writer.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_file(target: Path, *, mode: int | None = None, durable: bool = False) -> Iterator[IO[bytes]]:
    """Open a file to replace `target` at the end of the block. An exception in the block leaves `target` unchanged.

    `mode` holds the permission bits; None means 0666 less the umask, as for any new file. Until the block ends, a
    file with a `mode` is closed to other accounts. `durable` writes the content to the disk before the rename: the
    file survives a power cut.
    """
    unfinished = target.with_name(f".unfinished-{secrets.token_hex(8)}")
    permissions = 0o666 if mode is None else 0o600
    try:
        with open(unfinished, "xb", opener=lambda path, flags: os.open(path, flags, permissions)) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            unfinished.chmod(mode)
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def replace_file(target: Path, content: str | bytes, *, mode: int | None = None, durable: bool = False) -> None:
    """Write `content` (a string as UTF-8) to `target` as `atomic_file` does."""
    with atomic_file(target, mode=mode, durable=durable) as file:
        file.write(content.encode() if isinstance(content, str) else content)
