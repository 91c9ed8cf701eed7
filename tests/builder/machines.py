"""Other machines: a data dir for each, the same object store, and no reachable package index."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import BuiltEnvironment, Environments
from modelyard.process.program import program_command
from tests.builder.conftest import WORKER_USER

_NOWHERE = "http://127.0.0.1:9/simple"

_DISTRIBUTIONS = """
import importlib.metadata
print("\\n".join(sorted(f"{each.metadata['Name']}=={each.version}" for each in importlib.metadata.distributions())))
"""


@dataclass(frozen=True)
class Machine:
    data_dir: DataDir
    objects: Path

    def start(self, lock_hash: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            program_command("builder.restore", "--lock-hash", lock_hash),
            env=self._environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def restore(self, lock_hash: str) -> BuiltEnvironment:
        program = self.start(lock_hash)
        output, errors = program.communicate()
        assert program.returncode == 0, errors
        built = self.environments.find(lock_hash)
        assert built is not None
        assert output.splitlines()[-1] == built.name
        return built

    def refusal(self, lock_hash: str) -> str:
        """The reason of a failed restore. The failed restore leaves no files."""
        program = self.start(lock_hash)
        _, errors = program.communicate()
        assert (program.returncode, errors.count("\n")) == (1, 1), errors
        assert list(self.data_dir.environments.iterdir()) == []
        assert list((self.data_dir.package_cache / "work").glob("*")) == []
        return errors

    @property
    def environments(self) -> Environments:
        return Environments(self.data_dir.environments)

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "MODELYARD_DATA_DIR": str(self.data_dir.root),
            "MODELYARD_STORAGE_URL": self.objects.as_uri(),
            "MODELYARD_WORKER_UID": str(WORKER_USER or 64042),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": _NOWHERE,
            "UV_DEFAULT_INDEX": _NOWHERE,
            "UV_INDEX": _NOWHERE,
            "UV_OFFLINE": "1",
        }


def other_machine(folder: Path, session_data_dir: DataDir) -> Machine:
    data_dir = DataDir(folder / "other")
    data_dir.prepare()
    # For speed, all machines share the copied interpreters and virtualenv's unpacked files.
    for shared in (Path("runtime") / "python", Path("cache") / "virtualenv"):
        (session_data_dir.root / shared).mkdir(exist_ok=True)
        (data_dir.root / shared).symlink_to(session_data_dir.root / shared)
    return Machine(data_dir, folder / "objects")


def distributions(environment: BuiltEnvironment) -> str:
    return run(environment, "-c", _DISTRIBUTIONS)


def files(environment: BuiltEnvironment) -> dict[str, tuple[bytes, bool]]:
    """The content and executable bit of each file, without bytecode, installers' notes and the folder's own path."""
    noted = {
        "RECORD",
        "REQUESTED",
        "INSTALLER",
        "direct_url.json",
        "uv_cache.json",
        "uv_build.json",
        "complete",
        "pyvenv.cfg",
    }
    own = os.fsencode(environment.folder)
    return {
        path.relative_to(environment.folder).as_posix(): (path.read_bytes().replace(own, b"HERE"), path_runs(path))
        for path in environment.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc" and path.name not in noted
    }


def path_runs(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def run(environment: BuiltEnvironment, *arguments: str | Path, program: str = "python") -> str:
    command = [environment.folder / "bin" / program, *arguments]
    environ = {"PATH": os.defpath, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ, cwd="/").stdout
