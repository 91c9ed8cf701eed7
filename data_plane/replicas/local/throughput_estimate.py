"""How many rows may go to the model at once: few until it has shown how long it takes for them."""

_GROWTH = 2
_WEIGHT_OF_THE_LATEST = 0.25


class Pace:
    def __init__(self) -> None:
        self._seconds_per_row = 0.0
        self._most_measured = 0

    def rows_within(self, seconds: float) -> int:
        """0 while nothing is known, which means one request."""
        known = self._most_measured * _GROWTH
        if self._seconds_per_row * known <= seconds:
            return known
        return int(seconds / self._seconds_per_row)

    def note(self, rows: int, seconds: float) -> None:
        latest = seconds / max(rows, 1)
        if self._most_measured:
            self._seconds_per_row += _WEIGHT_OF_THE_LATEST * (latest - self._seconds_per_row)
        else:
            self._seconds_per_row = latest
        self._most_measured = max(self._most_measured, rows)

    def start_again(self) -> None:
        """A batch failed, and had to be scored request by request: the next ones are small."""
        self._most_measured = 0
