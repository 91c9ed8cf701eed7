"""`job`: a batch job in az's words, with its progress; the settings that a job overrides in the deployment."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable, duration_of_seconds, pascal, snake
from modelyard.client.documents.reading import Document

_PROGRESS = "properties.progress"

JOB = FieldTable(
    (
        Field("name", "name"),
        Field("display_name", "properties.displayName"),
        Field("experiment_name", "properties.experimentName"),
        Field("type", "properties.jobType", to_yaml=snake),
        Field("endpoint_name", "properties.endpoint"),
        Field("deployment_name", "properties.deployment"),
        Field("status", "properties.status"),
        Field("error", "properties.error"),
        Field("progress.mini_batches", f"{_PROGRESS}.miniBatches"),
        Field("progress.files", f"{_PROGRESS}.files"),
        Field("progress.rows", f"{_PROGRESS}.rows"),
        Field("progress.rows_per_second", f"{_PROGRESS}.rowsPerSecond"),
        Field("progress.seconds_left", f"{_PROGRESS}.secondsLeft"),
        Field("progress.workers", f"{_PROGRESS}.workers"),
        Field("output", "properties.output"),
        Field("tags", "properties.tags"),
        Field("properties", "properties.properties"),
        Field("creation_context.created_at", "systemData.createdAt"),
        Field("id", "id"),
    )
)

JOB_SETTINGS = FieldTable(
    (
        Field("instance_count", "compute.instanceCount", int),
        Field("compute.instance_count", "compute.instanceCount", int),
        Field("resources.instance_count", "compute.instanceCount", int),
        Field("mini_batch_size", "miniBatchSize", int),
        Field("error_threshold", "errorThreshold", int),
        Field("retry_settings.max_retries", "retrySettings.maxRetries", int),
        Field("retry_settings.timeout", "retrySettings.timeout", duration_of_seconds),
        Field("output_file_name", "outputFileName", str),
        Field("output_action", "outputAction", pascal),
        Field("output_format", "outputFormat", str),
        Field("logging_level", "loggingLevel", str),
    )
)
"""For `batch-endpoint invoke`, in az's and ARM's spelling."""


def job_document(resource: Mapping[str, Any]) -> Document:
    return JOB.document(resource)
