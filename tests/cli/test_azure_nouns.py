"""Nouns and options that scripts bring from `az ml`, against a control plane."""

import json

import pytest


def test_compute_of_an_azure_file_is_created_listed_shown_and_deleted(modelyard, tmp_path):
    file = tmp_path / "compute.yml"
    file.write_text("name: cpu\ntype: amlcompute\nsize: STANDARD_DS3_V2\nmin_instances: 0\nmax_instances: 4\n")
    created = modelyard("compute", "create", "-f", file)
    assert created.code == 0, created.err
    shown = json.loads(modelyard("compute", "show", "-n", "cpu", "-o", "json").out)
    assert (shown["type"], shown["size"], shown["max_instances"]) == ("amlcompute", "STANDARD_DS3_V2", 4)
    assert "cpu" in {each["name"] for each in json.loads(modelyard("compute", "list", "-o", "json").out)}
    assert modelyard("compute", "delete", "-n", "cpu", "--yes").code == 0
    assert "there is no compute cpu" in modelyard("compute", "delete", "-n", "cpu", "--yes").err


def test_datastore_of_an_azure_file_is_created_listed_shown_and_deleted(modelyard, tmp_path):
    file = tmp_path / "store.yml"
    file.write_text(
        "name: extra\ntype: azure_blob\naccount_name: a\ncontainer_name: c\ncredentials: {account_key: c2VjcmV0}\n"
    )
    created = modelyard("datastore", "create", "-f", file)
    assert created.code == 0, created.err
    assert "c2VjcmV0" not in created.out + created.err
    assert json.loads(modelyard("datastore", "show", "-n", "extra", "-o", "json").out)["type"] == "azure_blob"
    listed = json.loads(modelyard("datastore", "list", "-o", "json").out)
    assert {"extra", "workspaceblobstore"} <= {each["name"] for each in listed}
    assert modelyard("datastore", "delete", "-n", "extra", "--yes").code == 0
    assert "there is no datastore extra" in modelyard("datastore", "delete", "-n", "extra", "--yes").err


def test_workspace_in_use_is_shown_with_its_urls(modelyard):
    shown = json.loads(modelyard("workspace", "show", "-o", "json").out)
    assert shown["name"] == "default"
    assert shown["discovery_url"].endswith("/discovery")


def test_custom_model_is_a_single_file_or_a_folder(modelyard, tmp_path):
    file = tmp_path / "model.pkl"
    file.write_bytes(b"weights")
    created = modelyard("model", "create", "-n", "weights", "-p", file, "-t", "custom_model", "-o", "json")
    assert created.code == 0, created.err
    assert json.loads(created.out)["type"] == "custom_model"
    assert modelyard("model", "create", "-n", "weights", "-p", tmp_path, "-t", "custom_model").code == 0
    absent = modelyard("model", "create", "-n", "weights", "-p", tmp_path / "absent", "-t", "custom_model")
    assert (absent.code, "give the file or folder of the custom model" in absent.err) == (1, True)


@pytest.mark.parametrize("noun", ["online-endpoint", "online-deployment"])
def test_local_container_of_az_is_refused_with_a_sentence(modelyard, noun):
    done = modelyard(noun, "create", "--local", "-n", "mine")
    assert (done.code, "modelyard up" in done.err) == (2, True)
