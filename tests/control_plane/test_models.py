"""Models: registration, rejected registrations, and registered versions."""

from pathlib import Path

import pytest

from control_plane.features.uploads import datastore_copy
from control_plane.resources.blob_container import ACCOUNT_SEGMENT, BlobContainer
from modelyard.client import Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.platform import Platform
from tests.control_plane.control import (
    MLMODEL,
    SUBSCRIPTION,
    TOKEN,
    WORKSPACE,
    Control,
    anonymous,
    concurrently,
    error_of,
)


def version_body(uri: str, **properties: object) -> dict[str, object]:
    return {"properties": {"modelType": "mlflow_model", "modelUri": uri, **properties}}


class TestRegistration:
    def test_version_has_the_fields_that_azures_sdk_reads(self, control):
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

    def test_container_shows_the_latest_and_the_next_version(self, control):
        assert control.ask("GET", "/models/m").status_code == 404
        for version in ("1", "9", "beta"):
            control.register(version=version)
        properties = control.get("/models/m")["properties"]
        assert (properties["latestVersion"], properties["nextVersion"]) == ("beta", "10")

    def test_latest_version_is_found_by_the_query_of_azures_sdk(self, control):
        latest = {"$orderBy": "createdtime desc", "$top": "1"}
        assert control.get("/models/m/versions", **latest)["value"] == []
        for version in ("2", "1"):
            control.register(version=version)
        assert [v["name"] for v in control.get("/models/m/versions", **latest)["value"]] == ["1"]

    def test_single_file_is_accepted_as_a_custom_model(self, control):
        upload = control.start_upload()
        anonymous.put(upload.url("weights.onnx"), content=b"onnx")
        body = {"properties": {"modelType": "custom_model", "modelUri": f"{upload.uri}/weights.onnx"}}
        assert control.put("/models/m/versions/1", body)["properties"]["flavors"] == {}
        assert control.get("/models/m/versions/1/files")["value"][0]["path"] == "weights.onnx"

    def test_manifest_paths_begin_with_the_folder_name(self, control):
        upload = control.start_upload()
        anonymous.put(upload.url("some/where/model/MLmodel"), content=MLMODEL)
        control.put("/models/m/versions/1", version_body(f"{upload.uri}/some/where/model"))
        assert [f["path"] for f in control.get("/models/m/versions/1/files")["value"]] == ["model/MLmodel"]

    def test_mlmodel_values_without_a_json_form_become_text(self, control):
        text = b"flavors:\n  python_function: {loader_module: a.b, d: 2020-01-01, n: .nan, 3: x, b: !!binary AAA=}\n"
        uri = control.upload({"MLmodel": text})
        flavor = control.put("/models/m/versions/1", version_body(uri))["properties"]["flavors"]["python_function"]
        assert flavor["data"]["d"] == "2020-01-01"
        assert flavor["data"]["n"] == ".nan"

    def test_concurrent_puts_of_a_version_register_it_once(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        answers = concurrently(4, lambda: control.ask("PUT", "/models/m/versions/1", version_body(uri)).status_code)
        assert answers.count(201) == 1
        assert set(answers) <= {200, 201, 400}  # 400: a concurrent PUT has just ended the upload.
        assert len(control.get("/models/m/versions")["value"]) == 1

    def test_chunk_that_disappears_during_registration_is_400(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        for key in list(control.store.list("uploads/")):
            control.store.delete(key)

        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(uri)), 400)
        assert error["code"] == "UploadIncomplete"
        assert "no longer stored" in error["message"]


FOLDER = f"LocalUpload/{'0f' * 32}/mlmodel"
FILES = {"MLmodel": MLMODEL, "data/model.pkl": b"weights"}
SHORT = f"azureml://datastores/workspaceblobstore/paths/{FOLDER}"
LONG = (
    f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/local/workspaces/default/datastores/workspaceblobstore"
    f"/paths/{FOLDER}"
)


def container_url(control: Control) -> str:
    key = int(control.get("")["properties"]["workspaceId"])
    return f"{control.url}/{ACCOUNT_SEGMENT}/{BlobContainer(key, 'workspaceblobstore').name}"


def left_over(control: Control) -> list[str]:
    return [*control.store.list("blobs/"), *control.store.list("uploads/")]


class TestRegistrationFromADatastore:
    """As Azure's SDK registers: the files are in the datastore, and the PUT names the folder."""

    @pytest.mark.parametrize(
        "uri",
        [
            LONG,
            SHORT,
            f"{SHORT}/",
            f"azureml:/{WORKSPACE}/datastores/workspaceblobstore/paths/{FOLDER}",
            LONG.replace("resourcegroups", "resourceGroups").replace("default", "DEFAULT"),
            f"CONTAINER/{FOLDER}",
            f"CONTAINER/{FOLDER.replace('mlmodel', '%6Dlmodel')}?sv=2023&sig=x",
        ],
    )
    def test_every_spelling_of_a_folder_registers_its_files(self, control, uri):
        control.store_files(FOLDER, FILES)
        sent = uri.replace("CONTAINER", container_url(control)) if uri.startswith("CONTAINER") else uri
        body = version_body(sent, description="d", tags={"k": "v"}, properties={}, isAnonymous=False, isArchived=False)
        found = control.put("/models/m/versions/1", body)
        assert found["properties"]["modelUri"] == LONG
        assert found["properties"]["flavors"]["sklearn"]["data"]["pickled_model"] == "model.pkl"
        files = control.get("/models/m/versions/1/files")["value"]
        assert [file["path"] for file in files] == ["mlmodel/MLmodel", "mlmodel/data/model.pkl"]
        assert anonymous.get(files[1]["url"]).content == b"weights"
        assert not list(control.store.list("uploads/"))

    def test_registered_content_stays_when_the_folder_changes(self, control):
        control.store_files(FOLDER, FILES)
        before = control.put("/models/m/versions/1", version_body(LONG))
        files = control.get("/models/m/versions/1/files")["value"]
        control.store_files(FOLDER, {"data/model.pkl": b"other weights"})
        assert control.put("/models/m/versions/1", version_body(SHORT), 200)["properties"] == before["properties"]
        assert [file["sha256"] for file in control.get("/models/m/versions/1/files")["value"]] == [
            file["sha256"] for file in files
        ]
        copy = control.store_files("copy/mlmodel", FILES)
        control.put("/models/m/versions/1", version_body(copy), 200)
        control.store_files("copy/mlmodel", {"more": b"x"})
        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(copy)), 409)
        assert error["code"] == "VersionImmutable"

    @pytest.mark.parametrize("model_type", ["custom_model", "triton_model"])
    @pytest.mark.parametrize("place", ["file.pkl", "a folder"])
    def test_file_or_folder_of_another_format_is_registered_and_cannot_be_deployed_yet(
        self, control, model_type, place
    ):
        control.store_files("umläut", {"file.pkl": b"1", "a folder/x": b"2"})
        uri = f"azureml://datastores/workspaceblobstore/paths/umläut/{place}"
        model = control.put("/models/m/versions/1", {"properties": {"modelType": model_type, "modelUri": uri}})
        paths = [file["path"] for file in control.get("/models/m/versions/1/files")["value"]]
        assert paths == (["file.pkl"] if place == "file.pkl" else ["a folder/x"])
        deployment = f"{control.endpoint()}/deployments/blue"
        error = error_of(control.ask("PUT", deployment, {"properties": {"model": model["id"]}}), 400)
        assert f"is a {model_type}" in error["message"]

    def test_files_of_no_bytes_are_registered(self, control):
        uri = control.store_files("f", {"empty": b""})
        control.put("/models/m/versions/1", {"properties": {"modelUri": uri}})
        assert control.get("/models/m/versions/1/files")["value"][0]["size"] == 0

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("nothing/here", "no files at 'azureml://datastores/workspaceblobstore/paths/nothing/here'"),
            (f"{FOLDER}/MLmodel/", "no files at"),
            (f"{FOLDER}/data", "no MLmodel"),
            (f"{FOLDER}/MLmodel", "no MLmodel"),
            (f"{FOLDER.rpartition('/')[0]}", "'{folder}/mlmodel/MLmodel' exists"),
            ("", "whole datastore"),
            ("../workspaceblobstore", "'..'"),
            ("a/../../b", "'..'"),
            ("a\\b", "control characters"),
        ],
    )
    def test_place_without_a_model_is_400_and_leaves_nothing(self, control, path, expected):
        control.store_files(FOLDER, FILES)
        uri = f"azureml://datastores/workspaceblobstore/paths/{path}"
        answer = control.ask("PUT", "/models/m/versions/1", version_body(uri))
        assert expected.replace("{folder}", "0f" * 32) in error_of(answer, 400)["message"]
        assert left_over(control) == []
        assert control.ask("GET", "/models/m").status_code == 404

    @pytest.mark.parametrize("mlmodel", ["a: &a [x]\nb: [*a]\n", "flavors: " + "[" * 1000, "#" * ((1 << 20) + 1)])
    def test_hostile_mlmodel_file_is_400(self, control, mlmodel):
        control.store_files(FOLDER, {"MLmodel": mlmodel.encode()})
        assert error_of(control.ask("PUT", "/models/m/versions/1", version_body(LONG)), 400)["code"] == "InvalidModel"
        assert left_over(control) == []

    def test_place_of_another_workspace_is_400(self, control):
        other = control.in_workspace("other")
        control.store_files(FOLDER, FILES)
        for uri in (LONG, f"{container_url(control)}/{FOLDER}"):
            error = error_of(other.ask("PUT", "/models/m/versions/1", version_body(uri)), 400)
            assert "belongs to another workspace" in error["message"]
        assert "no files at" in error_of(other.ask("PUT", "/models/m/versions/1", version_body(SHORT)), 400)["message"]

    def test_too_many_bytes_or_files_are_413(self, make_control, monkeypatch):
        control = make_control(max_upload_bytes=len(MLMODEL) + 6)
        control.store_files(FOLDER, FILES)
        error_of(control.ask("PUT", "/models/m/versions/1", version_body(LONG)), 413)
        monkeypatch.setattr(datastore_copy, "MOST_FILES", 1)
        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(LONG)), 413)
        assert "more than 1 files" in error["message"]
        assert left_over(control) == []

    @pytest.mark.parametrize("change", ["added", "removed"])
    def test_folder_that_changes_while_it_is_read_is_409(self, control, monkeypatch, change):
        control.store_files(FOLDER, FILES)
        copy = control.store.copy

        def copy_and_change(source: str, target: str) -> None:
            copy(source, target)
            if change == "added":
                control.store_files(FOLDER, {"more": b"x"})
            else:
                control.store.delete(f"{control.datastores}/workspaceblobstore/{FOLDER}/data/model.pkl")

        monkeypatch.setattr(control.store, "copy", copy_and_change)
        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(LONG)), 409)
        assert "changed while they were read" in error["message"]
        assert left_over(control) == []


class TestAsAzuresSdkAsks:
    def test_names_with_the_prefix_of_references_are_read(self, control):
        found = control.get(control.register().removeprefix(WORKSPACE))
        latest = {"$orderBy": "createdtime desc", "$top": "1"}
        assert control.get("/models/azureml:m/versions", **latest)["value"] == [found]
        assert control.get("/MODELS/AzureML:m")["name"] == "m"
        assert control.get("/computes/azureml:local")["name"] == "local"

    @pytest.mark.parametrize(
        "reference",
        [
            "azureml:m@latest",
            "azureml:{id}",
            "{workspace}/models/m/labels/latest",
            "{workspace}/models/azureml:m/versions/labels/latest",
            "azureml://locations/local/workspaces/default/models/m/versions/2",
            "azureml://locations/west/workspaces/DEFAULT/models/m/labels/latest",
            f"azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/LOCAL/workspaces/default/models/m/versions/2",
        ],
    )
    def test_every_spelling_of_a_reference_is_read(self, control, reference):
        control.register()
        model = control.register(version="2")
        text = reference.format(id=model.upper().replace("/MODELS/M/", "/models/m/"), workspace=WORKSPACE)
        body = {"properties": {"model": text}}
        assert control.put(f"{control.endpoint()}/deployments/blue", body)["properties"]["model"] == model


class TestRejectedRegistration:
    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"conda.yaml": b"x"}, "no MLmodel"),
            ({"inner/MLmodel": MLMODEL}, "'model/inner/MLmodel'"),
            ({"MLmodel": b"{"}, "not valid YAML"),
            ({"MLmodel": b"a: 1"}, "flavors"),
            ({"MLmodel": b"flavors: {keras: {}}"}, "python_function"),
        ],
    )
    def test_folder_without_a_valid_mlmodel_file_is_400(self, control, files, expected):
        answer = control.ask("PUT", "/models/m/versions/1", version_body(control.upload(files)))
        error = error_of(answer, 400)
        assert error["code"] == "InvalidModel"
        assert expected in error["message"]
        assert control.get("/models")["value"] == []
        assert control.ask("GET", "/models/m").status_code == 404
        assert not list(control.store.list("blobs/"))

    def test_upload_without_files_is_400(self, control):
        error = error_of(
            control.ask("PUT", "/models/m/versions/1", version_body(f"{control.start_upload().uri}/model")), 400
        )
        assert error["code"] == "UploadIncomplete"

    @pytest.mark.parametrize("uri", [None, "", "https://elsewhere/model", "azureml://jobs/x/outputs/y", "file:///etc"])
    def test_uri_outside_uploads_is_400(self, control, uri):
        body = {"properties": {"modelType": "mlflow_model", "modelUri": uri}}
        assert "startPendingUpload" in error_of(control.ask("PUT", "/models/m/versions/1", body), 400)["message"]

    @pytest.mark.parametrize("path", ["/models/-m/versions/1", "/models/a b/versions/1", "/models/m/versions/a b"])
    def test_name_that_azure_rejects_is_400(self, control, path):
        uri = control.upload({"MLmodel": MLMODEL})
        assert error_of(control.ask("PUT", path, version_body(uri)), 400)["code"] == "InvalidName"

    def test_unknown_model_type_is_400(self, control):
        error_of(control.ask("PUT", "/models/m/versions/1", {"properties": {"modelType": "pickle"}}), 400)


class TestRegisteredVersion:
    def test_description_can_change_but_content_cannot(self, control):
        control.register()
        found = control.get("/models/m/versions/1")
        found["properties"]["tags"] = {"new": "tag"}
        assert control.put("/models/m/versions/1", found, 200)["properties"]["tags"] == {"new": "tag"}
        other = control.upload({"MLmodel": MLMODEL, "model.pkl": b"other weights"})
        error = error_of(control.ask("PUT", "/models/m/versions/1", version_body(other)), 409)
        assert error["code"] == "VersionImmutable"
        custom = {"properties": {"modelType": "custom_model"}}
        assert error_of(control.ask("PUT", "/models/m/versions/1", custom), 409)["code"] == "VersionImmutable"

    def test_put_of_the_same_content_is_200(self, control):
        control.register()
        again = control.upload({"MLmodel": MLMODEL, "model.pkl": b"weights"})
        control.put("/models/m/versions/1", version_body(again), 200)
        assert not list(control.store.list("uploads/"))

    def test_uri_of_a_registered_version_registers_its_files_again(self, control):
        control.register()
        uri = control.get("/models/m/versions/1")["properties"]["modelUri"]
        found = control.put("/models/copy/versions/1", version_body(uri))
        assert found["properties"]["modelUri"] == uri
        files = [
            [(file["path"], file["sha256"]) for file in control.get(f"/models/{name}/versions/1/files")["value"]]
            for name in ("m", "copy")
        ]
        assert files[0] == files[1]
        control.put("/models/weights/versions/1", {"properties": {"modelUri": f"{uri}/model.pkl"}})
        assert control.get("/models/weights/versions/1/files")["value"][0]["path"] == "model.pkl"
        error = error_of(control.ask("PUT", "/models/m/versions/2", version_body(f"{uri}/absent")), 400)
        assert error["code"] == "UploadIncomplete"

    def test_put_repeated_after_a_lost_response_is_200(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        control.put("/models/m/versions/1", version_body(uri))
        control.put("/models/m/versions/1", version_body(uri), 200)

    def test_archived_models_are_listed_only_on_request(self, control):
        control.register("kept")
        control.register("old")
        control.put("/models/old/versions/1", {"properties": {"isArchived": True}}, 200)
        assert control.get("/models/old/versions")["value"] == []
        assert len(control.get("/models/old/versions", listViewType="all")["value"]) == 1
        control.put("/models/old", {"properties": {"isArchived": True, "tags": {}, "properties": {}}}, 200)
        assert [m["name"] for m in control.get("/models")["value"]] == ["kept"]
        assert [m["name"] for m in control.get("/models", listViewType="ArchivedOnly")["value"]] == ["old"]
        error_of(control.ask("GET", "/models", params={"listViewType": "some"}), 400)

    def test_model_with_anonymous_versions_only_is_not_listed(self, control):
        uri = control.upload({"MLmodel": MLMODEL})
        control.put(f"/models/{'a' * 64}/versions/1", version_body(uri, isAnonymous=True))
        assert control.get("/models")["value"] == []

    def test_lists_are_paged(self, control):
        for number in range(5):
            control.put(f"/models/m{number}", {"properties": {}})
        page, names = control.get("/models", **{"$top": "2"}), []
        while True:
            names += [model["name"] for model in page["value"]]
            if "nextLink" not in page:
                break
            page = control.http.get(page["nextLink"]).json()
        assert names == [f"m{number}" for number in range(5)]

    def test_unused_version_can_be_deleted(self, control):
        control.register()
        control.register(version="2")
        assert control.ask("DELETE", "/models/m/versions/1").status_code == 200
        assert control.ask("DELETE", "/models/m/versions/1").status_code == 204
        assert control.ask("DELETE", "/models/m").status_code == 200
        assert control.ask("DELETE", "/models/m").status_code == 204
        assert control.ask("GET", "/models/m/versions/2").status_code == 404

    def test_version_in_use_cannot_be_deleted(self, control):
        model, endpoint = control.register(), control.endpoint()
        control.put(f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        assert "'blue'" in error_of(control.ask("DELETE", "/models/m/versions/1"), 409)["message"]
        assert "'blue'" in error_of(control.ask("DELETE", "/models/m"), 409)["message"]

    def test_version_of_a_retired_generation_can_be_deleted(self, control):
        first, second, endpoint = control.register(), control.register(version="2"), control.endpoint()
        path = control.deployment(endpoint, first)
        control.put(path, {"properties": {"model": second}}, 200)
        error_of(control.ask("DELETE", "/models/m/versions/1"), 409)
        control.build_and_start()
        assert control.ask("DELETE", "/models/m/versions/1").status_code == 200
        assert control.get(path)["properties"]["provisioningState"] == "Succeeded"


def test_client_uploads_and_downloads_a_folder_unchanged(control, tmp_path: Path):
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
