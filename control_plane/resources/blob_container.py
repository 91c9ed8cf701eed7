"""Blob containers: the names under which clients of Azure's Blob service find the datastores of a workspace.

A datastore is one container. The account is part of the path, because a platform has one host name:
`https://<host>/modelyard.blob.core.windows.net/<container>/<blob>`.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

ACCOUNT = "modelyard"
ACCOUNT_SEGMENT = f"{ACCOUNT}.blob.core.windows.net"
"""First segment of the paths: the SDK makes the host of an account from the account's name and this suffix."""

_NAME = re.compile(r"azureml-(?P<workspace>[1-9]\d{0,9})-(?P<store>[A-Za-z0-9][-_A-Za-z0-9]{0,254})")


@dataclass(frozen=True, slots=True)
class BlobContainer:
    workspace_key: int
    store: str
    """Name of the datastore."""

    @property
    def name(self) -> str:
        return f"azureml-{self.workspace_key}-{self.store}"

    @classmethod
    def named(cls, name: str) -> "BlobContainer | None":
        """None: a container of this platform has another form of name."""
        found = _NAME.fullmatch(name)
        return None if found is None else cls(int(found["workspace"]), found["store"])


@dataclass(frozen=True, slots=True)
class BlobUrl:
    container: BlobContainer
    path: str
    """Decoded, without a leading slash. Ends in "/" where the URL does. Empty for the container."""

    @classmethod
    def read(cls, url: str) -> "BlobUrl | None":
        """Read `http(s)://<any host>/[<account>/]<container>/<path>`. None: the URL names no container of a platform.

        The SDK drops the account of a build context's URL, and a platform may have several host names.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.scheme.lower() not in {"http", "https"}:
            return None
        name, _, path = parts.path.lstrip("/").removeprefix(f"{ACCOUNT_SEGMENT}/").partition("/")
        container = BlobContainer.named(unquote(name))
        return None if container is None else cls(container, unquote(path))


def is_blob_path(path: str) -> bool:
    """Whether the path of a request belongs to the Blob routes."""
    return path.startswith(f"/{ACCOUNT_SEGMENT}/")
