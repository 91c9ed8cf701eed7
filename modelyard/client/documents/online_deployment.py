"""`online-deployment`: az's YAML and ARM's JSON (reference-yaml-deployment-managed-online)."""

from collections.abc import Iterator

from modelyard.client.documents.fields import (
    Field,
    FieldTable,
    duration_of_milliseconds,
    duration_of_seconds,
    flag,
    pascal_word,
    snake,
    text,
    texts,
    to_milliseconds,
    to_seconds,
    whole_number,
    word,
)
from modelyard.client.documents.references import short_reference
from modelyard.core.domain.deployment import Batching


def _probe(name: str, arm: str) -> Iterator[Field]:
    for field, arm_field in (("initial_delay", "initialDelay"), ("period", "period"), ("timeout", "timeout")):
        yield Field(f"{name}.{field}", f"properties.{arm}.{arm_field}", duration_of_seconds, to_seconds)
    yield Field(f"{name}.success_threshold", f"properties.{arm}.successThreshold", whole_number)
    yield Field(f"{name}.failure_threshold", f"properties.{arm}.failureThreshold", whole_number)


_REQUEST = "request_settings"
_REQUEST_ARM = "properties.requestSettings"

ONLINE_DEPLOYMENT = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("endpoint_name", "endpoint_name", beside_body=True),
        Field("description", "properties.description", text),
        Field("provisioning_state", "properties.provisioningState", read_only=True),
        Field("protections", "properties.protections", read_only=True),
        Field("provisioning_error", "properties.provisioningError", read_only=True),
        Field("model", "properties.model", to_yaml=short_reference),
        Field("environment", "properties.environmentId", to_yaml=short_reference),
        Field("instance_type", "properties.instanceType", text),
        Field("instance_count", "sku.capacity", whole_number),
        Field("environment_variables", "properties.environmentVariables", texts),
        Field("app_insights_enabled", "properties.appInsightsEnabled", flag),
        Field("scale_settings.type", "properties.scaleSettings.scaleType", pascal_word("default"), snake),
        Field(
            f"{_REQUEST}.request_timeout_ms",
            f"{_REQUEST_ARM}.requestTimeout",
            duration_of_milliseconds,
            to_milliseconds,
        ),
        Field(
            f"{_REQUEST}.max_concurrent_requests_per_instance",
            f"{_REQUEST_ARM}.maxConcurrentRequestsPerInstance",
            whole_number,
        ),
        Field(
            f"{_REQUEST}.max_queue_wait_ms", f"{_REQUEST_ARM}.maxQueueWait", duration_of_milliseconds, to_milliseconds
        ),
        # Fields of Modelyard, in addition to the fields of Azure.
        Field(f"{_REQUEST}.batching", f"{_REQUEST_ARM}.batching", word(*Batching)),
        Field(
            f"{_REQUEST}.max_batch_delay_ms",
            f"{_REQUEST_ARM}.maxBatchDelay",
            duration_of_milliseconds,
            to_milliseconds,
        ),
        Field(f"{_REQUEST}.max_batch_rows", f"{_REQUEST_ARM}.maxBatchRows", whole_number),
        *_probe("liveness_probe", "livenessProbe"),
        *_probe("readiness_probe", "readinessProbe"),
        Field(
            "egress_public_network_access",
            "properties.egressPublicNetworkAccess",
            pascal_word("enabled", "disabled"),
            snake,
        ),
        Field("tags", "tags", texts),
        Field("properties", "properties.properties", texts),
        Field("location", "location", read_only=True),
        Field("id", "id", read_only=True),
    ),
    other_keys=frozenset({"$schema", "type", "code_configuration"}),
)
