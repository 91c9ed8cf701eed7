"""Limits of the scoring requests of each key of an endpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.core.domain.documents import known_fields
from modelyard.core.errors import InvalidRequest

_MOST_PER_SECOND = 1_000_000
_MOST_PER_DAY = 4_000_000_000


@dataclass(frozen=True, slots=True)
class RateLimit:
    """None: no limit. Each key has the whole limit: the primary and the secondary key are counted apart."""

    requests_per_second: int | None = None
    """Within each second of UTC."""
    requests_per_day: int | None = None
    """Within each day of UTC."""

    def __post_init__(self) -> None:
        for name, value, most in (
            ("requestsPerSecond", self.requests_per_second, _MOST_PER_SECOND),
            ("requestsPerDay", self.requests_per_day, _MOST_PER_DAY),
        ):
            if value is not None and not 1 <= value <= most:
                raise InvalidRequest(
                    f"rateLimit.{name} is {value}: use a whole number from 1 to {most}, or leave it out for no limit",
                    target=f"properties.rateLimit.{name}",
                )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | None) -> "RateLimit":
        return cls(**known_fields(cls, document or {}))

    def to_dict(self) -> dict[str, int]:
        """The limits that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}


NO_LIMIT = RateLimit()
