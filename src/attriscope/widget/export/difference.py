"""One map minus another, as the page subtracts them (``js/src/selection/difference.ts``)."""

from __future__ import annotations

from attriscope.widget.export import colours
from attriscope.widget.messages.types import RawHeat


def why_not(first: RawHeat, second: RawHeat) -> str:
    """Why two maps cannot be subtracted; empty if they can."""
    if list(first["shape"]) != list(second["shape"]) or first.get("pixels", 1.0) != second.get("pixels", 1.0):
        return "the maps are of different sizes"
    if first.get("quantity") != second.get("quantity"):
        return "the maps are of different quantities"
    return ""


def difference(first: RawHeat, second: RawHeat) -> RawHeat:
    """The first map minus the second, in 32 bits; of maps that can be subtracted."""
    left = colours.values(first) - colours.values(second)
    found: RawHeat = {
        "shape": first["shape"],
        "data": left.astype("<f4").tobytes(),
        "title": f"{first['title']} − {second['title']}",
        "pixels": first.get("pixels", 1.0),
        "summable": bool(first.get("summable") and second.get("summable")),
        "unit": difference_unit(first.get("unit", ""), second.get("unit", "")),
    }
    sums = first.get("sum"), second.get("sum")
    if sums[0] is not None and sums[1] is not None:
        found["sum"] = sums[0] - sums[1]
    return found


def difference_unit(first: str, second: str) -> str:
    """What is left when numbers of one unit are taken from those of another, in words."""
    if not first and not second:
        return "difference"
    return f"difference in {first}" if first == second else f"{first} − {second}"
