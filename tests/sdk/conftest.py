"""A platform with https for the clients of others: releases of the Azure SDK, and MLflow."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import temporary_folder
from tests.e2e.models import ROWS, linear_model, save_sklearn
from tests.e2e.platform import Platform, wait_until
from tests.sdk.azure_run import AzureRun

# An environment of the SDK, without Modelyard, runs these tests.
collect_ignore = ["azure_areas"]


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with temporary_folder() as folder:
        platform = Platform(folder)
        options = ("--tls", "--tls-port", "0", "--scoring-tls-port", "0", "--builders", "1", "--batch-workers", "1")
        platform.start(*options)
        yield platform
        platform.stop()
        wait_until(lambda: not platform.processes(), 30, "no process is left")


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    save_sklearn(folder / "linear")
    (folder / "rows.json").write_text(_request(ROWS))
    (folder / "incomplete.json").write_text(_request(ROWS[["x"]]))
    (folder / "expected.json").write_text(json.dumps(linear_model().predict(ROWS).tolist()))
    for name in ("rows", "wrong_rows", "table"):
        (folder / name).mkdir()
    ROWS.to_csv(folder / "rows" / "a.csv", index=False)
    ROWS.to_csv(folder / "rows" / "b.csv", index=False)
    (folder / "row_count").write_text(str(2 * len(ROWS)))
    ROWS[["x"]].to_csv(folder / "wrong_rows" / "a.csv", index=False)
    (folder / "table" / "MLTable").write_text("paths:\n  - file: ./a.csv\n")
    ROWS.to_csv(folder / "table" / "a.csv", index=False)
    return folder


def _request(rows: pd.DataFrame) -> str:
    return json.dumps({"input_data": rows.to_dict(orient="split")})


@pytest.fixture(scope="session")
def client_variables(platform: Platform) -> dict[str, str]:
    """The variables by which clients on this machine find and trust the platform."""
    return json.loads(platform.cli("client-env", "--format", "json").stdout)


@pytest.fixture(scope="session")
def azure_run(client_variables: dict[str, str], inputs: Path) -> Callable[[str], AzureRun]:
    """The run of all areas by a release. Each release runs once."""

    @cache
    def run(release: str) -> AzureRun:
        return AzureRun.of(release, inputs, client_variables)

    return run
