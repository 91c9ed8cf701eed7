"""Absolute URLs in answers: from the settings, else from the Host header of the request that asks."""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit
from uuid import UUID

from fastapi import Depends, Request

_API_VERSION = "2024-04-01"
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Links:
    """The URLs that one client can use."""

    control: str
    scoring: str

    def operation(self, subscription: str, location: str, operation_id: UUID) -> str:
        return self._operation("mfeOperationsStatus", subscription, location, operation_id)

    def operation_result(self, subscription: str, location: str, operation_id: UUID) -> str:
        return self._operation("mfeOperationResults", subscription, location, operation_id)

    def _operation(self, word: str, subscription: str, location: str, operation_id: UUID) -> str:
        provider = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
        return f"{self.control}{provider}/locations/{location}/{word}/{operation_id}?api-version={_API_VERSION}"

    def scoring_uri(self, endpoint: str) -> str:
        return f"{self.scoring}/{endpoint}/score"

    def swagger_uri(self, endpoint: str) -> str:
        return f"{self.scoring}/{endpoint}/swagger.json"

    def batch_scoring_uri(self, endpoint: str) -> str:
        return f"{self.control}/batch/{endpoint}/jobs"

    def upload(self, upload_id: UUID) -> str:
        return f"{self.control}/uploads/{upload_id}"

    def stored_file(self, key: str, query: str) -> str:
        """`key` begins with "datastores/"."""
        return f"{self.control}/{quote(key)}?{query}"

    def blob(self, sha256: str, query: str) -> str:
        return f"{self.control}/blobs/{quote(sha256)}?{query}"


@dataclass(frozen=True, slots=True)
class Addresses:
    public_url: str | None
    scoring_public_url: str | None
    scoring_port: int

    def links(self, request: Request) -> Links:
        # X-Forwarded-* is not read: anybody can send it. Behind a proxy, --public-url says what counts.
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            host = _bound_to(request)
        control = self.public_url or f"{request.url.scheme}://{host}"
        name = urlsplit(f"//{host}").hostname or "localhost"
        spelled = f"[{name}]" if ":" in name else name
        scoring = self.scoring_public_url or f"http://{spelled}:{self.scoring_port}"
        return Links(control.rstrip("/"), scoring.rstrip("/"))


def _bound_to(request: Request) -> str:
    host, port = request.scope.get("server") or ("localhost", 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _links(request: Request) -> Links:
    addresses: Addresses = request.app.state.services.addresses
    return addresses.links(request)


RequestLinks = Annotated[Links, Depends(_links)]
