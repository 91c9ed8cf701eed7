"""From YAML, or from a mere folder, to a deployment; and scoring it."""

import json

import pytest

from modelyard.client import ApiError, ScoringRefused
from modelyard.client.deploying import FolderDeployment, deploy_folder, endpoint_name_for
from modelyard.client.errors import InvalidDocument
from modelyard.client.watching import Unwatched

BLUE = {"name": "blue", "endpoint_name": "iris"}


class Notes(Unwatched):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture
def endpoint(client, platform):
    client.put_endpoint({"name": "iris"}).wait()
    return "iris"


class TestPutDeployment:
    def test_an_inline_model_is_registered_and_named_in_the_body(self, client, platform, endpoint, model_folder):
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

    def test_latest_is_asked_for(self, client, platform, endpoint, model_folder, tmp_path):
        model = {"name": "m", "path": str(model_folder)}
        client.put_deployment({"name": "one", "endpoint_name": endpoint, "model": model}, tmp_path)
        client.put_deployment({"name": "two", "endpoint_name": endpoint, "model": "azureml:m@latest"}, tmp_path)
        deployment = platform.at("/onlineEndpoints/iris/deployments/two")
        assert deployment["properties"]["model"].endswith("/models/m/versions/1")

    def test_an_unknown_model_is_told_before_anything_is_changed(self, client, platform, endpoint, tmp_path):
        with pytest.raises(ApiError, match="there is no model 'nothing'"):
            client.put_deployment(
                {"name": "blue", "endpoint_name": endpoint, "model": "azureml:nothing@latest"}, tmp_path
            )
        assert not platform.exists("/onlineEndpoints/iris/deployments/blue")

    def test_an_inline_environment_is_registered_by_its_content(self, client, platform, endpoint, model_folder):
        (model_folder.parent / "conda.yaml").write_text("dependencies: [python=3.11]\n")
        document = {
            "name": "blue",
            "endpoint_name": endpoint,
            "model": {"path": "model"},
            "environment": {"conda_file": "conda.yaml", "image": "mcr.microsoft.com/azureml/base"},
        }
        client.put_deployment(document, model_folder.parent)
        body = platform.at("/onlineEndpoints/iris/deployments/blue")
        assert "/environments/CliV2AnonymousEnvironment/versions/" in body["properties"]["environmentId"]

    @pytest.mark.parametrize(
        ("document", "match"),
        [
            ({"endpoint_name": "iris", "model": "azureml:m:1"}, "no name"),
            ({"name": "blue", "model": "azureml:m:1"}, "no endpoint_name"),
            ({"name": "blue", "endpoint_name": "iris"}, "no model"),
            ({"name": "blue", "endpoint_name": "iris", "code_configuration": {"code": "."}}, "code_configuration"),
        ],
    )
    def test_what_is_missing_is_named(self, client, tmp_path, document, match):
        with pytest.raises(InvalidDocument, match=match):
            client.put_deployment(document, tmp_path)


class TestPutEndpoint:
    def test_creating_it_again_keeps_its_traffic(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        client.put_endpoint({"name": "iris", "tags": {"a": "b"}})
        endpoint = platform.at("/onlineEndpoints/iris")
        assert (endpoint["tags"], endpoint["properties"]["traffic"]) == ({"a": "b"}, {"default": 100})


class TestDeployFolder:
    def test_it_ends_with_a_url_a_key_and_an_example(self, client, platform, model_folder):
        deployed = deploy_folder(client, FolderDeployment(model_folder, "iris"))
        assert deployed.scoring_uri == f"{platform.url}/iris/score"
        assert deployed.key == client.online_endpoints.credentials("iris").bearer
        assert deployed.example == {"input_data": {"columns": ["x", "n"], "data": [[1.0, 1]]}}
        assert platform.at("/onlineEndpoints/iris")["properties"]["traffic"] == {"default": 100}

    def test_again_with_the_same_content_it_changes_nothing(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        platform.requests.clear()
        assert not deploy_folder(client, FolderDeployment(model_folder, "iris")).changed
        assert not platform.said("PUT")

    def test_again_with_other_content_it_registers_the_next_version_and_updates(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        (model_folder / "data" / "weights.bin").write_bytes(b"better")
        assert deploy_folder(client, FolderDeployment(model_folder, "iris")).changed
        deployment = platform.at("/onlineEndpoints/iris/deployments/default")
        assert deployment["properties"]["model"].endswith("/models/iris/versions/2")

    def test_another_instance_count_alone_is_an_update(self, client, platform, model_folder):
        deploy_folder(client, FolderDeployment(model_folder, "iris"))
        assert deploy_folder(client, FolderDeployment(model_folder, "iris", instance_count=3)).changed
        assert platform.at("/onlineEndpoints/iris/deployments/default")["sku"]["capacity"] == 3

    def test_traffic_that_somebody_divided_stays_and_is_remarked_on(self, client, platform, model_folder):
        client.put_endpoint({"name": "iris"}).wait()
        for name in ("blue", "green"):
            document = {"name": name, "endpoint_name": "iris", "model": {"path": str(model_folder)}}
            client.put_deployment(document, model_folder).wait()
        client.online_endpoints.set_traffic("iris", {"blue": 90, "green": 10}).wait()
        notes = Notes()
        deploy_folder(client, FolderDeployment(model_folder, "iris"), notes)
        assert platform.at("/onlineEndpoints/iris")["properties"]["traffic"] == {"blue": 90, "green": 10}
        assert "blue=90 green=10" in notes.notes[0]

    def test_without_waiting_it_asks_after_no_operation(self, client, platform, model_folder):
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
def test_an_endpoint_is_named_like_the_folder_as_far_as_azure_allows(tmp_path, folder, name):
    assert endpoint_name_for(tmp_path / folder) == name


class TestInvoke:
    def test_the_answer_comes_back_as_it_is(self, client, platform, endpoint):
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
    def test_a_refusal_without_words_is_told_by_its_meaning(self, client, platform, endpoint, status, meaning):
        platform.answers["POST", "/iris/score"] = (status, b"")
        with pytest.raises(ScoringRefused, match=f"{meaning}.*\\({status}\\)"):
            client.invoke("iris", b"{}")

    def test_a_refusal_is_told_in_the_endpoints_own_words(self, client, platform, endpoint):
        details = [{"code": "LogReference", "message": "r-1"}]
        body = {"error": {"code": "ModelError", "message": "the model raised ValueError", "details": details}}
        platform.answers["POST", "/iris/score"] = (424, body)
        with pytest.raises(ScoringRefused, match=r"^the model raised ValueError \(424\)$") as caught:
            client.invoke("iris", b"{}")
        assert caught.value.violations == ()

    def test_every_violation_is_kept(self, client, platform, endpoint):
        details = [{"code": "MissingColumn", "message": "column 'x' is missing"}, {"message": "'n' is no long"}]
        body = {"error": {"code": "SignatureViolation", "message": "2 violations", "details": details}}
        platform.answers["POST", "/iris/score"] = (400, body)
        with pytest.raises(ScoringRefused) as caught:
            client.invoke("iris", b"{}")
        assert caught.value.violations == ("column 'x' is missing", "'n' is no long")
