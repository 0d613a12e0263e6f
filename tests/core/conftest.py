"""What tests of the evaluator share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attriscope.core.row_dependence import Units


@pytest.fixture(scope="module")
def independent_rows() -> Iterator[None]:
    """Rows are known not to depend on each other, so no row is spent on finding out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Units, "unit", property(lambda self: "any"))
        yield
