"""A resource's name, version and parents, from its ARM id, and the resource in az's words with these in it."""

import re
from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.assets import ENVIRONMENT, MODEL
from modelyard.client.documents.fields import FieldTable
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.client.documents.reading import Document

_VERSION = re.compile(r"/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$", re.I)
_DEPLOYMENT = re.compile(r"/onlineEndpoints/(?P<endpoint>[^/]+)/deployments/[^/]+$", re.I)


def endpoint_document(resource: Mapping[str, Any]) -> Document:
    return ONLINE_ENDPOINT.document(resource)


def deployment_document(resource: Mapping[str, Any]) -> Document:
    found = _DEPLOYMENT.search(str(resource.get("id", "")))
    return ONLINE_DEPLOYMENT.document({**resource, "endpoint_name": found["endpoint"] if found else None})


def model_document(resource: Mapping[str, Any]) -> Document:
    return _asset_document(MODEL, resource)


def environment_document(resource: Mapping[str, Any]) -> Document:
    return _asset_document(ENVIRONMENT, resource)


def _asset_document(table: FieldTable, resource: Mapping[str, Any]) -> Document:
    """ARM calls a version by its version alone; people call it by the asset's name too."""
    found = _VERSION.search(str(resource.get("id", "")))
    return table.document({**resource, **found.groupdict()} if found else resource)
