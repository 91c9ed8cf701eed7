"""The exceptions of the Azure SDK for bad input, and two clients at the same time."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

NAMES = ("00000000-0000-0000-0000-000000000000", "local", "default")


class _WrongToken:
    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("wrong", 2**31)


def test_wrong_token_is_an_authentication_error():
    with pytest.raises(ClientAuthenticationError, match="token is not valid"):
        MLClient(_WrongToken(), *NAMES).online_endpoints.get("any")


def test_unknown_workspace_is_not_found(ml):
    with pytest.raises(ResourceNotFoundError, match="there is no workspace 'absent'"):
        ml.workspaces.get("absent")


@pytest.mark.parametrize("name", ["ab", "1abc", "with_underscore"])
def test_invalid_name_of_an_endpoint_is_refused(ml, name):
    with pytest.raises(Exception, match=r"(?i)name"):
        ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)).result()


def test_deployment_below_an_unknown_endpoint_is_refused(ml):
    with pytest.raises(ResourceNotFoundError, match="absent"):
        ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(name="blue", endpoint_name="absent", model="azureml:absent:1")
        ).result()


def test_registered_version_keeps_its_content(ml, release):
    def register(*dependencies: str) -> None:
        conda = {"dependencies": list(dependencies)}
        ml.environments.create_or_update(
            Environment(name=f"kept-{release}", version="1", image="base:1", conda_file=conda)
        )

    register("python=3.11", "pip")
    with pytest.raises(HttpResponseError, match="register a new version"):
        register("python=3.12", "pip")


def test_of_two_clients_that_update_at_once_each_ends_in_a_state_or_a_conflict(ml, make_online_endpoint):
    name = make_online_endpoint("race")

    def describe(text: str) -> str:
        """The text that was written, or the code of the error."""
        try:
            ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, description=text)).result()
        except ResourceExistsError as conflict:
            return conflict.error.code
        return text

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(describe, ("first", "second")))
    assert ml.online_endpoints.get(name).description in ends
    assert set(ends) <= {"first", "second", "OperationInProgress"}


@pytest.mark.parametrize("change", ["expiry", "container", "permission"])
def test_changed_signature_of_a_datastore_is_403_with_azures_document(ml, change):
    store = ml.datastores.get("workspaceblobstore", include_secrets=True)
    signature = store.credentials.sas_token
    container = store.container_name
    if change == "expiry":
        signature = signature.replace("se=2", "se=3")
    elif change == "permission":
        signature = signature.replace("sp=", "sp=x")
    else:
        container = container.replace("workspaceblobstore", "workspaceartifactstore")
    url = f"https://{store.account_name}.blob.core.windows.net/{container}/any?{signature}"
    answer = requests.get(url, verify=os.environ["REQUESTS_CA_BUNDLE"], timeout=30)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
    assert "<Code>AuthenticationFailed</Code>" in answer.text
