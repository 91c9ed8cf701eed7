"""Progress on standard error: a live display in a terminal, a line for each step in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelyard.client.watching import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_MEGABYTE = 1 << 20


def note(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[Watcher]:
    if sys.stderr.isatty():
        with _live() as watcher:
            yield watcher
    else:
        yield _Lines()


class _Lines:
    """Prints a line at the start of each step."""

    def __init__(self) -> None:
        self._step: str | None = None

    def step(self, name: str) -> None:
        if name != self._step:
            self._step = name
            print(f"{name} ...", file=sys.stderr, flush=True)

    def transferred(self, done: int, total: int) -> None:
        pass

    def note(self, sentence: str) -> None:
        note(sentence)


class _Live:
    """Shows each step as a line with a spinner and the elapsed time."""

    def __init__(self, display: "Progress") -> None:
        self._display = display
        self._step: str | None = None
        self._task: TaskID | None = None

    def step(self, name: str) -> None:
        if name != self._step:
            self.end("[green]✓[/]")
            self._step = name
            self._task = self._display.add_task(name, total=None, mark="", detail="")

    def transferred(self, done: int, total: int) -> None:
        if self._task is not None:
            self._display.update(self._task, detail=f"{done / _MEGABYTE:.1f} of {total / _MEGABYTE:.1f} MB")

    def note(self, sentence: str) -> None:
        self._display.console.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)

    def end(self, mark: str) -> None:
        if self._task is not None:
            self._display.stop_task(self._task)
            self._display.update(self._task, mark=mark)
            self._task = None


@contextmanager
def _live() -> Iterator[Watcher]:
    # The import of Rich takes longer than most commands.
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.text import Text

    class Mark(ProgressColumn):
        def __init__(self) -> None:
            super().__init__()
            self._spinner = SpinnerColumn()

        def render(self, task: Task) -> "Text":
            if task.fields["mark"]:
                return Text.from_markup(task.fields["mark"])
            return Text(str(self._spinner.render(task)))

    columns = (
        Mark(),
        TextColumn("{task.description}"),
        TextColumn("[dim]{task.elapsed:.1f} s[/]", justify="right"),
        TextColumn("[dim]{task.fields[detail]}[/]"),
    )
    with Progress(*columns, console=Console(stderr=True)) as display:
        watcher = _Live(display)
        try:
            yield watcher
        except BaseException:
            watcher.end("[red]✗[/]")
            raise
        watcher.end("[green]✓[/]")
