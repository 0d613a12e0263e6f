"""Numbers as they are written in plots."""

from __future__ import annotations

import math


def short_number(value: float) -> str:
    """Three digits, with a minus sign."""
    size = abs(value)
    text = f"{value:.0f}" if 1000 <= size < 1e5 else f"{value:.3g}"
    digits, e, exponent = text.partition("e")
    text = f"{digits}e{int(exponent)}" if e else text  # e-5 rather than e-05
    return text.replace("-", "\N{MINUS SIGN}")


def signed_number(value: float) -> str:
    """As :func:`short_number`, with a sign on both sides of 0."""
    return f"+{short_number(value)}" if value > 0 else short_number(value + 0.0)


def visibly_differ(first: float, second: float, scale: float) -> bool:
    """Whether two numbers differ by more than a reader could take for rounding: a thousandth of what is drawn."""
    return not math.isclose(first, second, rel_tol=0, abs_tol=1e-3 * scale)
