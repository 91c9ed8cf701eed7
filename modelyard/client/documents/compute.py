"""`compute`: az's YAML and ARM's JSON (reference-yaml-compute-aml). The platform's own workers do the work of all."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable, snake, text, texts, whole_number, word
from modelyard.client.documents.reading import Document

_ARM = "properties.properties"

COMPUTE = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("type", "properties.computeType", word("amlcompute", arm={"amlcompute": "AmlCompute"}), str.lower),
        Field("description", "properties.description", text),
        Field("provisioning_state", "properties.provisioningState", read_only=True),
        Field("size", f"{_ARM}.vmSize", text),
        Field("min_instances", f"{_ARM}.scaleSettings.minNodeCount", whole_number),
        Field("max_instances", f"{_ARM}.scaleSettings.maxNodeCount", whole_number),
        Field("tier", f"{_ARM}.vmPriority", text, snake),
        Field("tags", "tags", texts),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    ),
    other_keys=frozenset({"$schema"}),
)


def compute_document(resource: Mapping[str, Any]) -> Document:
    return COMPUTE.document(resource)
