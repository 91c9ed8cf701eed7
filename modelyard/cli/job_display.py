"""The progress of a batch job, on standard error: a live bar in a terminal, occasional lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelyard.client.job_progress import JobProgress

if TYPE_CHECKING:
    from rich.progress import Progress

Show = Callable[[JobProgress], None]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def job_display(name: str) -> Iterator[Show]:
    """Yield a function that shows a state of the job."""
    if not sys.stderr.isatty():
        yield Lines(name)
        return
    with _bar() as display:
        task = display.add_task(name, total=None, status="", detail="")

        def show(progress: JobProgress) -> None:
            display.update(
                task,
                total=progress.mini_batches,
                completed=progress.mini_batches_done,
                status=progress.status,
                detail=", ".join(details_of(progress)),
            )

        yield show


class Lines:
    """Prints a line for every new status, and for progress within a status after a pause."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._shown: JobProgress | None = None
        self._shown_at = 0.0

    def __call__(self, progress: JobProgress) -> None:
        if not self._is_worth_a_line(progress):
            return
        self._shown, self._shown_at = progress, self._clock()
        words = (mini_batches_of(progress), *details_of(progress))
        story = ", ".join(word for word in words if word)
        print(f"{self._name}: {progress.status}{f', {story}' if story else ''}", file=sys.stderr, flush=True)

    def _is_worth_a_line(self, progress: JobProgress) -> bool:
        if self._shown is None or progress.status != self._shown.status:
            return True
        has_moved = (progress.mini_batches_done, progress.rows_scored) != (
            self._shown.mini_batches_done,
            self._shown.rows_scored,
        )
        return has_moved and self._clock() - self._shown_at >= _SECONDS_BETWEEN_LINES


def mini_batches_of(progress: JobProgress) -> str:
    if progress.mini_batches is None:
        return ""
    return f"{progress.mini_batches_done} of {progress.mini_batches} mini-batches"


def details_of(progress: JobProgress) -> Iterator[str]:
    if progress.rows_scored:
        yield f"{_amount(progress.rows_scored)} rows"
    if progress.rows_per_second and not progress.has_ended:
        yield f"{_amount(round(progress.rows_per_second))} rows/s"
    if progress.files_failed:
        yield files_failed_of(progress)
    if progress.seconds_left is not None and not progress.has_ended:
        yield f"{duration(progress.seconds_left)} left"


def files_failed_of(progress: JobProgress) -> str:
    return f"{_amount(progress.files_failed)} {'file' if progress.files_failed == 1 else 'files'} failed"


def duration(seconds: float) -> str:
    """Format a duration in the two largest units: "1 min 15 s"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _amount(number: int) -> str:
    return f"{number:,}"


def _bar() -> "Progress":
    # The import of Rich takes longer than most commands.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("[bold]{task.fields[status]}[/]"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[detail]}[/]"),
        console=Console(stderr=True),
    )
