"""Environments: conda specifications that deployments may name, and what was built."""

import pytest

from modelyard.core.db.rows import BuiltEnvironmentRow, GenerationRow
from tests.control_plane.control import WORKSPACE, error_of

CONDA = "name: e\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip:\n  - scikit-learn==1.5.0\n"


class TestRegistering:
    def test_a_version_has_what_azures_sdk_reads(self, control):
        properties = {"condaFile": CONDA, "image": "ubuntu", "isAnonymous": False, "isArchived": False}
        found = control.put("/environments/e/versions/1", {"properties": properties})
        assert found["id"] == f"{WORKSPACE}/environments/e/versions/1"
        assert (found["properties"]["condaFile"], found["properties"]["image"]) == (CONDA, "ubuntu")
        assert control.get("/environments/e")["properties"]["nextVersion"] == "2"
        assert control.get("/environments/e/versions", **{"$top": "1"})["value"] == [found]

    def test_an_anonymous_one_is_called_by_its_content(self, control):
        body = {"properties": {"condaFile": CONDA, "isAnonymous": True}}
        assert control.put(f"/environments/CliV2AnonymousEnvironment/versions/{'0f' * 32}", body)
        assert control.get("/environments")["value"] == []

    def test_its_description_may_change_and_its_specification_not(self, control):
        path = "/environments/e/versions/1"
        control.put(path, {"properties": {"condaFile": CONDA}})
        found = control.get(path)
        found["properties"]["tags"] = {"a": "b"}
        assert control.put(path, found, 200)["properties"]["tags"] == {"a": "b"}
        other = {"properties": {"condaFile": CONDA + "- pandas\n"}}
        assert error_of(control.ask("PUT", path, other), 409)["code"] == "VersionImmutable"

    @pytest.mark.parametrize(
        ("properties", "said"),
        [
            ({}, "no condaFile"),
            ({"image": "ubuntu"}, "no images"),
            ({"condaFile": "{"}, "not valid YAML"),
            ({"condaFile": "just words"}, "dependencies"),
            ({"condaFile": "dependencies: pandas"}, "dependencies"),
            ({"build": {"contextUri": "https://x/y", "dockerfilePath": "Dockerfile"}}, "build contexts"),
        ],
    )
    def test_what_cannot_be_built_is_refused(self, control, properties, said):
        error = error_of(control.ask("PUT", "/environments/e/versions/1", {"properties": properties}), 400)
        assert error["code"] == "InvalidEnvironment"
        assert said in error["message"]
        assert control.ask("GET", "/environments/e").status_code == 404

    def test_it_can_be_deleted_while_nothing_uses_it(self, control):
        control.put("/environments/e/versions/1", {"properties": {"condaFile": CONDA}})
        environment = control.put("/environments/e/versions/2", {"properties": {"condaFile": CONDA}})["id"]
        endpoint = control.endpoint()
        body = {"properties": {"model": control.register(), "environmentId": environment}}
        control.put(f"{endpoint}/deployments/blue", body)
        assert control.ask("DELETE", "/environments/e/versions/1").status_code == 200
        assert "'blue'" in error_of(control.ask("DELETE", "/environments/e/versions/2"), 409)["message"]
        error_of(control.ask("DELETE", "/environments/e"), 409)


class TestWhatWasBuilt:
    def test_it_is_listed_with_the_deployments_that_use_it(self, control):
        control.deployment(control.endpoint(), control.register())
        with control.sessions.begin() as session:
            for lock_hash in ("aa", "bb"):
                session.add(
                    BuiltEnvironmentRow(
                        lock_hash=lock_hash, folder=f"{lock_hash}-1", python_version="3.11.7", size_bytes=7
                    )
                )
            session.query(GenerationRow).update({"lock_hash": "aa"})
        used, unused = control.get("/builtEnvironments")["value"]
        assert used == {
            "lockHash": "aa",
            "folder": "aa-1",
            "pythonVersion": "3.11.7",
            "sizeBytes": 7,
            "usedBy": [{"endpoint": "ep-one", "deployment": "blue"}],
        }
        assert unused["usedBy"] == []

    def test_pruning_is_an_operation_of_a_builder(self, control):
        answer = control.ask("POST", "/pruneEnvironments")
        assert answer.status_code == 202
        operation = control.operation(answer)
        assert (operation["status"], operation["properties"]["step"]) == ("InProgress", "pruning")
        assert [str(each) for each in control.outbox.prunings] == [operation["name"]]
