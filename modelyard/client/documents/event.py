"""`event`: an audit event in az's words."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable
from modelyard.client.documents.reading import Document

EVENT = FieldTable(
    (
        Field("time", "properties.eventTimestamp"),
        Field("caller", "properties.caller"),
        Field("caller_kind", "properties.callerKind"),
        Field("action", "properties.action"),
        Field("resource", "resource"),
        Field("resource_id", "properties.resourceId"),
        Field("request_id", "properties.requestId"),
        Field("from_state", "properties.fromState"),
        Field("to_state", "properties.toState"),
        Field("changes", "properties.changes"),
        Field("id", "name"),
    )
)
_WORKSPACES = "/workspaces/"


def event_document(event: Mapping[str, Any]) -> Document:
    """The event with the resource's id below the workspace, in the form of the option `--resource`."""
    _, _, below = str(event["properties"]["resourceId"]).partition(_WORKSPACES)
    return EVENT.document({**event, "resource": below.partition("/")[2]})
