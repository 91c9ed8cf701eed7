"""Failures: one readable line and an exit code."""

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
    def test_error_of_the_platform_is_one_line_and_exit_code_1(self, modelyard):
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
    def test_wrong_arguments_are_one_line_and_exit_code_2(self, modelyard, arguments):
        done = modelyard(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1

    def test_missing_file_is_named(self, modelyard, tmp_path):
        done = modelyard("online-endpoint", "create", "-f", tmp_path / "none.yaml")
        assert done.err == f"error: cannot read {tmp_path / 'none.yaml'}: No such file or directory\n"

    def test_model_folder_without_mlmodel_is_an_error_without_a_request(self, modelyard, platform, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "x").write_text("")
        done = modelyard("deploy", tmp_path / "folder")
        assert "contains no MLmodel file" in done.err
        assert platform.requests == []

    def test_unreachable_platform_names_modelyard_up(self, modelyard, environment):
        environment["MODELYARD_URL"] = "http://127.0.0.1:9"
        assert "no platform answers at http://127.0.0.1:9: start it with `modelyard up`" in modelyard("status").err

    def test_wrong_token_prints_the_platforms_message(self, modelyard, environment):
        environment["MODELYARD_TOKEN"] = "wrong"
        assert modelyard("status").err == ("error: the token is not valid on this platform: check MODELYARD_TOKEN\n")


class TestDebug:
    def test_debug_prints_requests_and_traceback_without_secrets(self, modelyard, environment):
        modelyard("online-endpoint", "create", "-n", "iris")
        done = modelyard("online-endpoint", "get-credentials", "-n", "iris", "--debug")
        keys = json.loads(done.out)
        assert "> POST" in done.err
        assert '"primaryKey":"***"' in done.err
        assert not [secret for secret in (*keys.values(), environment["MODELYARD_TOKEN"]) if secret in done.err]
        assert "Traceback" in modelyard("--debug", "model", "show", "-n", "nothing").err


class TestProgram:
    """The installed `modelyard`, as a process."""

    def test_help_lists_the_commands(self):
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

    def test_help_imports_neither_httpx2_nor_a_server_dependency(self):
        program = "import sys; from modelyard.cli.main import run; run(['--help'], {}); print(sorted(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for heavy in ("httpx2", "sqlalchemy", "fastapi", "pydantic", "cryptography", "numpy"):
            assert f"'{heavy}'" not in loaded

    def test_ctrl_c_during_a_wait_names_the_status_command(self, platform, environment, model_folder):
        platform.steps = ["installing"] * 100_000
        process = subprocess.Popen(
            [MODELYARD, "deploy", model_folder, "-e", "iris"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As in a terminal, even when the tests were started with Ctrl-C ignored.
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
        assert err.splitlines()[-1] == "the deployment continues in the background; to see the state: modelyard status"

    def test_closed_output_pipe_prints_no_traceback(self, platform, environment):
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
    def test_only_lines_after_the_seen_lines_are_new(self, seen, current, new):
        assert new_lines(seen, current) == new


class TestTables:
    def test_column_is_as_wide_as_its_widest_cell(self):
        assert table(["A", "Long"], [["wide cell", ""], ["x", "y"]]).splitlines() == [
            "A          Long",
            "---------  ----",
            "wide cell",
            "x          y",
        ]

    def test_terminal_gets_a_table_by_default(self, capsys, monkeypatch):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        show_all([{"n": {"a": 1, "b": None}}], [Column("Name", "n")], None)
        assert capsys.readouterr().out == "Name\n------\na=1 b=\n"
