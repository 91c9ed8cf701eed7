"""Finds or makes an environment on this machine: `python -m builder.restore --lock-hash HASH [--lifeline-fd N]`.

For hosts and batch workers, which start it as a program. It reads MODELYARD_DATA_DIR, MODELYARD_STORAGE_URL and
MODELYARD_WORKER_UID, and asks no database and no package index. On standard output it prints how far it is and, as the
last line, the name of the environment's folder. If it fails, standard error has one line that says why, and the exit
code is 1; or 75, when the same may go well another time.
"""

import argparse
import os
import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from builder.restoring import Restoring
from builder.supervised_process import cancellation_token
from builder.toolchain import open_toolchain
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.data_dir import DataDir
from modelyard.core.errors import PlatformError, Unavailable
from modelyard.core.model_files import ContentMismatch
from modelyard.core.worker_user import DEFAULT_WORKER_UID
from modelyard.process.lifeline import when_cut

_REFUSED = 1


class RestoreSettings(BaseSettings):
    """No secret is among them."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", frozen=True, extra="ignore")

    data_path: Path = Field(validation_alias="MODELYARD_DATA_DIR")
    storage_url: str
    worker_uid: int = DEFAULT_WORKER_UID

    @property
    def worker_user(self) -> int | None:
        return self.worker_uid if os.getuid() == 0 else None


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.lifeline_fd is not None:
        when_cut(options.lifeline_fd, lambda: os._exit(_REFUSED))
    settings = RestoreSettings()  # type: ignore[call-arg] # from the environment
    try:
        print(_restore(settings, options.lock_hash), flush=True)
    except Unavailable as away:
        return _failed(away.message, os.EX_TEMPFAIL)
    except PlatformError as refusal:
        return _failed(refusal.message, _REFUSED)
    except ContentMismatch as mismatch:
        return _failed(str(mismatch), _REFUSED)
    except Exception as error:  # noqa: BLE001 - whatever it is, it takes one line to say
        return _failed(f"the environment cannot be made on this machine now: {error}", os.EX_TEMPFAIL)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m builder.restore", description=__doc__)
    parser.add_argument("--lock-hash", required=True)
    parser.add_argument("--lifeline-fd", type=int, help="read end of a pipe: the program ends when it is closed")
    return parser.parse_args(arguments)


def _restore(settings: RestoreSettings, lock_hash: str) -> str:
    data_dir = DataDir(settings.data_path)
    toolchain = open_toolchain(data_dir, environ=os.environ, home=Path.home(), worker_user=settings.worker_user)
    with cancellation_token() as alive:
        restoring = Restoring(toolchain, open_store(settings.storage_url), alive, lambda line: print(line, flush=True))
        return restoring.get(lock_hash).name


def _failed(sentence: str, code: int) -> int:
    print(" ".join(sentence.split()), file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
