"""Resources as az shows them, with the name, the version and the endpoint that only the ARM id tells."""

import re
from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.assets import ENVIRONMENT, MODEL
from modelyard.client.documents.batch_deployment import BATCH_DEPLOYMENT
from modelyard.client.documents.batch_endpoint import BATCH_ENDPOINT
from modelyard.client.documents.data import DATA
from modelyard.client.documents.fields import FieldTable
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.client.documents.reading import Document

_VERSION = re.compile(r"/(?P<name>[^/]+)/versions/(?P<version>[^/]+)$", re.I)
_DEPLOYMENT = re.compile(r"/(?:online|batch)Endpoints/(?P<endpoint>[^/]+)/deployments/[^/]+$", re.I)


def endpoint_document(resource: Mapping[str, Any]) -> Document:
    return ONLINE_ENDPOINT.document(resource)


def deployment_document(resource: Mapping[str, Any]) -> Document:
    return ONLINE_DEPLOYMENT.document(_of_endpoint(resource))


def batch_endpoint_document(resource: Mapping[str, Any]) -> Document:
    return BATCH_ENDPOINT.document(resource)


def batch_deployment_document(resource: Mapping[str, Any]) -> Document:
    return BATCH_DEPLOYMENT.document(_of_endpoint(resource))


def model_document(resource: Mapping[str, Any]) -> Document:
    return _asset_document(MODEL, resource)


def environment_document(resource: Mapping[str, Any]) -> Document:
    return _asset_document(ENVIRONMENT, resource)


def data_document(resource: Mapping[str, Any]) -> Document:
    return _asset_document(DATA, resource)


def _of_endpoint(resource: Mapping[str, Any]) -> Document:
    """Add the endpoint's name to a deployment."""
    found = _DEPLOYMENT.search(str(resource.get("id", "")))
    return {**resource, "endpoint_name": found["endpoint"] if found else None}


def _asset_document(table: FieldTable, resource: Mapping[str, Any]) -> Document:
    """Add the asset's name to a version: in ARM's JSON the name of a version is the version alone."""
    found = _VERSION.search(str(resource.get("id", "")))
    return table.document({**resource, **found.groupdict()} if found else resource)
