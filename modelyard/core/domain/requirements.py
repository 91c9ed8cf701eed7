"""The rules of a request, checked together: one error names every broken rule."""

from collections.abc import Iterator
from contextlib import contextmanager

from modelyard.core.errors import InvalidRequest


class Requirements:
    """Collects broken rules until `check` raises them as one InvalidRequest."""

    def __init__(self) -> None:
        self._broken: list[InvalidRequest] = []

    def require(self, condition: bool, message: str, *, target: str) -> None:
        if not condition:
            self._broken.append(InvalidRequest(message, target=target))

    @contextmanager
    def collect(self, below: str = "") -> Iterator[None]:
        """Keep the InvalidRequest that the block raises. Values that the block assigns may be used after `check`.

        `below` is the place of the checked value: messages and targets of the block begin with a name below.
        """
        try:
            yield
        except InvalidRequest as error:
            self._broken += [_placed(part, below) for part in error.parts]

    def check(self) -> None:
        if len(self._broken) == 1:
            raise self._broken[0]
        if self._broken:
            sentences = "; ".join(part.message for part in self._broken)
            raise InvalidRequest(sentences, target=self._broken[0].target, parts=self._broken)


def _placed(error: InvalidRequest, below: str) -> InvalidRequest:
    if not below:
        return error
    return InvalidRequest(f"{below.rpartition('.')[2]}.{error.message}", target=f"{below}.{error.target}")
