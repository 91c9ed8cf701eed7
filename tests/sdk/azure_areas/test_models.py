"""Models by public calls of the Azure SDK."""

import pytest
from azure.ai.ml.constants import AssetTypes, ListViewType
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


@pytest.fixture(scope="module")
def registered(ml, inputs, release):
    """A model of two versions."""
    name = f"linear-{release}"
    for _ in range(2):
        ml.models.create_or_update(Model(name=name, path=inputs / "linear", type=AssetTypes.MLFLOW_MODEL))
    return name


def test_model_without_a_version_gets_the_next_version(ml, registered):
    assert {model.version for model in ml.models.list(registered)} == {"1", "2"}


def test_label_latest_is_the_newest_version(ml, registered):
    assert ml.models.get(registered, label="latest").version == "2"


def test_flavors_of_an_mlflow_model_are_read_from_its_folder(ml, registered):
    assert {"python_function", "sklearn"} <= set(ml.models.get(registered, version="1").flavors)


def test_description_and_tags_of_a_version_change(ml, registered):
    model = ml.models.get(registered, version="1")
    model.description, model.tags = "the first", {"stage": "trial"}
    ml.models.create_or_update(model)
    changed = ml.models.get(registered, version="1")
    assert (changed.description, changed.tags) == ("the first", {"stage": "trial"})


def test_files_of_a_model_are_downloaded(ml, registered, inputs, tmp_path):
    ml.models.download(registered, version="1", download_path=tmp_path)
    (downloaded,) = tmp_path.rglob("MLmodel")
    assert downloaded.read_bytes() == (inputs / "linear" / "MLmodel").read_bytes()
    sent = {path.name: path.read_bytes() for path in (inputs / "linear").rglob("*") if path.is_file()}
    assert {path.name: path.read_bytes() for path in downloaded.parent.rglob("*") if path.is_file()} == sent


def test_archived_version_leaves_the_list_and_returns(ml, registered):
    ml.models.archive(registered, version="1")
    assert [model.version for model in ml.models.list(registered)] == ["2"]
    archived = ml.models.list(registered, list_view_type=ListViewType.ARCHIVED_ONLY)
    assert [model.version for model in archived] == ["1"]
    ml.models.restore(registered, version="1")
    assert {model.version for model in ml.models.list(registered)} == {"1", "2"}


def test_archived_model_leaves_the_list_of_models_and_returns(ml, registered):
    ml.models.archive(registered)
    assert registered not in {model.name for model in ml.models.list()}
    ml.models.restore(registered)
    assert registered in {model.name for model in ml.models.list()}


def test_model_is_registered_from_a_place_in_a_datastore(ml, registered, release):
    place = ml.models.get(registered, version="1").path
    model = ml.models.create_or_update(Model(name=f"place-{release}", path=place, type=AssetTypes.MLFLOW_MODEL))
    assert "sklearn" in model.flavors


def test_single_file_is_a_custom_model(ml, inputs, release, tmp_path):
    name = f"file-{release}"
    ml.models.create_or_update(Model(name=name, path=inputs / "rows.json", type=AssetTypes.CUSTOM_MODEL))
    assert ml.models.get(name, version="1").type == AssetTypes.CUSTOM_MODEL
    ml.models.download(name, version="1", download_path=tmp_path)
    (downloaded,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert downloaded.read_bytes() == (inputs / "rows.json").read_bytes()


def test_unknown_model_is_not_found(ml):
    with pytest.raises(ResourceNotFoundError, match="there is no model 'absent'"):
        ml.models.get("absent", version="1")


def test_folder_without_mlmodel_is_refused_as_an_mlflow_model(ml, inputs, release):
    with pytest.raises(HttpResponseError, match="MLmodel"):
        ml.models.create_or_update(Model(name=f"rows-{release}", path=inputs / "rows", type=AssetTypes.MLFLOW_MODEL))


def test_invalid_name_is_refused_with_the_rule(ml, inputs):
    with pytest.raises(HttpResponseError, match="name"):
        ml.models.create_or_update(Model(name="a b", path=inputs / "linear", type=AssetTypes.MLFLOW_MODEL))
