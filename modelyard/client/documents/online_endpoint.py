"""`online-endpoint`: az's YAML and ARM's JSON (reference-yaml-endpoint-online)."""

from modelyard.client.documents.fields import Field, FieldTable, auth_mode, auth_word, pascal, percentages, snake, texts

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
        Field("public_network_access", "properties.publicNetworkAccess", pascal, snake),
        Field("identity.type", "identity.type", pascal, snake),
        Field("tags", "tags", texts),
        Field("properties", "properties.properties", texts),
        Field("kind", "kind", read_only=True),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    )
)
