"""Online endpoints and deployments by public calls of the Azure SDK."""

import json

import pytest
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import (
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    OnlineRequestSettings,
    ProbeSettings,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


@pytest.fixture(scope="module")
def endpoint(ml, make_online_endpoint, inputs):
    """An endpoint with the deployments blue (all traffic) and green, of a model in a local folder."""
    name = make_online_endpoint("sdk", description="wine", tags={"team": "a"})
    model = Model(path=inputs / "linear", type=AssetTypes.MLFLOW_MODEL)
    for deployment in ("blue", "green"):
        ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name=deployment,
                endpoint_name=name,
                model=model,
                instance_type="Standard_DS3_v2",
                instance_count=1,
                request_settings=OnlineRequestSettings(request_timeout_ms=9000, max_queue_wait_ms=500),
                liveness_probe=ProbeSettings(initial_delay=10),
            )
        ).result()
    set_traffic(ml, name, {"blue": 100})
    return name


def set_traffic(ml, endpoint, traffic, mirror=None):
    wanted = ml.online_endpoints.get(endpoint)
    wanted.traffic, wanted.mirror_traffic = traffic, mirror or {}
    return ml.online_endpoints.begin_create_or_update(wanted).result()


def test_endpoint_is_read_and_listed_with_its_fields(ml, endpoint):
    found = ml.online_endpoints.get(endpoint)
    assert isinstance(found, ManagedOnlineEndpoint)
    assert (found.description, found.tags, found.auth_mode) == ("wine", {"team": "a"}, "key")
    assert found.scoring_uri.startswith("https://")
    assert found.traffic == {"blue": 100, "green": 0}
    assert endpoint in {each.name for each in ml.online_endpoints.list()}


def test_deployments_are_read_and_listed_with_their_settings(ml, endpoint):
    blue = ml.online_deployments.get("blue", endpoint)
    assert blue.request_settings.request_timeout_ms == 9000
    assert (blue.instance_count, blue.provisioning_state) == (1, "Succeeded")
    assert {each.name for each in ml.online_deployments.list(endpoint)} == {"blue", "green"}


def test_request_file_is_scored_by_traffic_and_by_name(ml, endpoint, inputs):
    expected = json.loads((inputs / "expected.json").read_text())
    request = inputs / "rows.json"
    assert json.loads(ml.online_endpoints.invoke(endpoint, request_file=request)) == pytest.approx(expected)
    by_name = ml.online_endpoints.invoke(endpoint, request_file=request, deployment_name="green")
    assert json.loads(by_name) == pytest.approx(expected)


def test_invalid_request_is_told_with_the_violation(ml, endpoint, inputs):
    with pytest.raises(Exception, match="missing required column"):
        ml.online_endpoints.invoke(endpoint, request_file=inputs / "incomplete.json")


def test_traffic_is_split_and_mirrored(ml, endpoint):
    assert set_traffic(ml, endpoint, {"blue": 90, "green": 10}).traffic == {"blue": 90, "green": 10}
    mirrored = set_traffic(ml, endpoint, {"blue": 100}, {"green": 10})
    assert mirrored.mirror_traffic == {"green": 10}
    assert set_traffic(ml, endpoint, {"blue": 100}).mirror_traffic == {}


def test_invalid_traffic_is_refused(ml, endpoint):
    with pytest.raises(HttpResponseError, match="traffic"):
        set_traffic(ml, endpoint, {"blue": 70})
    with pytest.raises(HttpResponseError, match="absent"):
        set_traffic(ml, endpoint, {"absent": 100})


def test_keys_are_read_and_regenerated(ml, endpoint, inputs):
    before = ml.online_endpoints.get_keys(endpoint)
    ml.online_endpoints.begin_regenerate_keys(endpoint, key_type="secondary").result()
    after = ml.online_endpoints.get_keys(endpoint)
    assert after.primary_key == before.primary_key
    assert after.secondary_key != before.secondary_key
    assert ml.online_endpoints.invoke(endpoint, request_file=inputs / "rows.json")


@pytest.mark.parametrize(("auth_mode", "model"), [("aml_token", "azureml:{}@latest"), ("aad_token", "{}@latest")])
def test_endpoint_of_tokens_serves_the_latest_version_of_a_model(
    ml, make_online_endpoint, inputs, release, auth_mode, model
):
    registered = Model(name=f"online-{release}", path=inputs / "linear", type=AssetTypes.MLFLOW_MODEL)
    model = model.format(ml.models.create_or_update(registered).name)
    name = make_online_endpoint(auth_mode.replace("_", ""), auth_mode=auth_mode)
    ml.online_deployments.begin_create_or_update(
        ManagedOnlineDeployment(
            name="blue", endpoint_name=name, model=model, instance_type="Standard_DS3_v2", instance_count=1
        )
    ).result()
    set_traffic(ml, name, {"blue": 100})
    assert ml.online_endpoints.get_keys(name).access_token
    assert json.loads(ml.online_endpoints.invoke(name, request_file=inputs / "rows.json"))


def test_logs_of_a_deployment_are_read(ml, endpoint):
    assert ml.online_deployments.get_logs("blue", endpoint, lines=50)


def test_deployment_with_traffic_cannot_be_deleted(ml, endpoint):
    with pytest.raises(HttpResponseError, match="traffic"):
        ml.online_deployments.begin_delete("blue", endpoint).result()


def test_deployment_of_an_unknown_model_is_refused(ml, endpoint):
    with pytest.raises(HttpResponseError, match="'absent'"):
        ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name="none", endpoint_name=endpoint, model="azureml:absent:1", instance_type="Standard_DS3_v2"
            )
        ).result()


def test_deployment_without_traffic_is_deleted(ml, endpoint):
    ml.online_deployments.begin_delete("green", endpoint).result()
    with pytest.raises(ResourceNotFoundError):
        ml.online_deployments.get("green", endpoint)


def test_unknown_endpoint_is_not_found(ml):
    with pytest.raises(ResourceNotFoundError, match="absent"):
        ml.online_endpoints.get("absent")
