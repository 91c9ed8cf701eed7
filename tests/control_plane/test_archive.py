"""Archive and restore as Azure's SDK does: a GET, and a PUT of the answer with `isArchived` flipped."""

from typing import Any

import pytest

from tests.control_plane.control import MLMODEL, Control

CONDA = "dependencies: [python=3.11]"


def register(control: Control, noun: str) -> None:
    place = control.store_files("place/model", {"MLmodel": MLMODEL})
    properties: dict[str, dict[str, Any]] = {
        "models": {"modelUri": place, "modelType": "mlflow_model"},
        "data": {"dataUri": place, "dataType": "uri_folder"},
        "codes": {"codeUri": place, "properties": {"hash_sha256": "0a", "hash_version": 202208}},
        "environments": {"condaFile": CONDA, "image": "ubuntu"},
    }
    control.put(f"/{noun}/a/versions/1", {"properties": {**properties[noun], "tags": {"k": "v"}}})


@pytest.mark.parametrize("noun", ["models", "data", "codes", "environments"])
# The newest SDK and the one of a year before.
@pytest.mark.parametrize("more", [{"tags": {}}, {}], ids=["1.35", "1.27"])
def test_version_and_name_are_archived_and_restored(control, noun, more):
    register(control, noun)
    version, name = f"/{noun}/a/versions/1", f"/{noun}/a"
    found = control.get(version)
    for is_archived, listed in ((True, 0), (False, 1)):
        found["properties"]["isArchived"] = is_archived
        assert control.put(version, {**found, **more}, 200)["properties"] == found["properties"]
        assert len(control.get(f"{name}/versions", listViewType="ActiveOnly")["value"]) == listed
    for is_archived, listed in ((True, 0), (False, 1)):
        body = {"properties": {"isArchived": is_archived, "tags": {}, "properties": {}}}
        control.put(name, {**body, **more}, 200)
        assert len(control.get(f"/{noun}", listViewType="ActiveOnly")["value"]) == listed
