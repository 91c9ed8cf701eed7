"""Registering models: what is taken, what is refused, and that nothing half-made stays."""

from pathlib import Path

import pytest

from modelyard.client import Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.platform import Platform
from tests.control_plane.control import MLMODEL, TOKEN, WORKSPACE, anybody, at_once, error_of


def version_body(uri: str, **properties: object) -> dict[str, object]:
    return {"properties": {"modelType": "mlflow_model", "modelUri": uri, **properties}}


class TestRegistering:
    def test_a_version_has_what_azures_sdk_reads(self, control):
        uri = control.upload({"MLmodel": MLMODEL, "data/model.pkl": b"weights"})
        body = version_body(uri, description="d", tags={"k": "v"}, properties={}, isAnonymous=False)
        found = control.put("/models/My.Model/versions/3", body)
        assert found["id"] == f"{WORKSPACE}/models/My.Model/versions/3"
        assert (found["name"], found["type"]) == ("3", "Microsoft.MachineLearningServices/workspaces/models/versions")
        properties = found["properties"]
        assert properties["flavors"]["sklearn"]["data"]["pickled_model"] == "model.pkl"
        assert properties["flavors"]["sklearn"]["data"]["code"] is None
        assert properties["flavors"]["python_function"]["data"]["loader_module"] == "mlflow.sklearn"
        assert (properties["description"], properties["tags"], properties["isArchived"]) == ("d", {"k": "v"}, False)
        assert properties["modelUri"].endswith("/model")
        assert set(found["systemData"]) >= {"createdAt", "lastModifiedAt"}
        assert control.get("/models/My.Model/versions/3") == found

    def test_its_container_tells_the_latest_and_the_next_version(self, control):
        assert control.ask("GET", "/models/m").status_code == 404
        for version in ("1", "9", "beta"):
            control.register(version=version)
        properties = control.get("/models/m")["properties"]
        assert (properties["latestVersion"], properties["nextVersion"]) == ("beta", "10")

    def test_the_latest_is_found_as_azures_sdk_asks_for_it(self, control):
        latest = {"$orderBy": "createdtime desc", "$top": "1"}
        assert control.get("/models/m/versions", **latest)["value"] == []
        for version in ("2", "1"):
            control.register(version=version)
        assert [v["name"] for v in control.get("/models/m/versions", **latest)["value"]] == ["1"]

    def test_any_file_can_be_a_custom_model(self, control):
        upload = control.start_upload()
        anybody.put(upload.url("weights.onnx"), content=b"onnx")
        body = {"properties": {"modelType": "custom_model", "modelUri": f"{upload.uri}/weights.onnx"}}
        assert control.put("/models/m/versions/1", body)["properties"]["flavors"] == {}
        assert control.get("/models/m/versions/1/files")["value"][0]["path"] == "weights.onnx"

    def test_only_the_folders_own_name_is_kept_of_its_path(self, control):
        upload = control.start_upload()
        anybody.put(upload.url("some/where/model/MLmodel"), content=MLMODEL)
        control.put("/models/m/versions/1", version_body(f"{upload.uri}/some/where/model"))
        assert [f["path"] for f in control.get("/models/m/versions/1/files")["value"]] == ["model/MLmodel"]

    def test_yaml_that_is_no_json_does_no_harm(self, control):
        text = b"flavors:\n  python_function: {loader_module: a.b, d: 2020-01-01, n: .nan, 3: x, b: !!binary AAA=}\n"
        uri = control.upload({"MLmodel": text})
        flavor = control.put("/models/m/versions/1", version_body(uri))["properties"]["flavors"]["python_function"]
        assert flavor["data"]["d"] == "2020-01-01"
        assert flavor["data"]["n"] == "NaN"

    def test_raced_puts_of_one_version_give_one(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        answers = at_once(4, lambda: control.ask("PUT", "/models/m/versions/1", version_body(uri)).status_code)
        assert answers.count(201) == 1
        assert set(answers) <= {200, 201, 400}  # 400: the upload was just taken
        assert len(control.get("/models/m/versions")["value"]) == 1

    def test_an_upload_whose_content_is_taken_meanwhile_is_refused_and_not_a_failure(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        for key in list(control.store.list("uploads/")):
            control.store.delete(key)

        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(uri)), 400)
        assert error["code"] == "UploadIncomplete"
        assert "no longer stored" in error["message"]


class TestRefusing:
    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ({"conda.yaml": b"x"}, "no MLmodel"),
            ({"inner/MLmodel": MLMODEL}, "'model/inner/MLmodel'"),
            ({"MLmodel": b"{"}, "not valid YAML"),
            ({"MLmodel": b"a: 1"}, "flavors"),
            ({"MLmodel": b"flavors: {keras: {}}"}, "python_function"),
        ],
    )
    def test_a_folder_that_is_no_mlflow_model(self, control, files, said):
        answer = control.ask("PUT", "/models/m/versions/1", version_body(control.upload(files)))
        error = error_of(answer, 400)
        assert error["code"] == "InvalidModel"
        assert said in error["message"]
        assert control.get("/models")["value"] == []
        assert control.ask("GET", "/models/m").status_code == 404
        assert not list(control.store.list("blobs/"))

    def test_an_upload_without_files_is_named(self, control):
        error = error_of(
            control.ask("PUT", "/models/m/versions/1", version_body(f"{control.start_upload().uri}/model")), 400
        )
        assert error["code"] == "UploadIncomplete"

    @pytest.mark.parametrize("uri", [None, "", "https://elsewhere/model", "azureml://jobs/x/outputs/y", "file:///etc"])
    def test_a_uri_that_is_no_upload(self, control, uri):
        body = {"properties": {"modelType": "mlflow_model", "modelUri": uri}}
        assert "startPendingUpload" in error_of(control.ask("PUT", "/models/m/versions/1", body), 400)["message"]

    @pytest.mark.parametrize("path", ["/models/-m/versions/1", "/models/a b/versions/1", "/models/m/versions/a b"])
    def test_a_name_that_azure_would_refuse(self, control, path):
        uri = control.upload({"MLmodel": MLMODEL})
        assert error_of(control.ask("PUT", path, version_body(uri)), 400)["code"] == "InvalidName"

    def test_a_type_that_is_none(self, control):
        error_of(control.ask("PUT", "/models/m/versions/1", {"properties": {"modelType": "pickle"}}), 400)


class TestARegisteredVersion:
    def test_its_description_may_change_and_its_content_not(self, control):
        control.register()
        found = control.get("/models/m/versions/1")
        found["properties"]["tags"] = {"new": "tag"}
        assert control.put("/models/m/versions/1", found, 200)["properties"]["tags"] == {"new": "tag"}
        other = control.upload({"MLmodel": MLMODEL, "model.pkl": b"other weights"})
        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(other)), 409)
        assert error["code"] == "VersionImmutable"
        custom = {"properties": {"modelType": "custom_model"}}
        assert error_of(control.ask("PUT", "/models/m/versions/1", custom), 409)["code"] == "VersionImmutable"

    def test_the_same_content_may_be_sent_again(self, control):
        control.register()
        again = control.upload({"MLmodel": MLMODEL, "model.pkl": b"weights"})
        control.put("/models/m/versions/1", version_body(again), 200)
        assert not list(control.store.list("uploads/"))

    def test_a_put_repeated_after_its_answer_was_lost_is_the_same_version(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        control.put("/models/m/versions/1", version_body(uri))
        control.put("/models/m/versions/1", version_body(uri), 200)

    def test_what_is_archived_is_not_listed_unless_asked_for(self, control):
        control.register("kept")
        control.register("old")
        control.put("/models/old/versions/1", {"properties": {"isArchived": True}}, 200)
        assert control.get("/models/old/versions")["value"] == []
        assert len(control.get("/models/old/versions", listViewType="all")["value"]) == 1
        control.put("/models/old", {"properties": {"isArchived": True, "tags": {}, "properties": {}}}, 200)
        assert [m["name"] for m in control.get("/models")["value"]] == ["kept"]
        assert [m["name"] for m in control.get("/models", listViewType="ArchivedOnly")["value"]] == ["old"]
        error_of(control.ask("GET", "/models", params={"listViewType": "some"}), 400)

    def test_anonymous_ones_are_nobodys_models(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        control.put(f"/models/{'a' * 64}/versions/1", version_body(uri, isAnonymous=True))
        assert control.get("/models")["value"] == []

    def test_lists_come_a_page_at_a_time(self, control):
        for number in range(5):
            control.put(f"/models/m{number}", {"properties": {}})
        page, names = control.get("/models", **{"$top": "2"}), []
        while True:
            names += [model["name"] for model in page["value"]]
            if "nextLink" not in page:
                break
            page = control.http.get(page["nextLink"]).json()
        assert names == [f"m{number}" for number in range(5)]

    def test_it_can_be_deleted_while_nothing_uses_it(self, control):
        control.register()
        control.register(version="2")
        assert control.ask("DELETE", "/models/m/versions/1").status_code == 200
        assert control.ask("DELETE", "/models/m/versions/1").status_code == 204
        assert control.ask("DELETE", "/models/m").status_code == 200
        assert control.ask("DELETE", "/models/m").status_code == 204
        assert control.ask("GET", "/models/m/versions/2").status_code == 404

    def test_it_cannot_be_deleted_while_a_deployment_uses_it(self, control):
        model, endpoint = control.register(), control.endpoint()
        control.put(f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        assert "'blue'" in error_of(control.ask("DELETE", "/models/m/versions/1"), 409)["message"]
        assert "'blue'" in error_of(control.ask("DELETE", "/models/m"), 409)["message"]

    def test_what_was_replaced_by_another_version_can_be_deleted(self, control):
        first, second, endpoint = control.register(), control.register(version="2"), control.endpoint()
        path = control.deployment(endpoint, first)
        control.put(path, {"properties": {"model": second}}, 200)
        error_of(control.ask("DELETE", "/models/m/versions/1"), 409)
        control.build_and_start()
        assert control.ask("DELETE", "/models/m/versions/1").status_code == 200
        assert control.get(path)["properties"]["provisioningState"] == "Succeeded"


def test_our_own_client_brings_a_folder_there_and_back(control, tmp_path: Path):
    folder = tmp_path / "linear"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "MLmodel").write_bytes(MLMODEL)
    (folder / "deep" / "er" / "weights äöü.bin").write_bytes(bytes(200_000))
    (folder / "empty").touch()
    with Client(Platform(control.url, TOKEN)) as client:
        first = client.models.register(LocalModel(folder, name="linear"))
        assert client.models.register(LocalModel(folder, name="linear"), reuse_latest=True)["id"] == first["id"]
        back = client.models.download("linear", None, tmp_path / "back")
    assert sorted(p.relative_to(back) for p in back.rglob("*")) == sorted(
        p.relative_to(folder) for p in folder.rglob("*")
    )
    assert (back / "deep" / "er" / "weights äöü.bin").read_bytes() == bytes(200_000)
