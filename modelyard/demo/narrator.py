"""The output of the demo: one line a step, with the time of the step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.text import Text

from modelyard.client.watching import SilentWatcher

_WIDTH: Final = 34


class Narrator:
    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._spinner = self._console.status("")
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style))

    def heading(self, text: str) -> None:
        self.say(text, "bold")

    @contextmanager
    def step(self, name: str) -> Iterator["Step"]:
        """Show a spinner during the step, then the line of the step with the time."""
        step = Step(self, name)
        try:
            yield step
        except BaseException:
            step.end("✗", "red")
            raise
        step.end("✓", "green")

    def begin(self, name: str) -> None:
        self._spinner.update(name)
        self._spinner.start()

    def end(self, mark: str, style: str, name: str, seconds: float, result: str) -> None:
        self._spinner.stop()
        line = Text.assemble((mark, style), f" {name:<{_WIDTH}}{seconds:6.1f} s   ", (result, "dim"))
        line.rstrip()
        self._console.print(line)


class Step(SilentWatcher):
    """One step of the demo, with the steps that the platform reports meanwhile."""

    def __init__(self, narrator: Narrator, name: str) -> None:
        self._narrator = narrator
        self._name = name
        self._inner: str | None = None
        self._began = self._inner_began = time.monotonic()
        self.result = ""
        """The result, for the end of the line."""
        narrator.begin(name)

    def step(self, name: str) -> None:
        """Start a step of the platform."""
        if name != self._inner:
            self._end_inner("✓", "green")
            self._inner, self._inner_began = name, time.monotonic()
            self._narrator.begin(f"{self._name}: {name}")

    def end(self, mark: str, style: str) -> None:
        self._end_inner(mark, style)
        self._narrator.end(mark, style, self._name, time.monotonic() - self._began, self.result)

    def _end_inner(self, mark: str, style: str) -> None:
        if self._inner is not None:
            seconds = time.monotonic() - self._inner_began
            self._narrator.end(mark, style, f"  {self._inner}", seconds, "")
            self._inner = None
