"""Models that send hostile texts, frames and output: only their own deployment suffers.

Beside each attack the endpoint "tour" is asked without a pause; every request is answered.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.e2e.models import answering, save_loader
from tests.e2e.platform import Platform, wait_until
from tests.e2e.steady_caller import SteadyCaller

BODY = {"input_data": {"columns": ["x", "y", "n"], "data": [[1.0, 0.5, 1]]}}
PACKAGES = ("pandas", "numpy")
# Writes its input to the connections that the worker's own io thread holds, then answers.
FORGING = """
import base64, os, stat

class Model:
    def predict(self, model_input, params=None):
        content = base64.b64decode(model_input[0])
        for descriptor in range(3, 256):
            try:
                if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    os.write(descriptor, content)
            except OSError:
                pass
        return [os.getpid()]

def _load_pyfunc(path):
    return Model()
"""
FLOODING = """
import os, threading

def flood():
    line = b"flood " * 2000 + b"\\n"
    while True:
        os.write(1, line)

class Model:
    def predict(self, model_input, params=None):
        if model_input[0] == "flood":
            threading.Thread(target=flood, daemon=True).start()
        if model_input[0] == "die":
            os.write(2, b"\\nlast words\\n")
            os.kill(os.getpid(), 9)
        try:
            os.ftruncate(1, 40 << 30)
        except OSError:
            return ["refused"]
        return ["sparse"]

def _load_pyfunc(path):
    return Model()
"""


@contextmanager
def others_answer(platform: Platform, endpoint: str) -> Iterator[None]:
    """Ask another endpoint ten times a second meanwhile; no request may fail."""
    caller = SteadyCaller(platform, endpoint, BODY)
    with caller.calling(), caller.answers() as answers:
        yield
    assert set(answers.statuses) == {200}, answers.statuses


def deploy(platform: Platform, folder: Path, name: str, loader: str) -> None:
    platform.cli("deploy", save_loader(folder / name, loader, pip=PACKAGES), "--endpoint-name", name)


def deployment(platform: Platform, endpoint: str) -> dict[str, object]:
    (found,) = platform.list(f"/onlineEndpoints/{endpoint}/deployments")
    return found


@pytest.mark.parametrize(
    "message",
    ["bad \\0 byte", pytest.param("half \\ud800 pair", marks=pytest.mark.long)],
    ids=["NUL", "half a surrogate pair"],
)
def test_unstorable_load_error_fails_its_own_deployment_and_others_can_be_changed(platform, tour, tmp_path, message):
    name = f"unstorable{len(message)}"
    loader = answering("[1]", before=f'raise RuntimeError("{message}")')
    folder = save_loader(tmp_path / "m", loader, pip=PACKAGES)
    with others_answer(platform, tour):
        done = platform.cli("deploy", folder, "--endpoint-name", name, check=False)
        assert done.returncode != 0
        assert message.replace("\\0", "\\x00") in done.stdout + done.stderr
        assert deployment(platform, name)["properties"]["provisioningState"] == "Failed"
        deploy(platform, tmp_path, f"next{len(message)}", answering("[2]"))
        for endpoint in (name, f"next{len(message)}"):
            platform.cli("online-endpoint", "delete", "-n", endpoint, "--yes")


def test_worker_that_writes_to_its_own_sockets_is_replaced(platform, tour, tmp_path):
    deploy(platform, tmp_path, "forging", FORGING)
    key = platform.key("forging")

    def ask(text: str) -> httpx2.Response:
        return platform.score("forging", {"input_data": [text]}, key)

    with others_answer(platform, tour):
        honest = ask("")
        assert honest.status_code == 200, honest.text
        (pid,) = honest.json()
        # Half a header, bytes that are no frame, and a frame of 2^60 bytes.
        for content in ("TVkB", "R0VUIC8gSFRUUC8xLjENCg0KR0VUIC8gSFRUUC8xLjENCg0K", "TVkBBAEAAAACAAAAAAAAAAAAAAAAAAAQ"):
            # 503 while the worker is replaced: the model did not get the content.
            wait_until(lambda content=content: ask(content).status_code in {200, 424}, 60, "the model gets the content")
            wait_until(lambda: ask("").status_code == 200, 60, "a worker answers")

        def another_answers() -> bool:
            answer = ask("")
            return answer.status_code == 200 and answer.json() != [pid]

        wait_until(another_answers, 60, "another worker answers")
    platform.cli("online-endpoint", "delete", "-n", "forging", "--yes")


@pytest.mark.long
def test_flood_of_output_fills_no_disk_and_the_last_words_are_in_the_log(platform, tour, tmp_path):
    deploy(platform, tmp_path, "flooding", FLOODING)
    key = platform.key("flooding")
    name = deployment(platform, "flooding")["name"]

    def ask(text: str) -> httpx2.Response:
        return platform.score("flooding", {"input_data": [text]}, key)

    with others_answer(platform, tour):
        assert ask("flood").json() == ["refused"]
        time.sleep(5)
        assert ask("go on").json() == ["refused"]
        logs = [*(platform.data_dir / "workers").glob("*.log*"), *(platform.data_dir / "objects" / "logs").rglob("*")]
        assert sum(path.stat().st_size for path in logs if path.is_file()) < 100 << 20
        started = time.monotonic()
        assert ask("die").status_code == 424
        wait_until(lambda: ask("go on").status_code == 200, 30, "the worker is replaced")
        assert time.monotonic() - started < 30

        def log() -> str:
            arguments = ("-e", "flooding", "-n", name, "--lines", "100000")
            return platform.cli("online-deployment", "get-logs", *arguments).stdout

        wait_until(lambda: "last words" in log(), 60, "the last words are in the log")
        assert "bytes left out" in log()
    platform.cli("online-endpoint", "delete", "-n", "flooding", "--yes")


@pytest.mark.long
def test_batch_job_with_an_unstorable_load_error_fails(platform, tour, tmp_path):
    loader = answering("[1]", before='raise RuntimeError("bad \\0 and \\ud800")')
    folder = save_loader(tmp_path / "m", loader, pip=PACKAGES)
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "a.csv").write_text("x\n1\n")
    (tmp_path / "endpoint.yml").write_text(yaml.safe_dump({"name": "unstorablejobs"}))
    specification = {"name": "blue", "endpoint_name": "unstorablejobs", "model": {"path": str(folder)}}
    (tmp_path / "deployment.yml").write_text(yaml.safe_dump(specification))
    with others_answer(platform, tour):
        platform.cli("batch-endpoint", "create", "-f", tmp_path / "endpoint.yml")
        platform.cli("batch-deployment", "create", "-f", tmp_path / "deployment.yml", "--set-default")
        job = platform.cli(
            "batch-endpoint", "invoke", "-n", "unstorablejobs", "--input", tmp_path / "input"
        ).stdout.strip()

        def status() -> str:
            return platform.rest("GET", f"/jobs/{job}").json()["properties"]["status"]

        wait_until(lambda: status() in {"Failed", "Completed"}, 90, "the job ends")
        assert status() == "Failed"
