"""The base URLs of a response: from the settings, else from the Host header of the request."""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from control_plane.resources.urls import ResourceUrls

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class BaseUrls:
    public_url: str | None
    scoring_public_url: str | None
    scoring_port: int

    def for_request(self, request: Request) -> ResourceUrls:
        # X-Forwarded-* is ignored, because any client can send these headers. Behind a proxy, set --public-url.
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            host = _bound_host(request)
        control = self.public_url or f"{request.url.scheme}://{host}"
        name = urlsplit(f"//{host}").hostname or "localhost"
        bracketed = f"[{name}]" if ":" in name else name
        scoring = self.scoring_public_url or f"http://{bracketed}:{self.scoring_port}"
        return ResourceUrls(control.rstrip("/"), scoring.rstrip("/"))


def _bound_host(request: Request) -> str:
    host, port = request.scope.get("server") or ("localhost", 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _urls(request: Request) -> ResourceUrls:
    base_urls: BaseUrls = request.app.state.services.base_urls
    return base_urls.for_request(request)


RequestUrls = Annotated[ResourceUrls, Depends(_urls)]
