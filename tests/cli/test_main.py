"""What goes wrong is one readable line, and a code."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.cli.online_deployment import new_lines
from modelyard.cli.output import Column, show_all, table

MODELYARD = Path(sys.executable).with_name("modelyard")


class TestFailures:
    def test_a_refusal_is_one_line_and_code_1(self, modelyard):
        done = modelyard("online-endpoint", "show", "-n", "nothing")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            ("online-endpoint", "shwo"),
            ("online-endpoint", "show"),
            ("model", "create", "--colour", "red"),
            ("model", "list", "-o", "xml"),
            ("online-deployment", "create", "--all-traffic", "--no-wait"),
        ],
    )
    def test_a_wrong_call_is_one_line_and_code_2(self, modelyard, arguments):
        done = modelyard(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1

    def test_a_file_that_is_not_there_is_named(self, modelyard, tmp_path):
        done = modelyard("online-endpoint", "create", "-f", tmp_path / "none.yaml")
        assert done.err == f"error: cannot read {tmp_path / 'none.yaml'}: No such file or directory\n"

    def test_a_model_folder_without_mlmodel_is_told_before_anything_is_sent(self, modelyard, platform, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "x").write_text("")
        done = modelyard("deploy", tmp_path / "folder")
        assert "holds no MLmodel file" in done.err
        assert platform.requests == []

    def test_an_unreachable_platform_says_how_to_start_one(self, modelyard, environment):
        environment["MODELYARD_URL"] = "http://127.0.0.1:9"
        assert "no platform answers at http://127.0.0.1:9: start it with `modelyard up`" in modelyard("status").err

    def test_a_wrong_token_is_told_in_the_platforms_words(self, modelyard, environment):
        environment["MODELYARD_TOKEN"] = "wrong"
        assert modelyard("status").err == (
            "error: the token is not this platform's admin token: check MODELYARD_TOKEN\n"
        )


class TestDebug:
    def test_it_shows_the_exchange_and_the_traceback_but_no_secret(self, modelyard, environment):
        modelyard("online-endpoint", "create", "-n", "iris")
        done = modelyard("online-endpoint", "get-credentials", "-n", "iris", "--debug")
        keys = json.loads(done.out)
        assert "> POST" in done.err
        assert '"primaryKey":"***"' in done.err
        assert not [secret for secret in (*keys.values(), environment["MODELYARD_TOKEN"]) if secret in done.err]
        assert "Traceback" in modelyard("--debug", "model", "show", "-n", "nothing").err


class TestTheProgram:
    """The installed `modelyard`, as a process of its own."""

    def test_help_is_printed_for_whoever_says_nothing(self):
        done = subprocess.run([MODELYARD, "--help"], capture_output=True, text=True, check=True)
        for noun in (
            "deploy",
            "status",
            "up",
            "model",
            "online-endpoint",
            "online-deployment",
            "batch-endpoint",
            "job",
        ):
            assert noun in done.stdout

    def test_help_loads_neither_the_http_library_nor_a_server_part(self):
        program = "import sys; from modelyard.cli.main import run; run(['--help'], {}); print(sorted(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for heavy in ("httpx2", "sqlalchemy", "fastapi", "pydantic", "cryptography", "numpy"):
            assert f"'{heavy}'" not in loaded

    def test_ctrl_c_says_what_goes_on_without_us(self, platform, environment, model_folder):
        platform.steps = ["installing"] * 100_000
        process = subprocess.Popen(
            [MODELYARD, "deploy", model_folder, "-e", "iris"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As in a terminal, also where the tests themselves were started with Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            assert process.stderr is not None
            assert "installing packages ...\n" in iter(process.stderr.readline, "")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-1] == "what was begun goes on in the background; see it with: modelyard status"

    def test_a_reader_that_leaves_early_is_no_error(self, platform, environment):
        command = f"{MODELYARD} --help | true"
        done = subprocess.run(command, shell=True, env={**os.environ, **environment}, capture_output=True, text=True)
        assert "Traceback" not in done.stderr


class TestNewLines:
    @pytest.mark.parametrize(
        ("seen", "current", "new"),
        [
            ([], ["a"], ["a"]),
            (["a"], ["a"], []),
            (["a"], ["a", "b", "b"], ["b", "b"]),
            (["b", "c"], ["a", "b", "c", "d"], ["d"]),
            (["a", "b", "c"], ["x", "y"], ["x", "y"]),
            (["a"], [], []),
        ],
    )
    def test_only_what_came_is_printed(self, seen, current, new):
        assert new_lines(seen, current) == new


class TestTables:
    def test_columns_are_as_wide_as_their_widest_cell(self):
        assert table(["A", "Long"], [["wide cell", ""], ["x", "y"]]).splitlines() == [
            "A          Long",
            "---------  ----",
            "wide cell",
            "x          y",
        ]

    def test_a_terminal_gets_a_table_without_asking(self, capsys, monkeypatch):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        show_all([{"n": {"a": 1, "b": None}}], [Column("Name", "n")], None)
        assert capsys.readouterr().out == "Name\n------\na=1 b=\n"
