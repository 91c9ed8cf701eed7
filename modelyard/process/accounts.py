"""Numbers of users and groups without a name, for programs that a platform started by root does not trust.

Each holder (a deployment, a folder) has a number of its own out of a range. All platforms of a machine share the
registry: no two holders have the same number, and a number passes to another holder only after the end of every process
with the number as user or group. A holder may get another number at a later claim, so every start of a program claims
again and hands its files over again.
"""

import json
import os
import stat
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.process.atomic_files import replace_file
from modelyard.process.file_lock import locked_file

REGISTRY = Path("/var/run/modelyard")
_PROC = Path("/proc")
_START_SECONDS = 60.0
"""A holder that has just claimed a number may not have started its first process."""


class NoAccountFree(OSError):
    """Every number of the range is in use."""


@dataclass(frozen=True, slots=True)
class AccountPool:
    numbers: range
    owner: str
    """Path of the platform's data dir."""
    folders: tuple[Path, ...] = ()
    """Folders with entries that belong to numbers of the range, and to no earlier holder of a number."""
    registry: Path = REGISTRY

    def claim(self, holder: str) -> int:
        """Return the holder's number; the same number as long as no other holder needs it. Raises NoAccountFree."""
        _ensure_own(self.registry)
        with locked_file(self.registry / "lock"):
            claims = self._read()
            number = self._held(claims, holder)
            if number is None:
                number = self._choose(claims)
                former = claims.get(str(number), {})
                withdraw(number, (*self.folders, *map(Path, former.get("folders", ()))))
            claims[str(number)] = {
                "owner": self.owner,
                "holder": holder,
                "claimed_at": time.time(),
                "folders": [str(folder) for folder in self.folders],
            }
            replace_file(self.registry / "accounts.json", json.dumps(claims, indent=1), mode=0o600)
            return number

    def held(self) -> set[int]:
        """Return the numbers of all holders of this platform."""
        return {int(number) for number, claim in self._read().items() if claim["owner"] == self.owner}

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            claims: dict[str, dict[str, Any]] = json.loads((self.registry / "accounts.json").read_text())
        except FileNotFoundError:
            return {}
        return claims

    def _held(self, claims: dict[str, dict[str, Any]], holder: str) -> int | None:
        for number, claim in claims.items():
            if (claim["owner"], claim["holder"]) == (self.owner, holder) and int(number) in self.numbers:
                return int(number)
        return None

    def _choose(self, claims: dict[str, dict[str, Any]]) -> int:
        """Return a number without a holder, or else the number that was claimed the longest ago and is not in use."""
        in_use = numbers_in_use()
        free = (number for number in self.numbers if str(number) not in claims and number not in in_use)
        if (number := next(free, None)) is not None:
            return number
        latest = time.time() - _START_SECONDS
        unused = [
            number
            for number in self.numbers
            if number not in in_use and claims.get(str(number), {}).get("claimed_at", 0.0) < latest
        ]
        if not unused:
            raise NoAccountFree(
                f"all {len(self.numbers)} accounts from {self.numbers.start} to {self.numbers.stop - 1} are in use: "
                "set MODELYARD_WORKER_UIDS to a larger range"
            )
        return min(unused, key=lambda number: claims[str(number)]["claimed_at"])


def withdraw(number: int, folders: Collection[Path]) -> None:
    """Close the entries of the folders that belong to the number as user or group: root alone can read them then."""
    for path, found in _entries(folders):
        if number in (found.st_uid, found.st_gid):
            _close(path, found)


def withdraw_all(folders: Collection[Path]) -> None:
    """Close every entry of the folders. Only while no program with a number runs."""
    for path, found in _entries(folders):
        _close(path, found)


def hand_to_group(folder: Path, group: int) -> None:
    """Let the group pass into the folder and read, and no other account but the owner."""
    found = folder.stat()
    if found.st_gid != group:
        os.chown(folder, -1, group)
    if stat.S_IMODE(found.st_mode) != 0o750:
        folder.chmod(0o750)


def numbers_in_use() -> set[int]:
    """Return every user and group of every process of the machine."""
    if not _PROC.is_dir():
        listed = subprocess.run(["/bin/ps", "-axo", "uid=,gid="], capture_output=True, text=True, check=False)
        return {int(number) for number in listed.stdout.split()}
    numbers: set[int] = set()
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            numbers.update(_numbers_of(entry))
    return numbers


def _numbers_of(process: Path) -> set[int]:
    try:
        lines = (process / "status").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    return {int(n) for line in lines if line.startswith(("Uid:", "Gid:", "Groups:")) for n in line.split()[1:]}


def _entries(folders: Collection[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for folder in folders:
        if folder.is_dir():
            for path in folder.iterdir():
                yield path, path.lstat()


def _close(path: Path, found: os.stat_result) -> None:
    os.chown(path, 0, 0, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        path.chmod(stat.S_IMODE(found.st_mode) & 0o700)


def _ensure_own(folder: Path) -> None:
    """Raises PermissionError for a folder of another account."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another account; remove it")
