"""`online-endpoint`: az's YAML and ARM's JSON (reference-yaml-endpoint-online)."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import (
    Field,
    FieldTable,
    auth_mode,
    auth_word,
    pascal_word,
    percentages,
    snake,
    text,
    texts,
    whole_number,
)
from modelyard.client.errors import InvalidDocument

_LIMITS = {"requests_per_second": "requestsPerSecond", "requests_per_day": "requestsPerDay"}


def _rate_limit(limits: Any) -> dict[str, int]:
    """An empty mapping removes the limits."""
    if not isinstance(limits, Mapping) or not limits.keys() <= _LIMITS.keys():
        raise ValueError(f"must be a mapping with {' and '.join(_LIMITS)}")
    return {_LIMITS[name]: whole_number(limit) for name, limit in limits.items()}


def _rate_limit_document(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: limits[arm] for name, arm in _LIMITS.items() if arm in limits}


ONLINE_ENDPOINT = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("description", "properties.description", text),
        Field("auth_mode", "properties.authMode", auth_mode, auth_word),
        Field("scoring_uri", "properties.scoringUri", read_only=True),
        Field("openapi_uri", "properties.swaggerUri", read_only=True),
        Field("provisioning_state", "properties.provisioningState", read_only=True),
        Field("traffic", "properties.traffic", percentages),
        Field("mirror_traffic", "properties.mirrorTraffic", percentages),
        # A field of Modelyard, in addition to the fields of Azure.
        Field("rate_limit", "properties.rateLimit", _rate_limit, _rate_limit_document),
        Field("public_network_access", "properties.publicNetworkAccess", pascal_word("enabled", "disabled"), snake),
        Field("identity.type", "identity.type", pascal_word("system_assigned", "user_assigned", "none"), snake),
        Field("tags", "tags", texts),
        Field("properties", "properties.properties", texts),
        Field("kind", "kind", read_only=True),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    ),
    other_keys=frozenset({"$schema", "compute"}),
)


def check_is_managed(document: Mapping[str, Any]) -> None:
    """Raise InvalidDocument for an endpoint or a deployment that Azure runs on a Kubernetes cluster."""
    schema, kind = str(document.get("$schema") or ""), str(document.get("type") or "managed")
    if document.get("compute"):
        reason = f"compute names the Kubernetes cluster {str(document['compute'])[:80]!r}"
    elif "kubernetes" in schema.lower():
        reason = f"$schema is {schema.rpartition('/')[2]!r}"
    elif kind.lower() != "managed":
        reason = f"type is {kind[:80]!r}"
    else:
        return
    raise InvalidDocument(f"{reason}, but the platform runs managed online endpoints alone: remove the line")
