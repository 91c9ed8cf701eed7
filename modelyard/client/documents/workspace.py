"""`workspace`: az's words and ARM's JSON."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable
from modelyard.client.documents.reading import Document

WORKSPACE = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("location", "location"),
        Field("discovery_url", "properties.discoveryUrl", read_only=True),
        Field("mlflow_tracking_uri", "properties.mlFlowTrackingUri", read_only=True),
        Field("creation_context.created_at", "systemData.createdAt", read_only=True),
        Field("creation_context.created_by", "systemData.createdBy", read_only=True),
        Field("id", "id", read_only=True),
    )
)


def workspace_document(resource: Mapping[str, Any]) -> Document:
    return WORKSPACE.document(resource)
