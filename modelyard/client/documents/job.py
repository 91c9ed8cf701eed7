"""`job`: a batch job in az's words, with its progress; the settings that a job overrides in the deployment."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import (
    Field,
    FieldTable,
    duration_of_seconds,
    pascal_word,
    snake,
    text,
    whole_number,
    word,
)
from modelyard.client.documents.reading import Document
from modelyard.core.domain.batch import FileColumn, LoggingLevel, OutputAction, OutputFormat

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
        Field("output", "properties.outputUri"),
        Field("tags", "properties.tags"),
        Field("properties", "properties.properties"),
        Field("creation_context.created_at", "systemData.createdAt"),
        Field("id", "id"),
    )
)

JOB_SETTINGS = FieldTable(
    (
        Field("instance_count", "compute.instanceCount", whole_number),
        Field("compute.instance_count", "compute.instanceCount", whole_number),
        Field("resources.instance_count", "compute.instanceCount", whole_number),
        Field("mini_batch_size", "miniBatchSize", whole_number),
        Field("error_threshold", "errorThreshold", whole_number),
        Field("retry_settings.max_retries", "retrySettings.maxRetries", whole_number),
        Field("retry_settings.timeout", "retrySettings.timeout", duration_of_seconds),
        Field("output_file_name", "outputFileName", text),
        Field("output_action", "outputAction", pascal_word(*map(snake, OutputAction))),
        Field("output_format", "outputFormat", word(*OutputFormat)),
        Field("output_file_column", "outputFileColumn", word(*FileColumn)),
        Field("logging_level", "loggingLevel", word(*LoggingLevel)),
    )
)
"""For `batch-endpoint invoke`, in az's and ARM's spelling."""


def job_document(resource: Mapping[str, Any]) -> Document:
    return JOB.document(resource)
