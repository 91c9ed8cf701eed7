"""The drill: back up a platform that scores, lose it, restore it elsewhere, and compare scores, keys and outputs."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.models import ROWS
from tests.e2e.platform import MODELYARD, Platform, wait_until
from tests.e2e.test_batch import downloaded, invoke, rows_of

BODY = {"input_data": {"columns": list(ROWS.columns), "data": ROWS.to_numpy().tolist()}}
PASSPHRASE = "a passphrase of the drill"


@contextmanager
def scoring(platform: Platform, endpoint: str) -> Iterator[list[int]]:
    """Score twenty times a second during the block; yield the statuses."""
    key, statuses, stop = platform.key(endpoint), [], threading.Event()

    def score() -> None:
        while not stop.wait(0.05):
            statuses.append(platform.score(endpoint, BODY, key=key).status_code)

    thread = threading.Thread(target=score)
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def endpoint(platform: Platform, sklearn_folder: Path, tmp_path: Path) -> str:
    """A batch endpoint with the linear model, whose environment is the one of the online endpoint."""
    (tmp_path / "deployment.yml").write_text(
        f"name: linear\nendpoint_name: drill\nmodel: {{name: linear-drill, path: {sklearn_folder}}}\n"
    )
    platform.cli("batch-endpoint", "create", "-n", "drill")
    platform.cli("batch-deployment", "create", "-f", tmp_path / "deployment.yml", "--set-default")
    return "drill"


@pytest.mark.long
def test_restored_platform_scores_shows_keys_and_has_outputs_as_before(
    platform, tour, endpoint, tmp_path, module_folder
):
    rows_of(20, seed=1).to_csv(tmp_path / "rows.csv", index=False)
    job = invoke(platform, endpoint, "--input", tmp_path / "rows.csv")
    platform.cli("job", "stream", "-n", job)
    tokens = {name: make_token(platform, name) for name in ("valid", "revoked")}
    assert platform.rest("DELETE", "/tokens/revoked").status_code == 200
    archive = tmp_path / "backup.tar"
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    option = ("--passphrase-file", tmp_path / "passphrase")
    with scoring(platform, tour) as statuses:
        platform.cli("backup", archive, "--data-dir", platform.data_dir, *option)
    assert set(statuses) == {200}

    restored = Platform(module_folder)
    kill_during_restore(restored, archive, *option)
    assert "has not ended" in restored.cli("up", "--data-dir", restored.data_dir, check=False).stderr
    restored.cli("restore", archive, "--data-dir", restored.data_dir, *option)
    restored.start("--batch-workers", "1")
    try:
        for kind in ("primaryKey", "secondaryKey"):
            assert keys(restored, tour)[kind] == keys(platform, tour)[kind]
        key = platform.key(tour)
        wait_until(lambda: restored.score(tour, BODY, key=key).status_code == 200, 120, "the deployment serves")
        assert restored.score(tour, BODY, key=key).content == platform.score(tour, BODY, key=key).content
        assert restored.score(tour, BODY, key="x" * 32).status_code == 401
        assert restored.token == platform.token
        assert restored.rest("GET", "//audit/verification").json()["faults"] == []
        answers = {name: restored.rest("GET", "", token=token).status_code for name, token in tokens.items()}
        assert answers == {"valid": 200, "revoked": 401}
        outputs = [downloaded(each, job, tmp_path / name, "--all") for each, name in ((platform, "a"), (restored, "b"))]
        assert outputs[0].keys() == outputs[1].keys()
        assert all(outputs[1][path].read_bytes() == file.read_bytes() for path, file in outputs[0].items())
    finally:
        restored.stop()


def keys(platform: Platform, endpoint: str) -> dict[str, str]:
    return platform.rest("POST", f"/onlineEndpoints/{endpoint}/listKeys").json()


def make_token(platform: Platform, name: str) -> str:
    body = {"properties": {"subject": f"{name}@example.org", "roles": [{"role": "reader"}]}}
    return platform.rest("PUT", f"/tokens/{name}", body).json()["properties"]["token"]


def kill_during_restore(restored: Platform, archive: Path, *options: str | Path) -> None:
    """Kill a restore while it writes objects."""
    process = subprocess.Popen(
        [MODELYARD, "restore", archive, "--data-dir", restored.data_dir, *options],
        env=restored.environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    marker = restored.data_dir / "restore.unfinished"
    wait_until(lambda: marker.exists() or process.poll() is not None, 60, "the restore begins to write")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
