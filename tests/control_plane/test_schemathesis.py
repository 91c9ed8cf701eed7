"""Schemathesis makes requests from the published OpenAPI document and compares the answers with the document."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control_plane.control import SUBSCRIPTION, TOKEN, Control

# Names that Schemathesis makes are those of nothing.
_CONFIGURATION = f"""
[parameters]
"path.subscription" = "{SUBSCRIPTION}"
"path.resource_group" = "local"
"path.workspace" = "default"
"path.location" = "local"
"path.name" = ["one", "new"]
"path.version" = ["1", "2"]
"path.endpoint" = ["one", "two", "new"]
"path.deployment" = ["one", "new"]
"path.job" = ["one", "one-run"]
"path.run" = ["one", "one-run"]
"""
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
_GENERATED = re.compile(r"(\d+) generated")
_SECONDS = 1800


def fill(control: Control) -> None:
    """Make a resource of each noun, with the names of the configuration."""
    model = control.register("one")
    control.put("/environments/one/versions/1", {"properties": {"condaFile": "dependencies: [python=3.11]"}})
    control.put("/data/one/versions/1", {"properties": {"dataUri": control.place()["uri"], "dataType": "uri_folder"}})
    control.put("/codes/one/versions/1", {"properties": {"codeUri": control.store_files("code", {"score.py": b"1"})}})
    control.put("/computes/one", {"properties": {"computeType": "AmlCompute"}})
    control.put("/tokens/one", {"properties": {"subject": "one", "roles": [{"role": "reader"}]}})
    control.deployment(control.endpoint("one"), model, "one")
    batch = control.batch_endpoint("two")
    control.batch_deployment(batch, model, "one")
    control.submit(batch, {"name": "one", "inputData": {"in": control.place()}})


@pytest.mark.parametrize(
    ("phases", "examples", "least"),
    [
        ("examples,fuzzing,stateful", 2, 200),
        pytest.param(
            "examples,coverage,fuzzing,stateful", 60, 5000, marks=[pytest.mark.long, pytest.mark.timeout(_SECONDS)]
        ),
    ],
    ids=["few requests", "5000 requests"],
)
def test_no_answer_is_a_5xx_or_outside_the_document(
    control: Control, tmp_path: Path, phases: str, examples: int, least: int
):
    fill(control)
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(_CONFIGURATION)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={configuration}",
            "run",
            f"{control.url}/openapi.json",
            f"--header=Authorization: Bearer {TOKEN}",
            f"--checks={','.join(_CHECKS)}",
            f"--phases={phases}",
            f"--max-examples={examples}",
            "--seed=1",
            "--generation-database=none",
            "--suppress-health-check=all",
            "--continue-on-failure",
            "--no-shrink",
            "--no-color",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    assert int(_GENERATED.search(done.stdout)[1]) >= least, done.stdout
