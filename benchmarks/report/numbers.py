"""How figures are written."""

import math


def number(value: float) -> str:
    """Round to about three digits, the precision of the measurements."""
    if math.isnan(value):
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
