"""`online-endpoint`: az's YAML and ARM's JSON (reference-yaml-endpoint-online)."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable, auth_mode, auth_word, pascal, percentages, snake, texts

_LIMITS = {"requests_per_second": "requestsPerSecond", "requests_per_day": "requestsPerDay"}


def _rate_limit(limits: Any) -> dict[str, int]:
    """An empty mapping removes the limits."""
    if not isinstance(limits, Mapping) or not limits.keys() <= _LIMITS.keys():
        raise TypeError(limits)
    return {_LIMITS[name]: int(limit) for name, limit in limits.items()}


def _rate_limit_document(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: limits[arm] for name, arm in _LIMITS.items() if arm in limits}


ONLINE_ENDPOINT = FieldTable(
    (
        Field("name", "name", read_only=True),
        Field("description", "properties.description"),
        Field("auth_mode", "properties.authMode", auth_mode, auth_word),
        Field("scoring_uri", "properties.scoringUri", read_only=True),
        Field("openapi_uri", "properties.swaggerUri", read_only=True),
        Field("provisioning_state", "properties.provisioningState", read_only=True),
        Field("traffic", "properties.traffic", percentages),
        Field("mirror_traffic", "properties.mirrorTraffic", percentages),
        # A field of Modelyard, in addition to the fields of Azure.
        Field("rate_limit", "properties.rateLimit", _rate_limit, _rate_limit_document),
        Field("public_network_access", "properties.publicNetworkAccess", pascal, snake),
        Field("identity.type", "identity.type", pascal, snake),
        Field("tags", "tags", texts),
        Field("properties", "properties.properties", texts),
        Field("kind", "kind", read_only=True),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    )
)
