"""The base URLs of a response: from the settings, else from the Host header of the request and its port."""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from control_plane.resources.urls import ResourceUrls

_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class BaseUrls:
    public_url: str | None
    scoring_public_url: str | None
    scoring_port: int
    scoring_tls_port: int | None = None

    def for_request(self, request: Request) -> ResourceUrls:
        host = _host(request)
        control = self.public_url or f"{request.url.scheme}://{host}"
        return ResourceUrls(control.rstrip("/"), (self.scoring_public_url or self._scoring(request, host)).rstrip("/"))

    def control_planes(self, request: Request) -> list[str]:
        """The base URLs by which clients know the control plane: the setting's, and the one that was asked."""
        # Azure's SDK takes the entry of the URL that it asked, and Azure's own cloud without such an entry.
        asked = f"{request.url.scheme}://{_host(request)}"
        return list(dict.fromkeys([(self.public_url or asked).rstrip("/"), asked]))

    def _scoring(self, request: Request, host: str) -> str:
        name = urlsplit(f"//{host}").hostname or "localhost"
        bracketed = f"[{name}]" if ":" in name else name
        if request.url.scheme == "https" and self.scoring_tls_port is not None:
            return f"https://{bracketed}:{self.scoring_tls_port}"
        return f"http://{bracketed}:{self.scoring_port}"


def _host(request: Request) -> str:
    # X-Forwarded-* is ignored, because any client can send these headers. Behind a proxy, set --public-url.
    host = request.headers.get("host", "")
    return host if _HOST.fullmatch(host) else _bound_host(request)


def _bound_host(request: Request) -> str:
    host, port = (request.scope.get("server") or ("localhost", 80))[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _urls(request: Request) -> ResourceUrls:
    base_urls: BaseUrls = request.app.state.services.base_urls
    return base_urls.for_request(request)


async def _control_planes(request: Request) -> list[str]:
    base_urls: BaseUrls = request.app.state.services.base_urls
    return base_urls.control_planes(request)


RequestUrls = Annotated[ResourceUrls, Depends(_urls)]
ControlPlaneUrls = Annotated[list[str], Depends(_control_planes)]
