"""Data assets and datastores by public calls of the Azure SDK."""

import pytest
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, Data
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


@pytest.fixture(scope="module")
def folder(ml, inputs, release):
    name = f"rows-{release}"
    ml.data.create_or_update(Data(name=name, path=inputs / "rows", type=AssetTypes.URI_FOLDER))
    return name


def test_folder_has_a_uri_in_the_default_datastore(ml, folder):
    data = ml.data.get(folder, label="latest")
    assert (data.version, data.type) == ("1", AssetTypes.URI_FOLDER)
    assert "/datastores/workspaceblobstore/paths/LocalUpload/" in data.path


def test_file_and_table_are_registered(ml, inputs, release):
    file = ml.data.create_or_update(
        Data(name=f"file-{release}", path=inputs / "rows" / "a.csv", type=AssetTypes.URI_FILE)
    )
    table = ml.data.create_or_update(Data(name=f"table-{release}", path=inputs / "table", type=AssetTypes.MLTABLE))
    assert (file.type, table.type) == (AssetTypes.URI_FILE, AssetTypes.MLTABLE)


def test_location_on_the_web_is_kept_as_sent(ml, release):
    url = "https://example.org/rows.csv"
    assert ml.data.create_or_update(Data(name=f"web-{release}", path=url, type=AssetTypes.URI_FILE)).path == url


def test_archived_data_leaves_the_list_and_returns(ml, folder):
    ml.data.archive(folder)
    assert folder not in {data.name for data in ml.data.list()}
    ml.data.restore(folder)
    assert folder in {data.name for data in ml.data.list()}
    assert [data.version for data in ml.data.list(folder)] == ["1"]


def test_unknown_data_is_not_found(ml):
    with pytest.raises(ResourceNotFoundError):
        ml.data.get("absent", version="1")


def test_default_datastore_is_listed_and_read(ml):
    default = ml.datastores.get_default()
    assert default.name == "workspaceblobstore"
    assert default.name in {datastore.name for datastore in ml.datastores.list()}
    assert ml.datastores.get("workspaceblobstore").container_name == default.container_name


def test_datastore_is_created_used_and_deleted(ml, inputs, release):
    name = f"extra_{release}"
    credentials = AccountKeyConfiguration(account_key="c2VjcmV0")
    ml.datastores.create_or_update(
        AzureBlobDatastore(name=name, account_name="account", container_name="container", credentials=credentials)
    )
    assert ml.datastores.get(name).name == name
    data = ml.data.create_or_update(
        Data(name=f"extra-{release}", path=inputs / "rows", type=AssetTypes.URI_FOLDER, datastore=name)
    )
    assert f"/datastores/{name}/paths/LocalUpload/" in data.path
    ml.datastores.delete(name)
    with pytest.raises(ResourceNotFoundError):
        ml.datastores.get(name)


def test_default_datastore_cannot_be_deleted(ml):
    with pytest.raises(HttpResponseError, match="workspaceblobstore"):
        ml.datastores.delete("workspaceblobstore")
