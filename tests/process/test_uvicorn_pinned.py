"""uvicorn's private modules are as they were when our subclasses of them were reviewed (docs/decisions/0010)."""

import hashlib
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import uvicorn
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
REVIEWED_MINOR = "0.54"
# The first 16 digits of the SHA-256 of each module that we subclass or whose attributes we set.
REVIEWED_MODULES = {
    "protocols/http/httptools_impl.py": "1d4e1c579df41684",
    "protocols/http/flow_control.py": "d39d16560df512f3",
    "server.py": "c1be9d133467a42a",
}
RECHECK = (
    "read the difference, then check data_plane/gateway/http_protocol.py (data_received, on_headers_complete, "
    "shutdown, cycle, flow, pipeline, parser), data_plane/gateway/whole_answers.py (RequestResponseCycle's fields) and "
    "modelyard/process/http_server.py (serve, shutdown, capture_signals, servers, should_exit) against it, run "
    "tests/data_plane/gateway/test_connections.py, test_http.py and test_fuzz.py, and renew this test"
)


def test_installed_uvicorn_has_the_reviewed_minor_version():
    assert version("uvicorn").startswith(f"{REVIEWED_MINOR}."), (
        f"uvicorn {version('uvicorn')} is installed, and {REVIEWED_MINOR} was reviewed: {RECHECK}"
    )


def test_server_distribution_admits_only_the_reviewed_minor_version():
    document = tomllib.loads((ROOT / "server" / "pyproject.toml").read_text())
    (uvicorn_requirement,) = [
        requirement
        for requirement in map(Requirement, document["project"]["dependencies"])
        if requirement.name == "uvicorn"
    ]
    major, minor = map(int, REVIEWED_MINOR.split("."))
    assert uvicorn_requirement.specifier.contains(f"{REVIEWED_MINOR}.0")
    assert not uvicorn_requirement.specifier.contains(f"{major}.{minor + 1}.0"), RECHECK


@pytest.mark.parametrize("module", REVIEWED_MODULES)
def test_private_module_of_uvicorn_is_unchanged(module):
    content = (Path(uvicorn.__file__).parent / module).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    assert digest == REVIEWED_MODULES[module], f"uvicorn/{module} has changed (now {digest}): {RECHECK}"
