"""What reads a region: by hand on a small net, of tokens, and of models that have nothing to say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from attriscope import Explorer
from attriscope.core.inputs import gather_examples
from attriscope.core.layer_map import layers as layers_of
from attriscope.core.layouts import layouts_of
from attriscope.widget.model.readers import Reader, readers
from widget.helpers import Make


def found(model: nn.Module, picture: Tensor, target: Any, mask: Tensor) -> list[Reader]:
    layers = layers_of(model, picture)
    return readers(model, layers, layouts_of(layers, model), gather_examples(picture), target, mask)


class Halved(nn.Module):
    """Two channels at half the picture's size, weighed and summed."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.weigh = nn.Conv2d(2, 1, 1, bias=False)
        with torch.no_grad():
            self.weigh.weight.copy_(torch.tensor([2.0, -3.0]).reshape(1, 2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weigh(self.pool(x)).flatten(1).sum(1, keepdim=True)


def test_cells_count_by_the_part_that_lies_inside() -> None:
    picture = torch.tensor([[1.0, 10.0], [2.0, 20.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    picture = torch.stack([picture, picture / 10])[None]
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[0, :3] = True  # half of the first cell, a quarter of the second
    pool, weigh = found(Halved(), picture, 0, mask)
    values = torch.tensor([1 / 2 + 10 / 4, (1 / 2 + 10 / 4) / 10]) * torch.tensor([2.0, -3.0])
    assert (pool.layer, pool.channel) == ("pool", 0)
    assert pool.contribution == pytest.approx(float(values[0]))
    assert pool.share == pytest.approx(float(values[0] / values.abs().sum()))
    assert (weigh.layer, weigh.channel, weigh.share) == ("weigh", 0, pytest.approx(1.0))
    assert weigh.contribution == pytest.approx(float(values.sum()))


def test_a_channel_against_it_may_contribute_most() -> None:
    picture = torch.ones(1, 2, 4, 4)
    pool, _ = found(Halved(), picture, 0, torch.ones(4, 4, dtype=torch.bool))
    assert (pool.channel, pool.contribution) == (1, pytest.approx(-12.0))


def test_what_several_layers_give_is_told_once_and_of_blocks() -> None:
    blocks = [nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()) for _ in range(6)]
    torch.manual_seed(0)
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    told = found(model, torch.rand(1, 2, 8, 8) + 1, 0, torch.ones(8, 8, dtype=torch.bool))
    names = [one.layer for one in told]
    assert set(names) <= {"0", "1", "2", "3", "4", "5"}
    assert names == sorted(names)
    assert len(names) <= 3


class Tokens(nn.Module):
    """Patches of a picture as tokens behind one of the class, each with two units."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 2, 2, 2, bias=False)
        self.block = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.new_full((len(tokens), 1, 2), 100.0), tokens], 1)
        return (self.block(tokens * 1) * torch.tensor([1.0, 5.0])).sum((1, 2))[:, None]


def test_tokens_lie_where_their_patches_do() -> None:
    model = Tokens()
    nn.init.ones_(model.patches.weight)
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[2:, 2:] = True
    told = {one.layer: one for one in found(model, picture, 0, mask)}
    patch = float(picture[0, 0, 2:, 2:].sum())
    assert told["block"].channel == 1
    assert told["block"].contribution == pytest.approx(5 * patch)  # nothing of the token that is no patch


def test_no_gradients_and_no_effect_tell_of_nothing(make: Make) -> None:
    class Rounded(Halved):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).round()

    assert found(Rounded(), torch.ones(1, 2, 4, 4), 0, torch.ones(4, 4, dtype=torch.bool)) == []
    assert found(nn.Flatten(), torch.ones(1, 2, 4, 4), 0, torch.ones(4, 4, dtype=torch.bool)) == []


def test_the_explorer_says_so_of_its_region(make: Make) -> None:
    explorer: Explorer = make(target=2).wait()
    explorer.selection = {"kind": "box", "box": [0, 0, 4, 4]}
    explorer.wait()
    told = explorer.covered["readers"]
    assert told
    region = torch.zeros(1, 1, 8, 8)
    region[..., :4, :4] = 1
    for one in told:
        assert set(one) == {"layer", "channel", "noun", "contribution", "share"}
        explorer.layer = one["layer"]
        explorer.wait()
        channels = explorer._explained.layer_cache.reading(explorer.choice).grad_x_activation
        inside = interpolate(region, channels.shape[1:], mode="area")[0].to(channels)
        sums = (channels * inside).flatten(1).sum(1)
        assert one["channel"] == int(sums.abs().argmax())
        assert one["contribution"] == pytest.approx(float(sums[one["channel"]]), rel=1e-4)


def test_at_a_neuron_nothing_is_said_of_what_reads_it_for_the_output(make: Make) -> None:
    explorer: Explorer = make(target=2, layer="first", neuron=1).wait()
    explorer.selection = {"kind": "box", "box": [0, 0, 4, 4]}
    explorer.wait()
    assert explorer.covered["cost"] is not None
    assert explorer.covered["readers"] == []
