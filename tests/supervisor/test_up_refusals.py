"""Refusals of `modelyard up`: before anything is created, and in one line that says what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

MODELYARD = Path(sys.executable).with_name("modelyard")


def up(data_dir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    config = {"XDG_CONFIG_HOME": str(data_dir.parent / "config")}
    ports = ("--port", "0", "--scoring-port", "0")
    return subprocess.run(
        [MODELYARD, "up", "--data-dir", data_dir, *ports, *arguments],
        env={**own, **config, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_port_in_use_is_named_and_nothing_is_created(passable_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = up(passable_folder / "data", "--scoring-port", port)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert not (passable_folder / "data").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs models as another user")
def test_root_data_dir_that_other_users_cannot_reach_is_refused_and_not_created(passable_folder):
    closed = passable_folder / "closed"
    closed.mkdir(mode=0o700)
    done = up(closed / "data")
    assert done.returncode == 1
    assert "choose a --data-dir" in done.stderr
    assert not (closed / "data").exists()


def test_tls_port_in_use_is_named_and_nothing_is_created(passable_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = up(passable_folder / "data", "--tls", "--tls-port", "0", "--scoring-tls-port", port)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert not (passable_folder / "data").exists()


def test_certificate_without_tls_is_refused(passable_folder):
    files = ("--tls-certificate", "server.pem", "--tls-key", "server.key")
    done = up(passable_folder / "data", *files)
    assert (done.returncode, "add --tls" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("--tls-certificate", "/nowhere/server.pem"), "MODELYARD_TLS_KEY must be set together"),
        (
            ("--tls-certificate", "/nowhere/server.pem", "--tls-key", "/nowhere/key"),
            "/nowhere/server.pem cannot be read",
        ),
        (("--tls-certificate", __file__, "--tls-key", __file__), "are not a certificate chain"),
    ],
)
def test_unusable_certificate_is_named_and_nothing_is_created(passable_folder, files, sentence):
    done = up(passable_folder / "data", "--tls", *files)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert not (passable_folder / "data").exists()
