"""The accounts of a build's programs when the platform runs as root.

- The installer account owns the package cache and the environments. Its programs run no code of a model or a package.
- A code account belongs to one builder process. Its programs run code of models and packages: the builds of source
  distributions and the import check. The account can read what every user can read, and writes into the folders of its
  own build alone.

Without root, every program runs as the platform's account.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InstallFailed
from modelyard.core.settings import MachineSettings
from modelyard.process.accounts import AccountPool

# The account may be unable to reach the platform's interpreter: root's own process becomes the account.
_KILL = """
import os, signal, sys
account = int(sys.argv[1])
os.setgroups([])
os.setgid(account)
os.setuid(account)
os.kill(-1, signal.SIGKILL)
"""


@dataclass(frozen=True, slots=True)
class BuilderAccounts:
    """Both None: the platform does not run as root."""

    installer: int | None = None
    pool: AccountPool | None = None
    """Code accounts; shared with model workers, so that no two programs of the machine have the same number."""

    @contextmanager
    def code_account(self) -> Iterator[int | None]:
        """An account for code of packages and models; every process of the account ends with the block."""
        if self.pool is None:
            yield self.installer
            return
        account = self.pool.claim(f"builder {os.getpid()}")
        try:
            yield account
        finally:
            _end_programs_of(account)


def builder_accounts(settings: MachineSettings) -> BuilderAccounts:
    installer = settings.builder_user
    if installer is None:
        return BuilderAccounts()
    if settings.worker_numbers is None:
        return BuilderAccounts(installer)
    data_dir = settings.data_dir
    folders = (data_dir.bundles, data_dir.models, data_dir.workers)
    return BuilderAccounts(installer, AccountPool(settings.worker_numbers, str(data_dir.root), folders))


def _end_programs_of(account: int) -> None:
    """End every process of the account, whatever its group and session."""
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _KILL, str(account)],
        env={},
        cwd="/",
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def hand_over(folder: Path, account: int | None) -> None:
    """Make the account the owner of the folder and of everything below. Links are not followed."""
    if account is None:
        return
    for path, found in _entries(folder):
        if (found.st_uid, found.st_gid) != (account, account):
            os.chown(path, account, account, follow_symlinks=False)


def keep_folder_itself(folder: Path) -> None:
    """Make the platform the owner of the folder, not of its entries: no program can put its own in its place."""
    if os.getuid() == 0:
        os.chown(folder, 0, 0, follow_symlinks=False)
        folder.chmod(0o755)


def check_tree(folder: Path, *, beside: Collection[Path]) -> None:
    """Raise InstallFailed for a device, a socket, or a link that leads neither into `folder` nor into `beside`.

    The platform reads the files later, and would follow the link with its own rights.
    """
    allowed = [place.resolve() for place in (folder, *beside)]
    for path, found in _entries(folder):
        if stat.S_ISLNK(found.st_mode):
            target = Path(os.path.realpath(path))
            if not any(target.is_relative_to(place) for place in allowed):
                raise InstallFailed(f"a package installs {path.relative_to(folder)} as a link out of the environment")
        elif not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise InstallFailed(f"a package installs {path.relative_to(folder)}, which is neither a file nor a folder")


def make_programs_executable(folder: Path) -> None:
    """Set the mode of programs: in the sandbox of an ordinary user's build, a change of mode has no effect."""
    for path in folder.iterdir():
        if stat.S_ISREG(path.lstat().st_mode):
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                if file.read(4).startswith((b"#!", b"\x7fELF")):
                    os.fchmod(file.fileno(), 0o755)


def read_output(file: Path, *, most: int) -> str:
    """Read a text file that a program of another account has written. Raises InstallFailed for anything else."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > most:
            raise InstallFailed(f"{file.name} is not a plain file of at most {most} bytes")
        return opened.read(most).decode()


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    yield folder, folder.lstat()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            yield path, path.lstat()
