"""From YAML, or from a mere folder, to a deployment; and scoring it."""

import json

import pytest

from modelyard.client import ApiError, ScoringError
from modelyard.client.deploying import FolderDeployment, deploy_folder, endpoint_name_for
from modelyard.client.errors import InvalidDocument
from modelyard.client.watching import SilentWatcher

BLUE = {"name": "blue", "endpoint_name": "iris"}


class Notes(SilentWatcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture
def endpoint(client, platform):
    client.put_endpoint({"name": "iris"}).wait()
    return "iris"


class TestPutDeployment:
    def test_inline_model_is_registered_and_referenced(self, client, platform, endpoint, model_folder):
        document = {
            "name": "blue",
            "endpoint_name": endpoint,
            "model": {"name": "m", "version": 2, "path": model_folder.name, "type": "mlflow_model"},
        }
        client.put_deployment(document, model_folder.parent).wait()
        body = platform.at("/onlineEndpoints/iris/deployments/blue")
        assert body["properties"]["model"].endswith("/models/m/versions/2")
        assert body["properties"]["endpointComputeType"] == "Managed"
        assert body["sku"] == {"name": "Default", "capacity": 1}

    def test_latest_label_becomes_the_latest_version(self, client, platform, endpoint, model_folder, tmp_path):
        model = {"name": "m", "path": str(model_folder)}
        client.put_deployment({"name": "one", "endpoint_name": endpoint, "model": model}, tmp_path)
        client.put_deployment({"name": "two", "endpoint_name": endpoint, "model": "azureml:m@latest"}, tmp_path)
        deployment = platform.at("/onlineEndpoints/iris/deployments/two")
        assert deployment["properties"]["model"].endswith("/models/m/versions/1")

    def test_unknown_model_is_an_error_and_creates_no_deployment(self, client, platform, endpoint, tmp_path):
        with pytest.raises(ApiError, match="there is no model 'nothing'"):
            client.put_deployment(
                {"name": "blue", "endpoint_name": endpoint, "model": "azureml:nothing@latest"}, tmp_path
            )
        assert not platform.exists("/onlineEndpoints/iris/deployments/blue")

    def test_inline_environment_is_registered_under_a_content_hash(self, client, platform, endpoint, model_folder):
        (model_folder.parent / "conda.yaml").write_text("dependencies: [python=3.11]\n")
        document = {
            "name": "blue",
            "endpoint_name": endpoint,
            "model": {"path": "model"},
            "environment": {"conda_file": "conda.yaml", "image": "mcr.microsoft.com/azureml/base"},
        }
        with pytest.warns(UserWarning, match="^environment: image has no effect: packages come from conda_file alone"):
            client.put_deployment(document, model_folder.parent)
        body = platform.at("/onlineEndpoints/iris/deployments/blue")
        assert "/environments/CliV2AnonymousEnvironment/versions/" in body["properties"]["environmentId"]

    @pytest.mark.parametrize(
        ("document", "match"),
        [
            ({"endpoint_name": "iris", "model": "azureml:m:1"}, "missing name"),
            ({"name": "blue", "model": "azureml:m:1"}, "missing endpoint_name"),
            ({"name": "blue", "endpoint_name": "iris"}, "no model"),
            ({"name": "blue", "endpoint_name": "iris", "code_configuration": {"code": "."}}, "code_configuration"),
        ],
    )
    def test_missing_field_is_named_in_the_error(self, client, tmp_path, document, match):
        with pytest.raises(InvalidDocument, match=match):
            client.put_deployment(document, tmp_path)


class TestPutEndpoint:
    def test_second_put_keeps_the_traffic(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        client.put_endpoint({"name": "iris", "tags": {"a": "b"}})
        endpoint = platform.at("/onlineEndpoints/iris")
        assert (endpoint["tags"], endpoint["properties"]["traffic"]) == ({"a": "b"}, {"default": 100})


class TestDeployFolder:
    def test_result_has_url_key_and_the_request_that_the_gateway_shows(self, client, platform, model_folder):
        sample = {"input_data": {"columns": ["x", "n"], "data": [[1.0, 1]]}}
        swagger = {"definitions": {"ServiceInput": {"example": sample}}}
        platform.answers["GET", "/iris/swagger.json"] = (200, swagger)
        deployed = deploy_folder(client, FolderDeployment(model_folder, "iris"))
        assert deployed.scoring_uri == f"{platform.url}/iris/score"
        assert deployed.key == client.online_endpoints.credentials("iris").bearer
        assert (deployed.example, deployed.named) == (sample, None)
        assert platform.at("/onlineEndpoints/iris")["properties"]["traffic"] == {"default": 100}

    @pytest.mark.parametrize("answer", [(404, {}), (200, b"{"), (200, {"definitions": {}}), (200, [])])
    def test_platform_without_a_sample_gives_none(self, client, platform, model_folder, answer):
        platform.answers["GET", "/iris/swagger.json"] = answer
        assert deploy_folder(client, FolderDeployment(model_folder, "iris")).example is None

    def test_unchanged_folder_sends_no_put(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        platform.requests.clear()
        assert not deploy_folder(client, FolderDeployment(model_folder, "iris")).changed
        assert not platform.said("PUT")

    def test_changed_folder_becomes_the_next_version_and_is_deployed(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        (model_folder / "data" / "weights.bin").write_bytes(b"better")
        assert deploy_folder(client, FolderDeployment(model_folder, "iris")).changed
        deployment = platform.at("/onlineEndpoints/iris/deployments/default")
        assert deployment["properties"]["model"].endswith("/models/iris/versions/2")

    def test_changed_instance_count_updates_the_deployment(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        assert deploy_folder(client, FolderDeployment(model_folder, "iris", instance_count=3)).changed
        assert platform.at("/onlineEndpoints/iris/deployments/default")["sku"]["capacity"] == 3

    def test_traffic_of_other_deployments_stays_with_a_note(self, client, platform, model_folder):
        client.put_endpoint({"name": "iris"}).wait()
        for name in ("blue", "green"):
            document = {"name": name, "endpoint_name": "iris", "model": {"path": str(model_folder)}}
            client.put_deployment(document, model_folder).wait()
        client.online_endpoints.set_traffic("iris", {"blue": 90, "green": 10}).wait()
        notes = Notes()
        deployed = deploy_folder(client, FolderDeployment(model_folder, "iris"), notes)
        assert deployed.named == "default"
        assert platform.at("/onlineEndpoints/iris")["properties"]["traffic"] == {"blue": 90, "green": 10}
        assert "blue=90 green=10" in notes.notes[0]

    def test_without_wait_no_operation_is_polled(self, client, platform, model_folder):
        client.put_endpoint({"name": "iris"}).wait()
        platform.requests.clear()
        deploy_folder(client, FolderDeployment(model_folder, "iris", wait=False))
        assert not any("mfeOperations" in path for path in platform.said("GET"))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("model", "model"),
        ("My Iris_Model.v2", "my-iris-model-v2"),
        ("7", "model-7"),
        ("m", "m-model"),
        ("x" * 40, "x" * 32),
        ("größe", "gr-e"),
        ("模型", "model"),
    ],
)
def test_endpoint_name_is_the_folder_name_within_azures_rules(tmp_path, folder, name):
    assert endpoint_name_for(tmp_path / folder) == name


class TestInvoke:
    def test_response_body_is_returned_unchanged(self, client, platform, endpoint):
        platform.answers["POST", "/iris/score"] = (200, [1.5, None])
        assert json.loads(client.invoke("iris", b'{"input_data": [[1]]}')) == [1.5, None]

    @pytest.mark.parametrize(
        ("status", "meaning"),
        [
            (401, "does not accept this key"),
            (404, "no deployment receives this request"),
            (408, "request_timeout_ms"),
            (424, "the model itself failed"),
            (429, "too many requests"),
            (503, "no worker of the deployment is ready"),
        ],
    )
    def test_error_without_a_body_is_explained_by_its_status(self, client, platform, endpoint, status, meaning):
        platform.answers["POST", "/iris/score"] = (status, b"")
        with pytest.raises(ScoringError, match=f"{meaning}.*\\({status}\\)"):
            client.invoke("iris", b"{}")

    def test_error_message_of_the_endpoint_is_kept(self, client, platform, endpoint):
        details = [{"code": "LogReference", "message": "r-1"}]
        body = {"error": {"code": "ModelError", "message": "the model raised ValueError", "details": details}}
        platform.answers["POST", "/iris/score"] = (424, body)
        with pytest.raises(ScoringError, match=r"^the model raised ValueError \(424\)$") as caught:
            client.invoke("iris", b"{}")
        assert caught.value.violations == ()

    def test_every_signature_violation_is_kept(self, client, platform, endpoint):
        details = [{"code": "MissingColumn", "message": "column 'x' is missing"}, {"message": "'n' is no long"}]
        body = {"error": {"code": "SignatureViolation", "message": "2 violations", "details": details}}
        platform.answers["POST", "/iris/score"] = (400, body)
        with pytest.raises(ScoringError) as caught:
            client.invoke("iris", b"{}")
        assert caught.value.violations == ("column 'x' is missing", "'n' is no long")
