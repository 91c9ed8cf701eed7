"""Operation of a running platform: scale, tokens, concurrent changes, secrets, clean-up."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.e2e.models import answering, save_loader
from tests.e2e.platform import wait_until

ROW = {"input_data": [[1.0, 0.5, 1]]}


def deployments_of(platform, endpoint: str) -> list[dict]:
    return platform.list(f"/onlineEndpoints/{endpoint}/deployments")


def settled(platform, path: str) -> dict:
    """The resource, as soon as no operation on the resource is running."""

    def found() -> dict:
        body = platform.rest("GET", path).json()
        return body if body["properties"]["provisioningState"] in ("Succeeded", "Failed") else {}

    return wait_until(found, 60, f"no operation on {path}")


class TestScaling:
    def test_number_of_workers_follows_the_instance_count(self, platform, tour):
        name = deployments_of(platform, tour)[0]["name"]
        path = f"/onlineEndpoints/{tour}/deployments/{name}"
        for count in (2, 1):
            assert platform.rest("PATCH", path, {"sku": {"name": "Default", "capacity": count}}).status_code < 300
            assert settled(platform, path)["sku"]["capacity"] == count
            wait_until(lambda count=count: len(platform.workers_of(tour)) == count, 30, f"{count} workers")
            assert platform.score(tour, ROW).status_code == 200


class TestTokens:
    def test_endpoint_with_token_authentication_accepts_its_token_and_no_altered_token(self, platform, light_folder):
        body = {"location": "local", "properties": {"authMode": "AMLToken"}}
        platform.rest("PUT", "/onlineEndpoints/by-token", body)
        settled(platform, "/onlineEndpoints/by-token")
        platform.cli("deploy", light_folder, "--endpoint-name", "by-token")
        token = platform.rest("POST", "/onlineEndpoints/by-token/token").json()["accessToken"]
        assert platform.score("by-token", ROW, key=token).status_code == 200
        assert platform.score("by-token", ROW, key=token[:-4] + "AAAA").status_code == 401


class TestConcurrentChanges:
    def test_of_concurrent_puts_one_succeeds_and_the_others_may_conflict(self, platform, tour):
        endpoint = platform.rest("GET", f"/onlineEndpoints/{tour}").json()
        with ThreadPoolExecutor(4) as pool:
            tries = [pool.submit(platform.rest, "PUT", f"/onlineEndpoints/{tour}", endpoint) for _ in range(4)]
        statuses = sorted(each.result().status_code for each in tries)
        assert statuses[0] == 200
        assert set(statuses) <= {200, 409}
        settled(platform, f"/onlineEndpoints/{tour}")

    def test_deployment_on_an_endpoint_under_deletion_is_refused(self, platform, light_folder):
        platform.cli("deploy", light_folder, "--endpoint-name", "leaving")
        model = deployments_of(platform, "leaving")[0]["properties"]["model"]
        assert platform.rest("DELETE", "/onlineEndpoints/leaving").status_code == 202
        body = {"location": "local", "properties": {"model": model}, "sku": {"name": "Default", "capacity": 1}}
        refused = platform.rest("PUT", "/onlineEndpoints/leaving/deployments/late", body)
        assert refused.status_code in (404, 409)
        assert refused.json()["error"]["message"]
        wait_until(
            lambda: platform.rest("GET", "/onlineEndpoints/leaving").status_code == 404, 60, "the endpoint is deleted"
        )
        assert not platform.workers_of("leaving")


SPY = """
import os

def readable(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(1) or True)
    except OSError:
        return False

class Spy:
    def predict(self, model_input, params=None):
        return [path for path in model_input if readable(path)]

def _load_pyfunc(path):
    return Spy()
"""


@pytest.fixture(scope="module")
def spy(platform, tmp_path_factory) -> str:
    """A model that answers the names of the readable files of a request."""
    platform.cli("deploy", save_loader(tmp_path_factory.mktemp("spy") / "m", SPY), "--endpoint-name", "spy")
    return "spy"


class TestSecrets:
    def secrets(self, platform) -> set[str]:
        files = [path for path in (platform.data_dir / "secrets").iterdir() if path.is_file()]
        return {path.read_text().strip() for path in files} | {platform.key("spy"), platform.key("tour")}

    def test_worker_has_no_secret_of_the_platform_in_its_variables_arguments_or_files(self, platform, tour, spy):
        (worker,) = platform.workers_of(spy)
        process = psutil.Process(worker["process"]["pid"])
        said = " ".join([*process.cmdline(), *process.environ().keys(), *process.environ().values()])
        held = Path(worker["folder"])
        said += "".join(path.read_text(errors="replace") for path in held.rglob("*") if path.is_file())
        for secret in self.secrets(platform):
            assert secret not in said
        assert not [name for name in process.environ() if name.startswith("MODELYARD")]

    def test_worker_has_no_open_file_of_the_platform_but_its_log(self, platform, spy):
        (worker,) = platform.workers_of(spy)
        kinds = {os.readlink(entry) for entry in Path(f"/proc/{worker['process']['pid']}/fd").iterdir()}
        files = {kind for kind in kinds if kind.startswith("/")}
        assert files <= {"/dev/null", "/dev/urandom", str(worker["log"])}

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can run models as another user")
    def test_model_cannot_read_files_of_a_platform_that_root_runs(self, platform, spy):
        secret = [str(path) for path in (platform.data_dir / "secrets").iterdir()]
        others = [str(platform.data_dir / "run" / "routing.json"), str(platform.data_dir / "logs" / "host.log")]
        assert platform.score(spy, {"input_data": ["/etc/hosts"]}).json() == ["/etc/hosts"]
        assert platform.score(spy, {"input_data": [*secret, *others]}).json() == []


def test_prune_removes_only_environments_that_no_deployment_uses(platform, tour, tmp_path):
    # The environment that test_deaths has left, or a new one.
    folder = save_loader(tmp_path / "m", answering("1"), pip=("pandas", "numpy", "six==1.13.0"))
    platform.cli("deploy", folder, "--endpoint-name", "short-lived")

    def folders() -> set[str]:
        return {entry["folder"] for entry in platform.list("/builtEnvironments")}

    before = folders()
    platform.cli("online-endpoint", "delete", "-n", "short-lived", "--yes")
    printed = platform.cli("environment", "prune").stdout.split()
    assert printed
    assert set(printed) == before - folders()
    assert {path.name for path in (platform.data_dir / "environments").iterdir() if path.is_dir()} == folders()
    assert platform.score(tour, ROW).status_code == 200
