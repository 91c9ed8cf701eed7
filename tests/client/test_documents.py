"""Conversion between az ml's YAML and ARM's JSON."""

import pytest
import yaml

from modelyard.client.documents.assets import MODEL, read_environment, read_model
from modelyard.client.documents.identity import deployment_document, endpoint_document, model_document
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.client.documents.reading import read_document, with_settings
from modelyard.client.documents.references import ArmId, AssetReference, read_reference, short_reference
from modelyard.client.durations import iso_duration, seconds_of
from modelyard.client.errors import InvalidDocument

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"

DEPLOYMENT = yaml.safe_load("""
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
name: blue
endpoint_name: my-endpoint
model: azureml:m:1
instance_type: Standard_DS3_v2
instance_count: "2"
environment_variables: {WORKERS: 2, VERBOSE: true, EMPTY: }
request_settings: {request_timeout_ms: 3000, max_concurrent_requests_per_instance: 4, max_queue_wait_ms: 500}
liveness_probe: {initial_delay: 10, period: 1.5, timeout: 2, failure_threshold: 3}
scale_settings: {type: default}
tags: {team: fraud, year: 2026}
app_insights_enabled: false
""")


class TestOnlineDeploymentDocument:
    def test_every_field_has_a_place_in_the_body(self):
        body = ONLINE_DEPLOYMENT.body(DEPLOYMENT)
        assert body == {
            "sku": {"capacity": 2},
            "tags": {"team": "fraud", "year": "2026"},
            "properties": {
                "model": "azureml:m:1",
                "instanceType": "Standard_DS3_v2",
                "environmentVariables": {"WORKERS": "2", "VERBOSE": "true", "EMPTY": ""},
                "appInsightsEnabled": False,
                "scaleSettings": {"scaleType": "Default"},
                "requestSettings": {
                    "requestTimeout": "PT3S",
                    "maxConcurrentRequestsPerInstance": 4,
                    "maxQueueWait": "PT0.5S",
                },
                "livenessProbe": {
                    "initialDelay": "PT10S",
                    "period": "PT1.5S",
                    "timeout": "PT2S",
                    "failureThreshold": 3,
                },
            },
        }

    @pytest.mark.parametrize(("written", "meant"), [("auto", "auto"), ("on", "on"), ("off", "off"), ('"on"', "on")])
    def test_batching_accepts_yaml_booleans_and_words(self, written, meant):
        text = f"request_settings: {{batching: {written}, max_batch_delay_ms: 2.5, max_batch_rows: '64'}}"
        body = ONLINE_DEPLOYMENT.body(yaml.safe_load(text))
        settings = body["properties"]["requestSettings"]
        assert settings == {"batching": meant, "maxBatchDelay": "PT0.0025S", "maxBatchRows": 64}
        shown = ONLINE_DEPLOYMENT.document(body)["request_settings"]
        assert shown == {"batching": meant, "max_batch_delay_ms": 2.5, "max_batch_rows": 64}

    def test_shown_document_gives_the_same_body(self):
        body = ONLINE_DEPLOYMENT.body(DEPLOYMENT)
        resource = {**body, "id": f"{WORKSPACE}/onlineEndpoints/my-endpoint/deployments/blue", "name": "blue"}
        shown = deployment_document(resource)
        assert (shown["name"], shown["endpoint_name"], shown["instance_count"]) == ("blue", "my-endpoint", 2)
        assert shown["request_settings"]["request_timeout_ms"] == 3000
        assert ONLINE_DEPLOYMENT.body(shown) == body

    def test_misspelled_and_foreign_keys_are_unknown(self):
        assert ONLINE_DEPLOYMENT.unknown(DEPLOYMENT) == []
        strange = {**DEPLOYMENT, "vscode": 1, "liveness_probe": {"perod": 1}, "model": {"path": "x"}}
        assert ONLINE_DEPLOYMENT.unknown(strange) == ["liveness_probe.perod", "vscode"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("instance_count", "two"),
            ("instance_count", 2.5),
            ("instance_count", True),
            ("request_settings", {"request_timeout_ms": "soon"}),
            ("request_settings", {"batching": "perhaps"}),
            ("request_settings", 5),
            ("environment_variables", ["A=1"]),
            ("environment_variables", {"A": {"B": 1}}),
            ("tags", {"a": [1]}),
            ("liveness_probe", {"period": [1]}),
            ("liveness_probe", {"timeout": ".nan"}),
            ("app_insights_enabled", "perhaps"),
            ("scale_settings", {"type": "target_utilization"}),
            ("egress_public_network_access", "some"),
            ("instance_type", {"name": "x"}),
        ],
    )
    def test_invalid_value_is_named_in_the_error(self, field, value):
        with pytest.raises(InvalidDocument, match=f"^{field}[a-z_.]* must be .*, not "):
            ONLINE_DEPLOYMENT.body({**DEPLOYMENT, field: value})

    def test_all_wrong_fields_are_named_at_once(self):
        document = {**DEPLOYMENT, "instance_count": "two", "scale_settings": {"type": "target_utilization"}, "tags": 1}
        with pytest.raises(InvalidDocument) as raised:
            ONLINE_DEPLOYMENT.body(document)
        assert raised.value.message == (
            "instance_count must be a whole number, not 'two'; "
            "scale_settings.type must be default, not 'target_utilization'; "
            "tags must be a mapping of names to texts, not 1"
        )

    @pytest.mark.parametrize(
        ("arm", "yaml"),
        [
            ("properties.instanceType has no effect", "instance_type has no effect"),
            (
                "scaleType 'X' is not supported: set sku.capacity",
                "scale_settings.type 'X' is not supported: set instance_count",
            ),
            ("livenessProbe.timeout is 301 s", "liveness_probe.timeout is 301 s"),
            ("properties.livenessProbe must be an object", "liveness_probe must be an object"),
            ("requestTimeout is 200 s", "request_settings.request_timeout_ms is 200 s"),
            ("the model has a period and a timeout", "the model has a period and a timeout"),
            (
                "properties.modelMountPath and xrequestTimeout stay",
                "properties.modelMountPath and xrequestTimeout stay",
            ),
        ],
    )
    def test_sentences_of_the_platform_name_the_fields_of_the_file(self, arm, yaml):
        assert ONLINE_DEPLOYMENT.in_yaml_words(arm) == yaml


class TestOnlineEndpointDocument:
    @pytest.mark.parametrize(("word", "arm"), [("key", "Key"), ("aml_token", "AMLToken"), ("aad_token", "AADToken")])
    def test_auth_mode_is_translated_both_ways(self, word, arm):
        body = ONLINE_ENDPOINT.body({"name": "e", "auth_mode": word})
        assert body["properties"]["authMode"] == arm
        assert endpoint_document(body)["auth_mode"] == word

    def test_traffic_has_numbers_by_lower_case_names(self):
        limit = {"requests_per_second": 3, "requests_per_day": 9}
        body = ONLINE_ENDPOINT.body({"rate_limit": limit})
        assert body["properties"]["rateLimit"] == {"requestsPerSecond": 3, "requestsPerDay": 9}
        assert ONLINE_ENDPOINT.document(body)["rate_limit"] == limit
        with pytest.raises(
            InvalidDocument, match="rate_limit must be a mapping with requests_per_second and requests_per_day, not"
        ):
            ONLINE_ENDPOINT.body({"rate_limit": {"per_minute": 3}})
        body = ONLINE_ENDPOINT.body({"traffic": {"Blue": "90", "green": 10}, "mirror_traffic": {"x": 5}})
        assert body["properties"] == {"traffic": {"blue": 90, "green": 10}, "mirrorTraffic": {"x": 5}}

    def test_read_only_fields_are_not_sent(self):
        resource = {"id": "/x", "properties": {"scoringUri": "http://s", "provisioningState": "Succeeded"}}
        assert ONLINE_ENDPOINT.body(endpoint_document(resource)) == {}


class TestReferences:
    @pytest.mark.parametrize(
        ("text", "reference"),
        [
            ("azureml:m:1", AssetReference("m", "1")),
            ("azureml:m@latest", AssetReference("m", None)),
            (f"azureml:{WORKSPACE}/models/m/versions/1", ArmId(f"{WORKSPACE}/models/m/versions/1")),
            (f"{WORKSPACE}/models/m/versions/1", ArmId(f"{WORKSPACE}/models/m/versions/1")),
        ],
    )
    def test_every_spelling_is_parsed(self, text, reference):
        assert read_reference(text, noun="model") == reference

    @pytest.mark.parametrize("text", ["m", "m:1", "azureml:m", "azureml:m@newest", "azureml://registries/r/models/m"])
    def test_text_without_an_asset_of_this_workspace_is_an_error(self, text):
        with pytest.raises(InvalidDocument, match="model"):
            read_reference(text, noun="model")

    def test_arm_id_is_shortened_and_other_text_stays(self):
        assert short_reference(f"{WORKSPACE}/models/m/versions/1") == "azureml:m:1"
        assert short_reference("something else") == "something else"


class TestModelDocument:
    def test_path_is_relative_to_the_yaml_file(self, tmp_path):
        model = read_model({"name": "m", "version": 2, "path": "../model", "type": "mlflow_model"}, tmp_path / "yaml")
        assert model.folder == tmp_path / "yaml" / "../model"
        assert (model.name, model.version) == ("m", "2")
        assert model.body == {"properties": {"modelType": "mlflow_model"}}

    def test_unquoted_fraction_as_version_is_an_error(self, tmp_path):
        with pytest.raises(InvalidDocument, match="in quotes"):
            read_model({"path": "m", "version": 1.10}, tmp_path)

    @pytest.mark.parametrize("path", [None, "", "azureml://datastores/d/paths/p", "runs:/1/model"])
    def test_missing_path_or_uri_is_an_error(self, tmp_path, path):
        with pytest.raises(InvalidDocument, match="folder"):
            read_model({"path": path}, tmp_path)

    def test_shown_version_has_the_models_name(self):
        shown = model_document({"id": f"{WORKSPACE}/models/m/versions/3", "name": "3", "properties": {}})
        assert (shown["name"], shown["version"]) == ("m", "3")

    def test_foreign_key_is_unknown(self):
        assert MODEL.unknown({"name": "m", "path": "p", "stage": "Production"}) == ["stage"]


class TestEnvironmentDocument:
    def test_conda_file_is_relative_to_the_yaml_file(self, tmp_path):
        (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11]\n")
        environment = read_environment({"conda_file": "./conda.yaml", "image": "ubuntu"}, tmp_path)
        assert environment.conda_file == "dependencies: [python=3.11]\n"
        assert environment.body["properties"]["image"] == "ubuntu"

    def test_inline_conda_specification_is_accepted(self, tmp_path):
        environment = read_environment({"conda_file": {"dependencies": ["python=3.11"]}}, tmp_path)
        assert yaml.safe_load(environment.conda_file) == {"dependencies": ["python=3.11"]}

    @pytest.mark.parametrize(
        "document", [{"image": "ubuntu"}, {"build": {"path": "."}}, {"conda_file": "missing.yaml"}]
    )
    def test_environment_without_a_readable_conda_file_is_an_error(self, tmp_path, document):
        with pytest.raises(InvalidDocument, match="conda_file"):
            read_environment(document, tmp_path)


class TestSettings:
    def test_dotted_name_sets_a_nested_value(self):
        changed = with_settings({"tags": {"a": "b"}}, ["tags.c=d", "instance_count=2", "request_settings.x=1.5"])
        assert changed == {"tags": {"a": "b", "c": "d"}, "instance_count": 2, "request_settings": {"x": 1.5}}

    @pytest.mark.parametrize("assignment", ["name", "=x", "name.first=x"])
    def test_invalid_assignment_is_an_error(self, assignment):
        with pytest.raises(InvalidDocument):
            with_settings({"name": "e"}, [assignment])

    @pytest.mark.parametrize("content", ["- a list", "just text", "a: [", "1: x", ""])
    def test_file_without_a_mapping_is_an_error(self, tmp_path, content):
        (tmp_path / "f.yaml").write_text(content)
        with pytest.raises(InvalidDocument, match=r"f\.yaml"):
            read_document(tmp_path / "f.yaml")


class TestDurations:
    @pytest.mark.parametrize(("seconds", "text"), [(5, "PT5S"), (0.5, "PT0.5S"), (180, "PT180S"), (0, "PT0S")])
    def test_seconds_become_iso_text_and_back(self, seconds, text):
        assert iso_duration(seconds) == text
        assert seconds_of(text) == seconds

    def test_days_hours_and_minutes_are_read(self):
        assert seconds_of("P1DT1H1M1.5S") == 90061.5
        with pytest.raises(ValueError, match="not an ISO 8601 duration"):
            seconds_of("P")
