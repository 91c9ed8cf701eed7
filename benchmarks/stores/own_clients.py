"""obstore without the platform's adapters."""

from urllib.parse import urlsplit

from obstore.store import AzureStore, S3Store

from tests.object_stores.servers import StoreServer


def own_client(server: StoreServer) -> S3Store | AzureStore:
    parts = urlsplit(server.url)
    if parts.scheme == "s3":
        return S3Store(
            parts.netloc,
            endpoint=server.endpoint,
            access_key_id=server.environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=server.environment["AWS_SECRET_ACCESS_KEY"],
            region=server.environment["AWS_REGION"],
            client_options={"allow_http": True},
        )
    connection = server.environment["AZURE_STORAGE_CONNECTION_STRING"]
    settings = dict(part.split("=", 1) for part in connection.split(";") if part)
    return AzureStore(
        parts.path.split("/")[1],
        endpoint=server.endpoint,
        account_name=settings["AccountName"],
        account_key=settings["AccountKey"],
        client_options={"allow_http": True},
    )
