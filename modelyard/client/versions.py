"""Paths and versions of assets: models, data and environments."""

from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection
from modelyard.client.errors import ApiError


def asset_path(kind: str, name: str) -> str:
    """Return the path of an asset, with the name quoted as one segment."""
    return f"/{kind}/{quote(name, safe='')}"


def version_path(kind: str, name: str, version: str) -> str:
    return f"{asset_path(kind, name)}/versions/{quote(version, safe='')}"


def next_version(connection: Connection, kind: str, name: str) -> str:
    container = connection.find(asset_path(kind, name))
    return str(container["properties"].get("nextVersion") or "1") if container else "1"


def latest_version(connection: Connection, kind: str, name: str) -> dict[str, Any]:
    """Return the latest version. Raises ApiError for an asset without versions."""
    query = {"$orderBy": "createdtime desc", "$top": "1"}
    newest = connection.get(f"{asset_path(kind, name)}/versions", **query)["value"]
    if not newest:
        noun = kind.removesuffix("s")
        raise ApiError("ResourceNotFound", f"there is no {noun} {name!r}: see `modelyard {noun} list`", (), 404)
    return dict(newest[0])
