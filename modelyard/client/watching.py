"""How somebody who waits is kept informed. The client tells; the command line shows."""

from typing import Protocol


class Watcher(Protocol):
    def step(self, name: str) -> None:
        """Say what the platform does now ("installing packages"). The same sentence may come again."""

    def transferred(self, done: int, total: int) -> None:
        """Bytes of the upload or download under way."""

    def note(self, sentence: str) -> None:
        """Something the user should know that is no error."""


class Unwatched:
    """For a program that only wants the result."""

    def step(self, name: str) -> None:
        pass

    def transferred(self, done: int, total: int) -> None:
        pass

    def note(self, sentence: str) -> None:
        pass


UNWATCHED = Unwatched()
