"""Progress reports: the client calls a Watcher, and the command line shows the reports."""

from typing import Protocol


class Watcher(Protocol):
    def step(self, name: str) -> None:
        """Report the current step ("installing packages"). The same step may be reported again."""

    def transferred(self, done: int, total: int) -> None:
        """Report the bytes of the current upload or download."""

    def note(self, sentence: str) -> None:
        """Report a note for the user that is not an error."""


class SilentWatcher:
    """Ignores all reports."""

    def step(self, name: str) -> None:
        pass

    def transferred(self, done: int, total: int) -> None:
        pass

    def note(self, sentence: str) -> None:
        pass


SILENT_WATCHER = SilentWatcher()
