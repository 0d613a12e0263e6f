"""Stages that a person draws: here a chain of three nodes with two numbers each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.core.errors import InputError
from attriscope.widget import DrawnStage
from models import draw

# Two rows of pixels; the fourth column is ground, and the last node has one pixel.
FEATURES = torch.tensor([[0, 0, 1, -1, 2], [0, 1, 1, -1, -1]])
GRAPHS = draw(3, 3, 2, seed=4).float()


class Chain(DrawnStage):
    def draw(self, tensor: Tensor) -> Any:
        values = torch.cat([tensor[0, :, 0].sigmoid(), torch.ones(1)])
        return np.repeat(values[FEATURES].numpy()[..., None], 3, 2)

    def features(self) -> Tensor:
        return FEATURES

    @property
    def groups(self) -> Tensor:
        return torch.arange(3)[:, None].expand(3, 2)


class Weighted(nn.Module):
    """A sum of tanh of each number, each with a weight of its own, for two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(draw(2, 3, 2, seed=9).float())

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x.tanh()[:, None]).sum((2, 3))


def test_what_a_feature_is_worth_is_shared_out_among_its_pixels() -> None:
    stage = Chain(GRAPHS[:1])
    assert stage.places == (2, 5)
    found = stage.as_map(GRAPHS)
    assert found.shape == (3, 1, 2, 5)
    for node in range(3):
        pixels = found[:, 0, node == FEATURES]
        torch.testing.assert_close(pixels.sum(1), GRAPHS[:, node].sum(1))
        torch.testing.assert_close(pixels, pixels[:, :1].expand_as(pixels))
    assert not found[:, 0, FEATURES < 0].any()


@pytest.mark.parametrize(
    ("pixels", "nodes"),
    [
        ([(0, 0)], []),  # a third of the first node
        ([(0, 0), (1, 0)], [0]),
        ([(0, 4)], [2]),
        ([(0, 3), (1, 4)], []),  # ground
        ([(0, 2), (1, 1), (0, 4)], [1, 2]),
    ],
)
def test_a_feature_lies_where_half_of_its_pixels_lie(pixels: list[tuple[int, int]], nodes: list[int]) -> None:
    mask = torch.zeros(2, 5, dtype=torch.bool)
    for pixel in pixels:
        mask[pixel] = True
    inside = Chain(GRAPHS[:1]).inside(mask)
    assert inside.shape == (1, 3, 2)
    assert [i for i in range(3) if inside[0, i].all()] == nodes
    assert int(inside.sum()) == 2 * len(nodes)


def test_the_explorer_draws_brushes_and_covers_it() -> None:
    model = Weighted().eval()
    explorer = Explorer(model, GRAPHS, stage=Chain, target=1, n_steps=30).wait()
    start = torch.zeros(1, 3, 2)
    wanted = attr.IntegratedGradients(model).attribute(GRAPHS[:1], start, target=1, n_steps=30)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.picture["shape"] == [2, 5]
    assert bytes(explorer.picture["data"])[9:12] == b"\xff\xff\xff"  # the ground
    heat = np.frombuffer(explorer.heat["data"], "<f4").reshape(2, 5)
    assert heat[FEATURES.numpy() == 1].sum() == pytest.approx(wanted[0, 1].sum().item(), rel=1e-5)
    explorer.selection = FEATURES == 1
    covered = explorer.wait().covered
    without = GRAPHS[:1].clone()
    without[:, 1] = 0
    cost = (model(GRAPHS[:1]) - model(without))[0, 1].item()
    assert covered["cost"] == pytest.approx(cost, rel=1e-4)
    assert covered["worth"] == pytest.approx(wanted[0, 1].sum().item(), rel=1e-4)
    explorer.method = "FeatureAblation"
    assert explorer.wait().attributions[0, 1].tolist() == pytest.approx([cost, cost], rel=1e-4)
    assert explorer.heat["sum"] == pytest.approx(explorer.attributions[0, :, 0].sum().item(), rel=1e-4)
    assert "add stage as you gave" in explorer.code
    scope: dict[str, Any] = {"model": model, "inputs": GRAPHS, "groups": Chain(GRAPHS[:1]).groups}
    exec(
        "\n".join(explorer.code.splitlines())
        .partition("# The numbers")[2]
        .partition("\n")[2]
        .replace("explorer", "None"),
        {"torch": torch, "FeatureAblation": attr.FeatureAblation, **scope},
    )
    assert explorer.snapshot()[:4] == b"\x89PNG"
    assert len(explorer.examples) == 3
    explorer.close()


class Wrong(Chain):
    """Says things that do not fit together."""

    def __init__(self, example: Tensor, drawn: Any = None, features: Any = FEATURES) -> None:
        super().__init__(example)
        self._drawn, self._features = drawn, features

    def draw(self, tensor: Tensor) -> Any:
        return super().draw(tensor) if self._drawn is None else self._drawn

    def features(self) -> Tensor:
        return self._features  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"features": FEATURES + 1}, r"features\(\) must give whole numbers \(H, W\) below 3"),
        ({"features": FEATURES.float()}, "must give whole numbers"),
        ({"features": FEATURES.flatten()}, "must give whole numbers"),
        (
            {"drawn": np.zeros((4, 5, 3), np.uint8)},
            r"draw\(\) gives a picture of \(4, 5\) pixels, but features",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Explorer(Weighted(), GRAPHS, stage=lambda example: Wrong(example, **wrong))
