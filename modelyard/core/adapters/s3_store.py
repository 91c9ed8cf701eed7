"""Amazon S3 and servers of the same protocol: s3://bucket/prefix."""

from collections.abc import Mapping
from typing import Any

from obstore.store import S3Store

from modelyard.core.adapters.cloud_store import CloudStore, client_config, retry_config
from modelyard.core.adapters.store_endpoints import checked_endpoint, host_of
from modelyard.core.adapters.store_errors import StorePlace
from modelyard.core.settings import ObjectStoreSettings

# Passed to the library by name, unchanged.
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
)
# S3 copies a larger object only in parts.
_LARGEST_COPY = 5 << 30


def s3_store(
    bucket: str,
    prefix: str,
    environment: Mapping[str, str],
    settings: ObjectStoreSettings,
    *,
    largest_copy: int = _LARGEST_COPY,
) -> CloudStore:
    endpoint = _endpoint(environment)
    config: dict[str, Any] = {name.lower(): environment[name] for name in _VARIABLES if environment.get(name)}
    if endpoint:
        config["aws_endpoint_url"] = endpoint

    def connect(seconds: float) -> S3Store:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type]
            # Some servers of the S3 protocol lack the request that deletes several objects; we delete single objects.
            disable_bulk_delete=True,
            copy_if_not_exists="multipart",
            client_options=client_config(seconds, allow_http=endpoint.startswith("http://")),
            retry_config=retry_config(settings),
        )

    name = f"s3://{bucket} at {host_of(endpoint)}" if endpoint else f"s3://{bucket}"
    place = StorePlace(name, "bucket", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return CloudStore(place, connect, settings, largest_copy=largest_copy)


def _endpoint(environment: Mapping[str, str]) -> str:
    """Return the endpoint; empty for Amazon's."""
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if environment.get(variable):
            return checked_endpoint(environment[variable], variable)
    return ""
