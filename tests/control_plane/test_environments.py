"""Environments: conda specifications and built environments."""

import pytest
import yaml

from modelyard.core.db.rows import BuiltEnvironmentRow, GenerationRow
from tests.control_plane.control import WORKSPACE, error_of

CONDA = "name: e\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip:\n  - scikit-learn==1.5.0\n"


class TestRegistration:
    def test_version_has_the_fields_that_azures_sdk_reads(self, control):
        properties = {"condaFile": CONDA, "image": "ubuntu", "isAnonymous": False, "isArchived": False}
        found = control.put("/environments/e/versions/1", {"properties": properties})
        assert found["id"] == f"{WORKSPACE}/environments/e/versions/1"
        assert (found["properties"]["condaFile"], found["properties"]["image"]) == (CONDA, "ubuntu")
        assert control.get("/environments/e")["properties"]["nextVersion"] == "2"
        assert control.get("/environments/e/versions", **{"$top": "1"})["value"] == [found]

    def test_anonymous_version_may_be_named_by_a_long_hash(self, control):
        body = {"properties": {"condaFile": CONDA, "isAnonymous": True}}
        assert control.put(f"/environments/CliV2AnonymousEnvironment/versions/{'0f' * 32}", body)
        assert control.get("/environments")["value"] == []

    def test_description_can_change_but_conda_file_cannot(self, control):
        path = "/environments/e/versions/1"
        control.put(path, {"properties": {"condaFile": CONDA}})
        found = control.get(path)
        found["properties"]["tags"] = {"a": "b"}
        assert control.put(path, found, 200)["properties"]["tags"] == {"a": "b"}
        # Azure's SDK writes the specification anew, with sorted keys.
        anew = yaml.safe_dump(yaml.safe_load(CONDA), sort_keys=True)
        assert anew != CONDA
        assert control.put(path, {"properties": {"condaFile": anew}}, 200)["properties"]["condaFile"] == CONDA
        error_of(control.ask("PUT", path, {"properties": {"condaFile": "{"}}), 400)
        other = {"properties": {"condaFile": CONDA + "- pandas\n"}}
        assert error_of(control.ask("PUT", path, other), 409)["code"] == "VersionImmutable"

    @pytest.mark.parametrize(
        ("properties", "expected"),
        [
            ({}, "no condaFile and no image"),
            ({"condaFile": " "}, "no condaFile and no image"),
            ({"condaFile": "{"}, "not valid YAML"),
            ({"condaFile": "just words"}, "dependencies"),
            ({"condaFile": "dependencies: pandas"}, "dependencies"),
            ({"build": {"contextUri": "https://x/y", "dockerfilePath": "Dockerfile"}}, "build contexts"),
        ],
    )
    def test_unbuildable_specification_is_400(self, control, properties, expected):
        error = error_of(control.ask("PUT", "/environments/e/versions/1", {"properties": properties}), 400)
        assert error["code"] == "InvalidEnvironment"
        assert expected in error["message"]
        assert control.ask("GET", "/environments/e").status_code == 404

    def test_unused_environment_can_be_deleted(self, control):
        control.put("/environments/e/versions/1", {"properties": {"condaFile": CONDA}})
        environment = control.put("/environments/e/versions/2", {"properties": {"condaFile": CONDA}})["id"]
        endpoint = control.endpoint()
        body = {"properties": {"model": control.register(), "environmentId": environment}}
        control.put(f"{endpoint}/deployments/blue", body)
        assert control.ask("DELETE", "/environments/e/versions/1").status_code == 200
        assert "'blue'" in error_of(control.ask("DELETE", "/environments/e/versions/2"), 409)["message"]
        error_of(control.ask("DELETE", "/environments/e"), 409)


class TestBuiltEnvironments:
    def test_built_environment_is_listed_with_its_deployments(self, control):
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

    def test_pruning_starts_an_operation_for_the_builder(self, control):
        answer = control.ask("POST", "/pruneEnvironments")
        assert answer.status_code == 202
        operation = control.operation(answer)
        assert (operation["status"], operation["properties"]["step"]) == ("InProgress", "pruning")
        assert [str(each) for each in control.outbox.prunings] == [operation["name"]]
