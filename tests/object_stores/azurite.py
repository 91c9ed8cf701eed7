"""Azurite, Microsoft's Azure Blob server for tests: installed once by npm."""

import base64
import hashlib
import hmac
import shutil
import subprocess
import tempfile
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from modelyard.process.file_lock import locked_file
from tests.cached_environments import CACHE

VERSION = "3.36.0"
# The account and key of every Azurite; no other server accepts them.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_HOME = CACHE / f"azurite-{VERSION}"
_API = "2021-12-02"


def command(port: int, folder: Path) -> list[str]:
    """Return the command of the blob server, without telemetry, with its data in `folder`."""
    node, program = _node("node"), _installed() / "node_modules/azurite/dist/src/blob/main.js"
    place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    # Clients ask for newer versions of the protocol than Azurite knows.
    return [node, str(program), *place, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]


def make_container(endpoint: str, name: str) -> None:
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    # The account appears twice: as the owner, and as the first part of Azurite's path.
    resource = f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{_API}\n{resource}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)).decode()
    headers = {"x-ms-date": date, "x-ms-version": _API, "Authorization": f"SharedKey {ACCOUNT}:{signature}"}
    request = urllib.request.Request(f"{endpoint}/{name}?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(request, timeout=20).close()


def _installed() -> Path:
    """Return Azurite's folder. The first of several test processes installs Azurite."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked_file(CACHE / "azurite.lock"):
        if not _HOME.is_dir():
            _install()
    return _HOME


def _install() -> None:
    options = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
    unfinished = Path(tempfile.mkdtemp(dir=CACHE, prefix="azurite-unfinished-"))
    try:
        install = [_node("npm"), "install", *options, "--prefix", str(unfinished), f"azurite@{VERSION}"]
        done = subprocess.run(install, cwd=unfinished, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm could not install azurite {VERSION}, which the Azure tests need: {done.stderr}")
        unfinished.rename(_HOME)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _node(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise RuntimeError(
            f"{program} is not on PATH: the Azure tests run Azurite, which needs Node.js 18 or newer with npm"
        )
    return found
