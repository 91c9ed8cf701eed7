"""BatchSettings as JSON: the settings of a deployment, and the overrides of a job."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from control_plane.resources.arm_body import ArmBody, Duration
from control_plane.resources.without_effect import WithoutEffect
from modelyard.core.domain.batch import BatchSettings, FileColumn, LoggingLevel, OutputAction, OutputFormat

Word = TypeVar("Word", bound=StrEnum)


def _spelled(value: object) -> str:
    return str(value).replace("_", "").lower()


def _in_any_case(words: type[Word]) -> BeforeValidator:
    """Read `append_row`, `AppendRow` and `appendRow` as the same word."""
    return BeforeValidator(lambda value: next((word for word in words if _spelled(word) == _spelled(value)), value))


class RetrySettings(ArmBody):
    max_retries: int | None = None
    timeout: Duration | None = None
    """For each attempt at a mini-batch."""


class Resources(ArmBody):
    instance_count: int | None = None


class SettingsBody(ArmBody):
    """None: the request leaves the setting as it is."""

    mini_batch_size: int | None = None
    max_concurrency_per_instance: int | None = None
    error_threshold: int | None = None
    retry_settings: RetrySettings | None = None
    output_action: Annotated[OutputAction, _in_any_case(OutputAction)] | None = None
    output_file_name: str | None = None
    output_format: Annotated[OutputFormat, _in_any_case(OutputFormat)] | None = None
    """azure, csv_with_header or parquet. An extension of Modelyard."""
    output_file_column: Annotated[FileColumn, _in_any_case(FileColumn)] | None = None
    """path (below the input) or name (the base name, as in Azure). An extension of Modelyard."""
    logging_level: Annotated[
        Annotated[LoggingLevel, _in_any_case(LoggingLevel)] | None,
        WithoutEffect("the logs of a job hold all that its workers print", harmless=("info",)),
    ] = None

    def overrides(self, resources: Resources | None) -> dict[str, Any]:
        """The fields of the request, by the names of BatchSettings."""
        retry = self.retry_settings or RetrySettings()
        sent = {
            "mini_batch_size": self.mini_batch_size,
            "max_concurrency_per_instance": self.max_concurrency_per_instance,
            "error_threshold": self.error_threshold,
            "max_retries": retry.max_retries,
            "timeout_seconds": None if retry.timeout is None else retry.timeout.total_seconds(),
            "output_action": self.output_action,
            "output_file_name": self.output_file_name,
            "output_format": self.output_format,
            "output_file_column": self.output_file_column,
            "logging_level": self.logging_level,
            "instance_count": resources.instance_count if resources else None,
        }
        return {name: value for name, value in sent.items() if value is not None}


def settings_fields(settings: BatchSettings) -> dict[str, Any]:
    """All fields of SettingsBody."""
    return {
        "mini_batch_size": settings.mini_batch_size,
        "max_concurrency_per_instance": settings.max_concurrency_per_instance,
        "error_threshold": settings.error_threshold,
        "retry_settings": RetrySettings(
            max_retries=settings.max_retries, timeout=timedelta(seconds=settings.timeout_seconds)
        ),
        "output_action": settings.output_action,
        "output_file_name": settings.output_file_name,
        "output_format": settings.output_format,
        "output_file_column": settings.output_file_column,
        "logging_level": settings.logging_level,
    }
