"""The progress of a batch job, from the job's resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from modelyard.client.documents.reading import look_up
from modelyard.client.errors import ApiError
from modelyard.core.domain.lifecycle import JobState

_ENDED = frozenset(state.value.lower() for state in JobState if state.is_final)
_PROGRESS = "properties.progress"


@dataclass(frozen=True, slots=True)
class JobProgress:
    """A number is None until the platform knows it."""

    status: str
    mini_batches: int | None
    mini_batches_done: int
    """The count of completed and failed mini-batches."""
    files: int | None
    files_failed: int
    rows: int | None
    rows_scored: int
    rows_per_second: float | None
    seconds_left: float | None
    error: Mapping[str, Any] | None

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> Self:
        def number(path: str) -> Any:
            return look_up(job, f"{_PROGRESS}.{path}")

        return cls(
            status=str(look_up(job, "properties.status")),
            mini_batches=number("miniBatches.total"),
            mini_batches_done=(number("miniBatches.completed") or 0) + (number("miniBatches.failed") or 0),
            files=number("files.total"),
            files_failed=number("files.failed") or 0,
            rows=number("rows.total"),
            rows_scored=number("rows.scored") or 0,
            rows_per_second=number("rowsPerSecond"),
            seconds_left=number("secondsLeft"),
            error=look_up(job, "properties.error"),
        )

    @property
    def has_ended(self) -> bool:
        return self.status.lower() in _ENDED

    @property
    def is_completed(self) -> bool:
        return self.status.lower() == JobState.COMPLETED.value.lower()

    @property
    def failure(self) -> ApiError:
        """The error of a job that has failed or was canceled."""
        fallback = {"code": self.status, "message": f"the job is {self.status.lower()}"}
        failure = ApiError.of(self.error or fallback)
        more = [detail for detail in failure.details if detail not in failure.message]
        return ApiError(failure.code, failure.message, more)
