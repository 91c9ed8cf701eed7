"""The compared servers, without starting one."""

import os
from pathlib import Path

import pytest

from benchmarks.servers.environments import clean_environ
from benchmarks.servers.line_up import SERVERS, lacks
from benchmarks.servers.server import shown_command


class TestShownCommand:
    def test_absolute_paths_lose_all_but_two_parts(self) -> None:
        command = [Path("/work/.bench/mosec-1f/bin/python"), "/work/programs/mosec_server.py", "--port", "8000"]

        assert shown_command(command) == "bin/python programs/mosec_server.py --port 8000"

    def test_variables_stand_before_the_command(self) -> None:
        assert shown_command(["serve", "a b"], {"FOLDER": "/tmp/x/ray/short"}) == "FOLDER=ray/short serve 'a b'"


class TestLineUp:
    def test_every_peer_says_what_it_does_not_do(self) -> None:
        assert {name for name in SERVERS if lacks(name) == "–"} == {"modelyard"}


class TestEnvironment:
    def test_variables_of_the_caller_do_not_configure_a_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOSEC_TIMEOUT", "1")
        monkeypatch.setenv("PYTHONPATH", "/somewhere")

        assert not {"MOSEC_TIMEOUT", "PYTHONPATH"} & set(clean_environ())
        assert clean_environ()["PATH"] == os.environ["PATH"]
