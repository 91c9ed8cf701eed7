"""`datastore`: az's YAML and ARM's JSON (reference-yaml-datastore-blob)."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable, text, texts, word
from modelyard.client.documents.reading import Document

DATASTORE = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field(
            "type",
            "properties.datastoreType",
            word("azure_blob", arm={"azure_blob": "AzureBlob"}),
            lambda _: "azure_blob",
        ),
        Field("description", "properties.description", text),
        Field("is_default", "properties.isDefault", read_only=True),
        Field("account_name", "properties.accountName", text),
        Field("container_name", "properties.containerName", text),
        Field("endpoint", "properties.endpoint", text),
        Field("protocol", "properties.protocol", text),
        Field("tags", "properties.tags", texts),
        Field("id", "id", read_only=True),
    ),
    other_keys=frozenset({"$schema", "credentials"}),
)


def datastore_document(resource: Mapping[str, Any]) -> Document:
    return DATASTORE.document(resource)
