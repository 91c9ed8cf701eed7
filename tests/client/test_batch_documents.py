"""Batch endpoints and deployments: conversion between az ml's YAML and ARM's JSON."""

import pytest
import yaml

from modelyard.client.documents.batch_deployment import BATCH_DEPLOYMENT, compute_name, in_newer_form
from modelyard.client.documents.batch_endpoint import BATCH_ENDPOINT
from modelyard.client.documents.data import read_data_document
from modelyard.client.documents.identity import batch_deployment_document, batch_endpoint_document
from modelyard.client.documents.job import JOB_SETTINGS
from modelyard.client.errors import InvalidDocument

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"

NEWER = yaml.safe_load("""
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
endpoint_name: heart-classifier-batch
name: classifier-xgboost-mlflow
description: A heart condition classifier based on XGBoost
type: model
model: azureml:heart-classifier-mlflow@latest
compute: azureml:batch-cluster
resources:
  instance_count: 2
settings:
  max_concurrency_per_instance: 2
  mini_batch_size: 2
  output_action: append_row
  output_file_name: predictions.csv
  output_format: csv_with_header
  output_file_column: name
  retry_settings:
    max_retries: 3
    timeout: 300
  error_threshold: -1
  logging_level: info
  environment_variables: {VERBOSE: true}
tags: {team: cardio}
""")
OLDER = yaml.safe_load("""
$schema: https://azuremlschemas.azureedge.net/latest/batchDeployment.schema.json
endpoint_name: heart-classifier-batch
name: classifier-xgboost-mlflow
description: A heart condition classifier based on XGBoost
model: azureml:heart-classifier-mlflow@latest
compute: azureml:batch-cluster
resources: {instance_count: 2}
max_concurrency_per_instance: 2
mini_batch_size: 2
output_action: append_row
output_file_name: predictions.csv
output_format: csv_with_header
output_file_column: name
retry_settings: {max_retries: 3, timeout: 300}
error_threshold: -1
logging_level: info
environment_variables: {VERBOSE: true}
tags: {team: cardio}
""")
BODY = {
    "tags": {"team": "cardio"},
    "properties": {
        "description": "A heart condition classifier based on XGBoost",
        "model": {"referenceType": "Id", "assetId": "/model"},
        "compute": "/compute",
        "resources": {"instanceCount": 2},
        "maxConcurrencyPerInstance": 2,
        "miniBatchSize": 2,
        "outputAction": "AppendRow",
        "outputFileName": "predictions.csv",
        "outputFormat": "csv_with_header",
        "outputFileColumn": "name",
        "retrySettings": {"maxRetries": 3, "timeout": "PT300S"},
        "errorThreshold": -1,
        "loggingLevel": "info",
        "environmentVariables": {"VERBOSE": "true"},
    },
}


def resolved(document):
    return {**in_newer_form(document), "model": "/model", "compute": "/compute"}


class TestBatchDeploymentDocument:
    @pytest.mark.parametrize("document", [NEWER, OLDER], ids=["newer", "older"])
    def test_older_and_newer_yaml_give_the_same_body(self, document):
        assert BATCH_DEPLOYMENT.body(resolved(document)) == BODY

    @pytest.mark.parametrize("document", [NEWER, OLDER], ids=["newer", "older"])
    def test_every_key_of_azures_schema_is_known(self, document):
        assert BATCH_DEPLOYMENT.unknown(document) == []

    def test_misspelled_and_foreign_keys_are_unknown(self):
        strange = {**NEWER, "settings": {"mini_batch_sise": 1}, "job_definition": 1}
        assert BATCH_DEPLOYMENT.unknown(strange) == ["settings.mini_batch_sise", "job_definition"]

    def test_shown_document_has_the_sent_settings_and_short_references(self):
        body = BATCH_DEPLOYMENT.body(
            {
                **resolved(NEWER),
                "model": f"{WORKSPACE}/models/m/versions/1",
                "compute": f"{WORKSPACE}/computes/batch-cluster",
            }
        )
        shown = batch_deployment_document(
            {**body, "id": f"{WORKSPACE}/batchEndpoints/heart/deployments/blue", "name": "blue"}
        )
        assert (shown["name"], shown["endpoint_name"]) == ("blue", "heart")
        assert (shown["model"], shown["compute"]) == ("azureml:m:1", "azureml:batch-cluster")
        assert shown["settings"] == NEWER["settings"] | {"environment_variables": {"VERBOSE": "true"}}

    def test_setting_at_the_top_level_overrides_settings(self):
        assert in_newer_form({**NEWER, "mini_batch_size": 7})["settings"]["mini_batch_size"] == 7

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"type": "pipeline"}, "write type: model"),
            ({"settings": [1]}, "settings must be a mapping"),
            ({"settings": {"mini_batch_size": "many"}}, "settings.mini_batch_size must be a whole number, not 'many'"),
            (
                {"settings": {"output_action": "append_rows"}},
                "^settings.output_action must be append_row or summary_only",
            ),
            ({"output_action": "appendrows"}, "^settings.output_action must be append_row or summary_only"),
            (
                {"settings": {"logging_level": "loud"}},
                "^settings.logging_level must be debug, info or warning, not 'loud'",
            ),
            (
                {"settings": {"output_format": "csv"}},
                "output_format must be azure, csv_with_header or parquet, not 'csv'",
            ),
            (
                {"settings": {"retry_settings": {"timeout": "soon"}}},
                "settings.retry_settings.timeout must be a number of seconds, not 'soon'",
            ),
        ],
    )
    def test_invalid_value_is_named_in_the_error(self, change, match):
        with pytest.raises(InvalidDocument, match=match):
            BATCH_DEPLOYMENT.body(resolved({**NEWER, **change}))

    @pytest.mark.parametrize(
        "spelling", ["azureml:batch-cluster", f"{WORKSPACE}/computes/batch-cluster", "batch-cluster"]
    )
    def test_compute_name_is_read_from_every_spelling(self, spelling):
        assert compute_name(spelling) == "batch-cluster"


class TestBatchEndpointDocument:
    def test_yaml_becomes_a_body_and_back(self):
        document = {
            "$schema": "https://azuremlschemas.azureedge.net/latest/batchEndpoint.schema.json",
            "name": "heart",
            "description": "A heart condition classifier",
            "auth_mode": "aad_token",
            "defaults": {"deployment_name": "blue"},
        }
        body = BATCH_ENDPOINT.body(document)
        assert BATCH_ENDPOINT.unknown(document) == []
        assert body["properties"] == {
            "description": "A heart condition classifier",
            "authMode": "AADToken",
            "defaults": {"deploymentName": "blue"},
        }
        assert batch_endpoint_document({"name": "heart", **body})["defaults"] == {"deployment_name": "blue"}


class TestJobSettings:
    @pytest.mark.parametrize("count", [{"instance_count": 3}, {"compute": {"instance_count": 3}}])
    def test_job_settings_become_a_body(self, count):
        settings = {**count, "mini_batch_size": 5, "retry_settings": {"max_retries": 1, "timeout": 20}}
        assert JOB_SETTINGS.body(settings) == {
            "compute": {"instanceCount": 3},
            "miniBatchSize": 5,
            "retrySettings": {"maxRetries": 1, "timeout": "PT20S"},
        }


class TestDataDocument:
    def test_path_is_relative_to_the_yaml_file(self, tmp_path):
        data = read_data_document({"name": "d", "version": 2, "path": "rows", "type": "uri_folder"}, tmp_path)
        assert (data.path, data.name, data.version) == (tmp_path / "rows", "d", "2")

    @pytest.mark.parametrize("document", [{"name": "d"}, {"path": "rows"}])
    def test_missing_field_is_named_in_the_error(self, document, tmp_path):
        with pytest.raises(InvalidDocument, match="the data has no"):
            read_data_document(document, tmp_path)


@pytest.mark.parametrize(("kind", "name"), [("uri_folder", "rows.csv"), ("uri_file", "."), ("uriFolder", "rows.csv")])
def test_type_that_contradicts_the_path_is_refused(client, tmp_path, kind, name):
    (tmp_path / "rows.csv").write_text("a\n1\n")
    document = {"name": "rows", "path": name, "type": kind}
    with pytest.raises(InvalidDocument, match=r"^type is uri_.*, but .* is a f"):
        client.data.register(read_data_document(document, tmp_path))
