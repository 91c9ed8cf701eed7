"""`batch-deployment`: az's YAML and ARM's JSON (reference-yaml-deployment-batch).

Older files have the settings at the top level, newer files below `settings`. Both forms are read, and the newer form
is shown.
"""

import re
from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import (
    Field,
    FieldTable,
    duration_of_seconds,
    pascal_word,
    snake,
    text,
    texts,
    to_seconds,
    whole_number,
    word,
)
from modelyard.client.documents.reading import Document
from modelyard.client.documents.references import short_reference
from modelyard.client.errors import InvalidDocument
from modelyard.core.domain.batch import FileColumn, LoggingLevel, OutputAction, OutputFormat

_COMPUTE = re.compile(r".*/computes/(?P<name>[^/]+)", re.I)
_PREFIX = "azureml:"


def _by_id(asset_id: Any) -> dict[str, str]:
    return {"referenceType": "Id", "assetId": str(asset_id)}


def _short_model(reference: Any) -> str:
    return short_reference(str(reference["assetId"]))


def _short_compute(compute: Any) -> str:
    found = _COMPUTE.fullmatch(str(compute))
    return f"{_PREFIX}{found['name']}" if found else str(compute)


_SETTINGS = (
    Field("settings.mini_batch_size", "properties.miniBatchSize", whole_number),
    Field("settings.max_concurrency_per_instance", "properties.maxConcurrencyPerInstance", whole_number),
    Field("settings.error_threshold", "properties.errorThreshold", whole_number),
    Field("settings.retry_settings.max_retries", "properties.retrySettings.maxRetries", whole_number),
    Field("settings.retry_settings.timeout", "properties.retrySettings.timeout", duration_of_seconds, to_seconds),
    Field("settings.output_action", "properties.outputAction", pascal_word(*map(snake, OutputAction)), snake),
    Field("settings.output_file_name", "properties.outputFileName", text),
    # Fields of Modelyard, in addition to the fields of Azure.
    Field("settings.output_format", "properties.outputFormat", word(*OutputFormat)),
    Field("settings.output_file_column", "properties.outputFileColumn", word(*FileColumn)),
    Field("settings.logging_level", "properties.loggingLevel", word(*LoggingLevel)),
    Field("settings.environment_variables", "properties.environmentVariables", texts),
)
_OLDER_PLACES = frozenset(field.yaml.split(".")[1] for field in _SETTINGS)

BATCH_DEPLOYMENT = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("endpoint_name", "endpoint_name", beside_body=True),
        Field("description", "properties.description", text),
        Field("provisioning_state", "properties.provisioningState", read_only=True),
        Field("provisioning_error", "properties.provisioningError", read_only=True),
        Field("model", "properties.model", _by_id, _short_model),
        Field("environment", "properties.environmentId", to_yaml=short_reference),
        Field("compute", "properties.compute", text, _short_compute),
        Field("resources.instance_count", "properties.resources.instanceCount", whole_number),
        *_SETTINGS,
        Field("tags", "tags", texts),
        Field("properties", "properties.properties", texts),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    ),
    other_keys=frozenset({"$schema", "type", "code_configuration", *_OLDER_PLACES}),
)


def in_newer_form(document: Mapping[str, Any]) -> Document:
    """Move the settings below `settings`. Settings at the top level, from a flag or `--set`, take precedence."""
    if str(document.get("type", "model")).lower() != "model":
        raise InvalidDocument(f"type {document['type']!r} is not supported: write type: model")
    below = document.get("settings") or {}
    if not isinstance(below, Mapping):
        raise InvalidDocument("settings must be a mapping such as {mini_batch_size: 10}")
    at_the_top = {name: document[name] for name in _OLDER_PLACES if document.get(name) is not None}
    rest = {name: value for name, value in document.items() if name not in {*_OLDER_PLACES, "settings"}}
    return {**rest, "settings": {**below, **at_the_top}}


def compute_name(compute: str) -> str:
    """Return the name in `azureml:batch-cluster`, in an ARM id, or in a plain name."""
    return _short_compute(compute).removeprefix(_PREFIX)
