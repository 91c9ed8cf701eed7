"""`batch-endpoint invoke`: the settings that a job overrides in the deployment, in az's and ARM's spelling."""

from modelyard.client.documents.fields import Field, FieldTable, duration_of_seconds, pascal

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
