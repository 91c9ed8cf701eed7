"""What a batch deployment and its jobs are asked for, with Azure's defaults and limits (azure_behaviour.md 3.1)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from modelyard.core.domain.deployment import MOST_INSTANCES, MOST_WORKERS
from modelyard.core.domain.documents import VERSION, check_format, known_fields
from modelyard.core.errors import InvalidRequest

_FORMAT = 1
ALL_MAY_FAIL = -1
"""As an error threshold."""
_LONGEST_TIMEOUT_SECONDS = 7 * 24 * 3600.0


class OutputAction(StrEnum):
    APPEND_ROW = "AppendRow"
    SUMMARY_ONLY = "SummaryOnly"
    """No predictions are kept: what counts is that the files were scored."""


class OutputFormat(StrEnum):
    """Modelyard's own setting, beside Azure's."""

    AZURE = "azure"
    """CSV without a header: row, prediction, file."""
    CSV_WITH_HEADER = "csv_with_header"
    PARQUET = "parquet"


class LoggingLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How a deployment's jobs run. A job may say otherwise for itself."""

    mini_batch_size: int = 10
    """Files. A large file is cut into several mini-batches, whatever this says."""
    instance_count: int = 1
    max_concurrency_per_instance: int = 1
    error_threshold: int = ALL_MAY_FAIL
    """Files that may fail before the job does."""
    max_retries: int = 3
    timeout_seconds: float = 30.0
    """For one try of one mini-batch."""
    output_action: OutputAction = OutputAction.APPEND_ROW
    output_file_name: str = "predictions.csv"
    output_format: OutputFormat = OutputFormat.AZURE
    logging_level: LoggingLevel = LoggingLevel.INFO

    def __post_init__(self) -> None:
        _check(self.mini_batch_size >= 1, "miniBatchSize must be 1 or more files", "miniBatchSize")
        _check(
            1 <= self.instance_count <= MOST_INSTANCES,
            f"the instance count must be from 1 to {MOST_INSTANCES}",
            "resources.instanceCount",
        )
        _check(
            1 <= self.max_concurrency_per_instance <= MOST_WORKERS,
            f"maxConcurrencyPerInstance must be from 1 to {MOST_WORKERS}",
            "maxConcurrencyPerInstance",
        )
        _check(
            self.error_threshold >= ALL_MAY_FAIL,
            "errorThreshold must be a number of files, or -1 for any number",
            "errorThreshold",
        )
        _check(self.max_retries >= 0, "maxRetries must be 0 or more", "retrySettings.maxRetries")
        _check(
            0 < self.timeout_seconds <= _LONGEST_TIMEOUT_SECONDS,
            "the timeout of a mini-batch must be above 0 and at most 7 days",
            "retrySettings.timeout",
        )
        name = self.output_file_name
        _check(
            bool(name) and name == PurePosixPath(name).name and name not in {".", ".."},
            f"outputFileName must be the name of a file, not {name!r}",
            "outputFileName",
        )

    @property
    def concurrency(self) -> int:
        """Mini-batches that are scored at once, where there are as many workers."""
        return self.instance_count * self.max_concurrency_per_instance

    def with_overrides(self, overrides: Mapping[str, Any]) -> "BatchSettings":
        """What one job asks for instead, by field. Raises InvalidRequest."""
        return replace(self, **overrides)

    def to_dict(self) -> dict[str, Any]:
        return {VERSION: _FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "BatchSettings":
        """Raises UnreadableFormat for the settings of a control plane that is a major format version ahead."""
        check_format(document, noun="the batch settings", newest=_FORMAT)
        known = known_fields(cls, document)
        return cls(
            **{
                **known,
                "output_action": OutputAction(document["output_action"]),
                "output_format": OutputFormat(document["output_format"]),
                "logging_level": LoggingLevel(document["logging_level"]),
            }
        )


def _check(holds: bool, message: str, target: str) -> None:
    if not holds:
        raise InvalidRequest(message, target=f"properties.{target}")


class InputKind(StrEnum):
    URI_FILE = "UriFile"
    URI_FOLDER = "UriFolder"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a job's input, wherever in the object store its bytes lie."""

    path: str
    """As its sender named it, with '/': what error messages and the `file` column say."""
    key: str
    size: int
    """Bytes."""

    @property
    def name(self) -> str:
        """Its base name, which Azure writes beside each prediction."""
        return PurePosixPath(self.path).name
