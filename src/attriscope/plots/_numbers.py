"""Numbers as they are written in plots."""

from __future__ import annotations


def short(value: float) -> str:
    """Three digits, with a minus sign."""
    size = abs(value)
    text = f"{value:.0f}" if 1000 <= size < 1e5 else f"{value:.3g}"
    digits, e, exponent = text.partition("e")
    text = f"{digits}e{int(exponent)}" if e else text  # e-5 rather than e-05
    return text.replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """As :func:`short`, with a sign on both sides of 0."""
    return f"+{short(value)}" if value > 0 else short(value + 0.0)
