"""`batch-endpoint`: az's YAML and ARM's JSON (reference-yaml-endpoint-batch)."""

from modelyard.client.documents.fields import Field, FieldTable, auth_mode, auth_word, text, texts

BATCH_ENDPOINT = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("description", "properties.description", text),
        Field("auth_mode", "properties.authMode", auth_mode, auth_word),
        Field("defaults.deployment_name", "properties.defaults.deploymentName", text),
        Field("scoring_uri", "properties.scoringUri", read_only=True),
        Field("provisioning_state", "properties.provisioningState", read_only=True),
        Field("tags", "tags", texts),
        Field("properties", "properties.properties", texts),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    )
)
