"""With neurons switched off the model says what it says without their weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.core.errors import LayerError
from attriscope.widget.state.selection import ChoiceError, Selection
from models import draw, pictures
from widget.autograd import TARGET, explained
from widget.nets import Bottleneck, TimeFirst, Vit, net, picture


def what_if(model: nn.Module, x: Tensor, *off: tuple[str, Any], **options: Any) -> Tensor:
    choice = Selection("Saliency", TARGET, ablated=tuple(off), **options)
    return explained(model, x).layer_cache.run_ablated(choice)


def test_without_channels_it_says_what_it_says_without_their_weights() -> None:
    model, x = pictures(), draw(1, 2, 6, 5)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name, channel in (("conv", 0), ("block", 2)):
            getattr(other, name).weight[channel] = 0
            getattr(other, name).bias[channel] = 0
        other.fc.weight[1] = 0
        other.fc.bias[1] = 0
    found = what_if(model, x, ("conv", 0), ("block", 2), ("fc", 1))
    torch.testing.assert_close(found, other(x), rtol=1e-12, atol=1e-12)
    assert not found.allclose(model(x))


def test_single_neurons_are_switched_off_where_they_stand() -> None:
    model, x = net(Vit), picture(8, 12)
    found = what_if(model, x, ("block.mlp.2", [7, 0]), ("block.mlp.2", [1, 0]), ("block.attention.weigh", 1))
    x = torch.cat([model.token, model.patches(x).flatten(2).transpose(1, 2)], 1)
    attention = model.block.attention
    y = model.block.norm(x)
    q, k, v = (
        project(y).unflatten(-1, (2, 3)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = torch.softmax(q @ k.transpose(2, 3) / 3**0.5, -1)
    weights[:, 1] = 0
    x = x + attention.out((weights @ v).transpose(1, 2).flatten(2))
    hidden = model.block.mlp[:3](x)
    hidden[:, 0, [7, 1]] = 0
    torch.testing.assert_close(found, model.head((x + model.block.mlp[3](hidden))[:, 0]))


def test_of_a_module_at_several_sizes_the_last_is_switched_off() -> None:
    model, x = net(Bottleneck), picture()
    found = what_if(model, x, ("relu", 8), ("relu", 1))
    wide = model.wide(model.down(model.narrow(x).relu()).relu()).relu()
    wide[:, [8, 1]] = 0
    torch.testing.assert_close(found, model.head(wide.mean((2, 3))))


@pytest.mark.parametrize("baselines", [("mean",), ("zero", "blur")], ids=["one", "several"])
def test_switched_to_the_baseline_it_holds_what_it_holds_there(baselines: tuple[str, ...]) -> None:
    model, x = pictures(), draw(1, 2, 6, 5)
    found = what_if(model, x, ("conv", 1), ("block", [2, 3, 3]), baselines=baselines, ablate_to="baseline")
    looked = explained(model, x)
    starts = [s.value for s in looked.example(0).baselines(Selection("Saliency", 0, baselines))]
    conv = model.conv(x)
    conv[:, 1] = torch.stack([model.conv(s)[:, 1] for s in starts]).mean(0)
    hidden = model.bn(conv).relu()
    block = model.block(hidden)
    at_start = [model.block(model.bn(model.conv(s)).relu())[:, 2, 3, 3] for s in starts]
    block[:, 2, 3, 3] = torch.stack(at_start).mean(0)
    wanted = model.fc(model.pool(hidden + block.tanh()).flatten(1))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_all_of_a_layer_at_the_baseline_is_the_prediction_at_the_baseline() -> None:
    model, x = net(TimeFirst), picture()
    found = what_if(model, x, *(("block", c) for c in range(6)), baselines=("mean",), ablate_to="baseline")
    start = explained(model, x).example(0).baselines(Selection("Saliency", 0, ("mean",)))[0].value
    torch.testing.assert_close(found, model(start))


@pytest.mark.parametrize(
    ("off", "error", "says"),
    [
        (("unused", 0), LayerError, "'unused' did not run"),
        (("conv", 3), ChoiceError, "there is no channel 3 in layer 'conv'"),
        (("convv", 0), LayerError, "'convv' is not there"),
    ],
)
def test_what_cannot_be_switched_off(off: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        what_if(pictures(), draw(1, 2, 6, 5), off)
