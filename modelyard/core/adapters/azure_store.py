"""Azure Blob Storage: az://account/container/prefix."""

from collections.abc import Mapping
from typing import Any

from obstore.store import AzureStore

from modelyard.core.adapters.cloud_store import CloudStore, client_config, retry_config
from modelyard.core.adapters.store_endpoints import checked_endpoint, host_of
from modelyard.core.adapters.store_errors import StorePlace
from modelyard.core.errors import InvalidRequest
from modelyard.core.settings import ObjectStoreSettings

_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
# Passed to the library by name, unchanged.
_VARIABLES = (
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
)
_CONNECTION_FIELDS = {
    "AccountKey": "azure_storage_account_key",
    "SharedAccessSignature": "azure_storage_sas_token",
    "BlobEndpoint": "azure_storage_endpoint",
}


def azure_store(
    account: str, container: str, prefix: str, environment: Mapping[str, str], settings: ObjectStoreSettings
) -> CloudStore:
    config: dict[str, Any] = {name.lower(): environment[name] for name in _VARIABLES if environment.get(name)}
    if environment.get(_CONNECTION):
        config |= _from_connection(environment[_CONNECTION], account)
    endpoint = checked_endpoint(
        config.get("azure_storage_endpoint", f"https://{account}.blob.core.windows.net"),
        f"{_CONNECTION}'s BlobEndpoint" if environment.get(_CONNECTION) else "AZURE_STORAGE_ENDPOINT",
    )

    def connect(seconds: float) -> AzureStore:
        return AzureStore(
            container,
            prefix=prefix or None,
            config={"azure_storage_account_name": account, **config},  # type: ignore[arg-type]
            client_options=client_config(seconds, allow_http=endpoint.startswith("http://")),
            retry_config=retry_config(settings),
        )

    name = f"az://{account}/{container} at {host_of(endpoint)}"
    place = StorePlace(name, "container", f"{_CONNECTION} or AZURE_STORAGE_ACCOUNT_KEY")
    return CloudStore(place, connect, settings)


def _from_connection(connection: str, account: str) -> dict[str, str]:
    """Read a connection string. Messages never quote the string: the string contains the key."""
    fields = dict(field.strip().split("=", 1) for field in connection.split(";") if "=" in field)
    named = fields.get("AccountName", account)
    if named != account:
        raise InvalidRequest(
            f"{_CONNECTION} names the account {named!r}, and MODELYARD_STORAGE_URL {account!r}: use one account"
        )
    if not fields.keys() & {"AccountKey", "SharedAccessSignature"}:
        raise InvalidRequest(f"{_CONNECTION} has neither AccountKey nor SharedAccessSignature: copy the whole string")
    config = {ours: fields[theirs] for theirs, ours in _CONNECTION_FIELDS.items() if fields.get(theirs)}
    if "BlobEndpoint" not in fields and "EndpointSuffix" in fields:
        scheme = fields.get("DefaultEndpointsProtocol", "https")
        config["azure_storage_endpoint"] = f"{scheme}://{account}.blob.{fields['EndpointSuffix']}"
    return config
