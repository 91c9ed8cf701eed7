"""Clients of the Blob routes: azure-storage-blob itself, with a signature of the platform."""

import atexit
from typing import Any

import httpx2
import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient

from tests.control_plane.control import Control, anonymous

STORE = "workspaceblobstore"
# One pool of connections for all clients: a test does not close its clients.
_session = requests.Session()
_transport = RequestsTransport(session=_session, session_owner=False)
atexit.register(_session.close)


def signature(control: Control, store: str = STORE, **body: Any) -> str:
    return control.post(f"/datastores/{store}/listSecrets", {"expirableSecret": True, **body})["sasToken"]


def container(control: Control, store: str = STORE, token: str | None = None, **options: Any) -> ContainerClient:
    place = control.get(f"/datastores/{store}")["properties"]
    account = f"http://{place['accountName']}.blob.{place['endpoint']}"
    # A refusal is no reason to wait: the tests want to see it.
    settings = {"retry_total": 0, "transport": _transport, **options}
    return ContainerClient(account, place["containerName"], credential=token or signature(control, store), **settings)


def ask(client: ContainerClient, method: str, path: str, query: str = "", **more: Any) -> httpx2.Response:
    """A request beside the library, with the library's signature. `path` is encoded, below the container."""
    url, _, token = client.url.partition("?")
    parameters = "&".join(part for part in (query, token) if part)
    return anonymous.request(method, f"{url}{path}?{parameters}", **more)


def code_of(answer: httpx2.Response, status: int) -> str:
    """The code of a refusal, in header and document."""
    assert answer.status_code == status, answer.text
    code = answer.headers["x-ms-error-code"]
    if answer.request.method != "HEAD":
        assert answer.headers["content-type"] == "application/xml"
        assert f"<Error><Code>{code}</Code><Message>" in answer.text
    return code
