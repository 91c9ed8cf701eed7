"""`online-endpoint`: az's YAML and ARM's JSON (reference-yaml-endpoint-online)."""

from modelyard.client.documents.fields import Field, FieldTable, pascal, percentages, snake, texts

_AUTH_MODES = {"key": "Key", "aml_token": "AMLToken", "aad_token": "AADToken"}
_AUTH_WORDS = {arm.lower(): word for word, arm in _AUTH_MODES.items()}


def _auth_mode(value: object) -> str:
    return _AUTH_MODES.get(str(value).lower(), str(value))


def _auth_word(value: object) -> str:
    return _AUTH_WORDS.get(str(value).lower(), str(value))


ONLINE_ENDPOINT = FieldTable(
    (
        Field("name", "name", read_only=True),
        Field("description", "properties.description"),
        Field("auth_mode", "properties.authMode", _auth_mode, _auth_word),
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
