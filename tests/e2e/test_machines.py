"""Control plane, builder, batch worker and data plane on four machines, with each kind of object store."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pandas as pd
import pytest
import yaml
from sqlalchemy import text

from modelyard.core.db.unit_of_work import open_database
from tests.e2e.machines import Machines, credentials, machines, names_a_store
from tests.e2e.models import save_loader
from tests.e2e.platform import Platform, wait_until
from tests.e2e.tcp_proxy import TcpProxy, tcp_proxy
from tests.object_stores.servers import StoreServer, azure_server, s3_server

SIGNATURE = {
    "inputs": json.dumps([{"name": "x", "type": "double"}, {"name": "n", "type": "long"}]),
    "outputs": json.dumps([{"type": "double"}]),
}
LOADER = """
print("the model is being loaded")

class Model:
    def predict(self, model_input, params=None):
        return (model_input["x"] * 2 + model_input["n"]).to_numpy()

def _load_pyfunc(path):
    return Model()
"""
OUTAGE_SECONDS = 6
FILES = {"a.csv": [(1.5, 1), (2.5, 2)], "b/c.csv": [(0.25, 3)]}


def save_model(folder: Path) -> Path:
    save_loader(folder, LOADER)
    mlmodel = folder / "MLmodel"
    mlmodel.write_text(yaml.safe_dump({**yaml.safe_load(mlmodel.read_text()), "signature": SIGNATURE}))
    return folder


@contextmanager
def folder_store() -> Iterator[StoreServer]:
    with tempfile.TemporaryDirectory(prefix="my-store-") as folder:
        yield StoreServer(Path(folder).as_uri(), {}, "")


STORES = {"folder": folder_store, "s3": s3_server, "azure": azure_server}


@pytest.fixture(params=["s3", *(pytest.param(name, marks=pytest.mark.long) for name in ("folder", "azure"))])
def store(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with STORES[request.param]() as server:
        yield server


@pytest.fixture
def spread(passable_folder, store, database_url, broker_url) -> Iterator[Machines]:
    engine = open_database(database_url)
    with machines(passable_folder, store, engine, broker_url) as spread:
        yield spread
    engine.dispose()


@pytest.mark.timeout(900)
def test_endpoint_and_job_work_without_the_machine_that_built_them(spread, tmp_path):
    control, builder = spread.start_building()
    begin_online(control, save_model(tmp_path / "doubled"), tmp_path)
    create_batch(control, tmp_path)
    built = "deployment_generations WHERE bundle_hash IS NOT NULL"
    wait_until(lambda: count(spread, built) == 2, 120, "both deployments are built")
    spread.destroy(builder)
    data_plane, batch = spread.start_scoring()

    check_the_job(control, tmp_path)
    check_the_endpoint(control)
    for machine in (data_plane, batch):
        assert holdings(machine) == {"environments": 1, "models": 1, "bundles": 1}
    assert holdings(control) == {"environments": 0, "models": 0, "bundles": 0}
    check_that_credentials_are_nowhere(spread, data_plane, batch)


def begin_online(control: Platform, model: Path, folder: Path) -> None:
    control.cli("model", "create", "-n", "doubled", "-p", model, "-t", "mlflow_model")
    control.cli("online-endpoint", "create", "-n", "online", "--no-wait")
    deployment = {"name": "blue", "endpoint_name": "online", "model": "azureml:doubled:1", "instance_count": 1}
    (folder / "online.yml").write_text(yaml.safe_dump(deployment))
    control.cli("online-deployment", "create", "-f", folder / "online.yml", "--no-wait")


def create_batch(control: Platform, folder: Path) -> None:
    deployment = {"name": "blue", "endpoint_name": "rows", "type": "model", "model": "azureml:doubled:1"}
    (folder / "batch.yml").write_text(yaml.safe_dump(deployment))
    control.cli("batch-endpoint", "create", "-n", "rows")
    control.cli("batch-deployment", "create", "-f", folder / "batch.yml", "--set-default")


def count(spread: Machines, table: str) -> int:
    with spread.engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def check_the_endpoint(control: Platform) -> None:
    def state() -> str:
        return control.list("/onlineEndpoints/online/deployments")[0]["properties"]["provisioningState"]

    wait_until(lambda: state() == "Succeeded", 120, "the deployment serves")
    control.cli("online-endpoint", "update", "-n", "online", "--traffic", "blue=100")
    shown = json.loads(control.cli("online-endpoint", "show", "-n", "online").stdout)
    authorized = {"Authorization": f"Bearer {control.key('online')}"}

    def answer(rows: list[list[object]]) -> httpx2.Response:
        body = {"input_data": {"columns": ["x", "n"], "data": rows}}
        return httpx2.post(shown["scoring_uri"], json=body, headers=authorized, timeout=30)

    assert answer([[1.5, 1], [2.5, 2]]).json() == [4.0, 7.0]
    refused = answer([["many", 1.5]])
    assert refused.status_code == 400
    assert {violation["target"] for violation in refused.json()["error"]["details"]} == {"x", "n"}
    logs = ("online-deployment", "get-logs", "-e", "online", "-n", "blue")
    assert "the model is being loaded" in control.cli(*logs).stdout
    assert "pandas==" in control.cli(*logs, "--container", "storage-initializer").stdout


def check_the_job(control: Platform, folder: Path, meanwhile: Callable[[], None] = lambda: None) -> None:
    for path, rows in FILES.items():
        file = folder / "input" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=["x", "n"]).to_csv(file, index=False)
    job = control.cli("batch-endpoint", "invoke", "-n", "rows", "--input", folder / "input").stdout.strip()
    meanwhile()
    assert "Completed" in control.cli("job", "stream", "-n", job).stderr
    (downloaded,) = control.cli("job", "download", "-n", job, "-p", folder / "got").stdout.split()
    predictions = pd.read_csv(downloaded, names=["row", "prediction", "file"])
    assert predictions.prediction.tolist() == [4.0, 7.0, 3.5]
    assert predictions.file.tolist() == ["a.csv", "a.csv", "b/c.csv"]


def holdings(machine: Platform) -> dict[str, int]:
    """Number of environments, models and bundles on the disk of a machine."""
    folders = ("environments", "models", "bundles")
    return {name: sum(entry.is_dir() for entry in (machine.data_dir / name).iterdir()) for name in folders}


def check_that_credentials_are_nowhere(spread: Machines, data_plane: Platform, batch: Platform) -> None:
    running = [process for machine in spread.started for process in machine.processes()]
    places = {
        "the database": spread.rows(),
        "the logs": spread.logs(),
        "a command line": "\n".join(" ".join(process.cmdline()) for process in running),
        "a run file": "\n".join(
            path.read_text(errors="replace") for path in spread.folder.glob("*/data/run/**/*.json")
        ),
    }
    assert all(places.values())
    for credential in credentials(spread.store):
        assert [place for place, content in places.items() if credential in content] == []
    workers = [machine.process("runtime/worker-", "--config") for machine in (data_plane, batch)]
    for process in (data_plane.process("gateway.main"), *workers):
        assert [name for name in process.environ() if names_a_store(name)] == []


@pytest.mark.long
def test_build_and_job_outlast_an_outage_of_the_object_store(passable_folder, database_url, broker_url, tmp_path):
    engine = open_database(database_url)
    with s3_server() as server, tcp_proxy(int(server.endpoint.rpartition(":")[2])) as proxy:
        through = server.through(f"http://127.0.0.1:{proxy.port}")
        with machines(passable_folder, replace(server, environment=through), engine, broker_url) as spread:
            control, _ = spread.start_building()
            spread.start_scoring()
            begin_online(control, save_model(tmp_path / "doubled"), tmp_path)
            wait_until(lambda: count(spread, "environment_builds"), 60, "the environment is being built")
            cut_off(proxy)
            check_the_endpoint(control)
            create_batch(control, tmp_path)
            check_the_job(control, tmp_path, lambda: cut_off(proxy))
    engine.dispose()


def cut_off(proxy: TcpProxy) -> None:
    proxy.close()
    time.sleep(OUTAGE_SECONDS)
    proxy.open()
