"""What belongs to an example does not depend on the examples beside it, where sampling adapts to what it finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import attr
from models import draw, seeded

pytestmark = pytest.mark.usefixtures("independent_rows")
KINDS = torch.arange(8) % 4


def games(x: Tensor, kind: Tensor) -> Tensor:
    """Between -x and x: additive, odd, with interactions of two features, and with all of them."""
    additive = x.sum(1)
    odd = 3 * x[:, :3].prod(1) + additive
    even = (x[:, 1:5] * x[:, 2:6]).sum(1) + additive
    hard = torch.tanh(x @ torch.linspace(-1, 1, x.shape[1], dtype=x.dtype)) * x[:, 3].exp()
    return torch.stack([additive, odd, even, hard], 1).gather(1, kind[:, None])[:, 0]


@pytest.mark.parametrize(
    ("method", "features", "options"),
    [
        *(("KernelShap", 9, {"n_samples": n}) for n in (30, 60, 100, 200)),
        *(("KernelShap", 30, {"n_samples": n}) for n in (60, 400)),
        *(("ShapleyValueSampling", 14, {"n_samples": n}) for n in (3, 10)),
        ("ShapleyValueSampling", 520, {"n_samples": 12}),
        ("Lime", 14, {"n_samples": 40, "interpretable_model": None}),
    ],
    ids=str,
)
def test_each_as_alone(method: str, features: int, options: dict[str, Any]) -> None:
    """Up to the rounding of sums; where it adapted to the batch as a whole, up to 57 % of a value differed."""
    x = draw(8, features)
    made = (
        {"interpretable_model": options.pop("interpretable_model")}
        if "interpretable_model" in options
        else {}
    )

    def explained(part: slice) -> Any:
        explainer = getattr(attr, method)(games, **made)
        return explainer.estimate(
            x[part], -x[part], additional_forward_args=KINDS[part], generator=seeded(3), **options
        )

    together = explained(slice(0, 8))
    alone = [explained(slice(i, i + 1)) for i in range(8)]
    torch.testing.assert_close(
        together.attributions, torch.cat([one.attributions for one in alone]), rtol=1e-4, atol=1e-5
    )
    if together.error is not None and all(one.error is not None for one in alone):
        torch.testing.assert_close(
            together.error, torch.cat([one.error for one in alone]), rtol=1e-3, atol=1e-5
        )


def test_an_output_of_all_together_has_one_order() -> None:
    """There is nobody to be independent of: one number, and all examples together are its game."""
    x = draw(3, 9)

    def total(x: Tensor) -> Tensor:
        return games(x, torch.ones(len(x), dtype=torch.long)).sum()

    found = attr.KernelShap(total).attribute(x, -x, n_samples=60, generator=seeded(0))
    assert found.shape == (1, 9)
    torch.testing.assert_close(found.double().sum(), total(x) - total(-x), rtol=1e-5, atol=1e-5)
