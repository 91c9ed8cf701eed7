"""Conversion between seconds and the durations of ARM (ISO 8601, for example "PT1M30.5S")."""

import re

_PATTERN = re.compile(
    r"P(?:(?P<days>[\d.]+)D)?(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?", re.I
)
_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def iso_duration(seconds: float) -> str:
    return f"PT{seconds:.6f}".rstrip("0").rstrip(".") + "S"


def seconds_of(duration: str) -> float:
    """Parse a duration. Raises ValueError for other text."""
    found = _PATTERN.fullmatch(duration)
    if not found or not any(found.groups()):
        raise ValueError(f"{duration!r} is not an ISO 8601 duration")
    return sum(float(amount) * _SECONDS[unit] for unit, amount in found.groupdict().items() if amount)
