"""Settings of batch deployments and jobs, with Azure's defaults and limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from modelyard.core.domain.deployment import MOST_INSTANCES, MOST_WORKERS
from modelyard.core.domain.documents import VERSION, check_format, known_fields
from modelyard.core.domain.requirements import Requirements

_FORMAT = 1
ALL_MAY_FAIL = -1
"""Error threshold of a job that any number of failed files does not fail."""
_LONGEST_TIMEOUT_SECONDS = 7 * 24 * 3600.0
_HIDDEN = (".", "_")


class OutputAction(StrEnum):
    APPEND_ROW = "AppendRow"
    SUMMARY_ONLY = "SummaryOnly"
    """The job scores the files and keeps no predictions."""


class OutputFormat(StrEnum):
    """A setting that Azure does not have."""

    AZURE = "azure"
    """CSV without a header, with the columns row, prediction and file."""
    CSV_WITH_HEADER = "csv_with_header"
    PARQUET = "parquet"


class FileColumn(StrEnum):
    """The file's name beside each prediction. A setting that Azure does not have."""

    PATH = "path"
    """The path below the input: files of several folders stay apart."""
    NAME = "name"
    """The base name, as in Azure's output."""

    def name_of(self, path: str) -> str:
        return PurePosixPath(path).name if self is FileColumn.NAME else path


class LoggingLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How the jobs of a deployment run. A job may override each setting."""

    mini_batch_size: int = 10
    """Files per mini-batch. Large files are cut into several mini-batches all the same."""
    instance_count: int = 1
    max_concurrency_per_instance: int = 1
    error_threshold: int = ALL_MAY_FAIL
    """Failed files beyond which the job fails."""
    max_retries: int = 3
    timeout_seconds: float = 30.0
    """Time limit of an attempt at a mini-batch."""
    output_action: OutputAction = OutputAction.APPEND_ROW
    output_file_name: str = "predictions.csv"
    output_format: OutputFormat = OutputFormat.AZURE
    output_file_column: FileColumn = FileColumn.PATH
    logging_level: LoggingLevel = LoggingLevel.INFO

    def __post_init__(self) -> None:
        rules = Requirements()
        rules.require(
            self.mini_batch_size >= 1,
            f"miniBatchSize is {self.mini_batch_size}: use 1 file or more",
            target="properties.miniBatchSize",
        )
        rules.require(
            1 <= self.instance_count <= MOST_INSTANCES,
            f"resources.instanceCount is {self.instance_count}: use 1 to {MOST_INSTANCES}",
            target="properties.resources.instanceCount",
        )
        rules.require(
            1 <= self.max_concurrency_per_instance <= MOST_WORKERS,
            f"maxConcurrencyPerInstance is {self.max_concurrency_per_instance}: use 1 to {MOST_WORKERS}",
            target="properties.maxConcurrencyPerInstance",
        )
        rules.require(
            self.error_threshold >= ALL_MAY_FAIL,
            f"errorThreshold is {self.error_threshold}: use a number of files, or -1 for any number",
            target="properties.errorThreshold",
        )
        rules.require(
            self.max_retries >= 0,
            f"retrySettings.maxRetries is {self.max_retries}: use 0 or more",
            target="properties.retrySettings.maxRetries",
        )
        rules.require(
            0 < self.timeout_seconds <= _LONGEST_TIMEOUT_SECONDS,
            f"retrySettings.timeout is {self.timeout_seconds:g} s: use more than 0 s and at most 7 days",
            target="properties.retrySettings.timeout",
        )
        name = self.output_file_name
        rules.require(
            bool(name) and name == PurePosixPath(name).name and name not in {".", ".."},
            f"outputFileName is {name!r}: use a file name without a folder",
            target="properties.outputFileName",
        )
        rules.check()

    @property
    def concurrency(self) -> int:
        """Mini-batches scored at the same time, where there are enough workers."""
        return self.instance_count * self.max_concurrency_per_instance

    def with_overrides(self, overrides: Mapping[str, Any]) -> "BatchSettings":
        """The settings with the fields that one job overrides. Raises InvalidRequest."""
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
                # Settings from before the field have the default.
                "output_file_column": FileColumn(document.get("output_file_column", FileColumn.PATH)),
                "logging_level": LoggingLevel(document["logging_level"]),
            }
        )


class InputKind(StrEnum):
    URI_FILE = "UriFile"
    URI_FOLDER = "UriFolder"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a job's input."""

    path: str
    """The path below the input, with '/'. Error messages and the `file` column show this path."""
    key: str
    """Key of the content in the object store."""
    size: int
    """Bytes."""


def is_hidden(path: str) -> bool:
    """Whether a file of a folder is left out of the input: Spark's `_SUCCESS`, `.DS_Store` and the like."""
    return any(part.startswith(_HIDDEN) for part in path.split("/"))
