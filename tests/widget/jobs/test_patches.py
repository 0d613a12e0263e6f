"""The patches of the examples that excite channels most: held against what hooks and plain loops find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import zoo
from attriscope.core.inputs import gather_examples
from attriscope.core.layer_map import map_layers
from attriscope.core.layouts import layouts_of
from attriscope.core.progress import control
from attriscope.widget.model.excitation import MOST_EXAMPLES, excitation, patch_corner, patch_side
from models import Snapshot, draw
from widget.helpers import Masked, TwoLayers, assert_consistent
from widget.nets import Rows, TimeFirst, Vit, net


def held(model: nn.Module, layer: str, x: Tensor, *more: Any) -> Tensor:
    """What a layer gives for each example by itself, read by a hook, (N, ...)."""
    found: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda m, given, out: found.append(out.detach()))
    with torch.no_grad():
        for i in range(len(x)):
            model(x[i : i + 1], *(one[i : i + 1] if len(one) == len(x) > 1 else one for one in more))
    hook.remove()
    return torch.cat(found)


def slow(maps: Tensor, channel: int, apart: float, most: int = 4) -> list[tuple[int, list[int], float]]:
    """Example, place and value of what excites a channel: each example's best place, then what is apart from it."""
    count = len(maps)
    free = [
        {(i, j): maps[n, channel, i, j].item() for i in range(maps.shape[2]) for j in range(maps.shape[3])}
        for n in range(count)
    ]
    least = min(min(one.values()) for one in free)
    found: list[tuple[int, list[int], float]] = []
    while len(found) < most:
        best = []
        for n, places in enumerate(free):
            at = max(places, key=lambda place: places[place]) if places else None  # of equals the first
            if at is not None and (places[at] > 0 or places[at] > least):
                best.append((n, list(at), places[at]))
            free[n] = {
                p: v for p, v in places.items() if at and max(abs(p[0] - at[0]), abs(p[1] - at[1])) >= apart
            }
        if not best:
            break
        found += sorted(best, key=lambda one: -one[2])
    return found[:most]


def told(explorer: Any) -> dict[int, list[tuple[int, Any, float]]]:
    patches = explorer.patches
    return {
        channel: [(one["example"], one["place"], pytest.approx(one["value"])) for one in ones]
        for channel, ones in zip(patches["channels"], patches["patches"], strict=True)
    }


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("layer", ["first", "act", "second"])
def test_they_are_where_a_hook_finds_the_largest_values(explore: Any, layer: str, count: int) -> None:
    """Distinct examples first; with fewer than four, other places of the same ones, half a patch apart."""
    model, x = TwoLayers().double().eval(), draw(count, 3, 24, 20, seed=2)
    explorer = explore(model, x, layer=layer).wait()
    maps = held(model, layer, x)
    side = patch_side((24, 20), (24, 20))
    assert side == 4  # as far as four places reach, and a sixth of the picture
    best = [one.channel for one in explorer.top_channels(12)]
    assert told(explorer) == {channel: slow(maps, channel, apart=2) for channel in best}
    assert explorer.patches["examples"] == count
    pictures = [explorer._explained.batch.pixels(i) for i in range(count)]
    wanted = []
    for channel in best:
        for n, (row, column), _ in slow(maps, channel, apart=2):
            top, left = min(max(row - 2, 0), 20), min(max(column - 2, 0), 16)  # moved inside
            wanted.append(pictures[n][top : top + 4, left : left + 4])
    sent = np.frombuffer(explorer.patches["data"], np.uint8).reshape(-1, 4, 4, 3)
    np.testing.assert_array_equal(sent, np.stack(wanted))
    assert_consistent(explorer)


@pytest.mark.parametrize(
    ("picture", "size", "side"),
    [((224, 224), (14, 14), 64), ((224, 224), (112, 112), 37), ((8, 12), (4, 6), 8), ((28, 28), (1, 1), 28)],
)
def test_patches_lie_in_the_picture(picture: tuple[int, int], size: tuple[int, int], side: int) -> None:
    assert patch_side(picture, size) == side
    for position in [(0, 0), (size[0] - 1, size[1] - 1), (size[0] // 2, 0)]:
        top, left = patch_corner(position, picture, size)
        assert 0 <= top <= picture[0] - side
        assert 0 <= left <= picture[1] - side
        for at, corner, pixels, places in zip(position, (top, left), picture, size, strict=True):
            middle = (at + 0.5) * pixels / places
            assert corner - 1 <= middle <= corner + side + 1  # the place itself is inside


@pytest.mark.parametrize(
    ("kind", "layer"), [(Vit, "block"), (lambda: Vit(False), "block.mlp"), (TimeFirst, "block")]
)
def test_tokens_have_the_patches_that_they_stand_for(
    explore: Any, kind: Callable[[], nn.Module], layer: str
) -> None:
    model, x = net(kind), draw(5, 3, 8, 12 if kind is not TimeFirst else 8, seed=6)
    explorer = explore(model, x, layer=layer).wait()
    out = held(model, layer, x)
    if kind is TimeFirst:  # (time, 1, units), one example after the other
        tokens = out.reshape(5, 16, 6).transpose(1, 2).reshape(5, 6, 4, 4)
    else:
        tokens = out[:, -24:].transpose(1, 2).reshape(5, -1, 4, 6)
    assert told(explorer) == {i: slow(tokens, i, apart=2) for i in explorer.patches["channels"]}
    assert explorer.patches["shape"] == [8, 8]


@pytest.mark.parametrize(("kind", "layer"), [(TwoLayers, ""), (Rows, "lstm"), (Rows, "head")])
def test_without_a_map_the_examples_themselves_are_ranked(explore: Any, kind: Any, layer: str) -> None:
    model, x = net(kind), draw(6, 3, 8, 8, seed=7)
    explorer = explore(model, x, layer=layer).wait()
    found: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(
        lambda m, given, out: found.append((out[0] if isinstance(out, tuple) else out).detach())
    )
    for i in range(6):
        model(x[i : i + 1])
    hook.remove()
    most = torch.cat([one.reshape(-1, one.shape[-1]).amax(0, keepdim=True) for one in found])
    for channel, ones in told(explorer).items():
        order = most[:, channel].argsort(descending=True).tolist()
        order = [i for i in order if most[i, channel] > 0 or i != order[-1]][:4]
        assert ones == [(i, None, most[i, channel].item()) for i in order]
    assert explorer.patches["shape"] == [8, 8]
    one = explore(model, x[:1], layer=layer).wait()
    assert one.patches == {}  # the only example excites all of them most


def test_they_are_of_the_first_examples_and_worked_out_once(explore: Any) -> None:
    model, x = TwoLayers().double().eval(), draw(MOST_EXAMPLES + 6, 3, 8, 8, seed=3)
    explorer = explore(model, x, layer="act", example=MOST_EXAMPLES + 5, method="Saliency").wait()
    maps = held(model, "act", x[:MOST_EXAMPLES])
    before = explorer.patches
    assert told(explorer) == {channel: slow(maps, channel, apart=2) for channel in before["channels"]}
    assert before["examples"] == MOST_EXAMPLES
    rows: list[int] = []
    model.before = lambda given: rows.append(len(given))
    explorer.target = 3  # other channels are the best, of the same places
    explorer.wait()
    assert max(rows) < 40, rows  # the path, and no 64 examples
    assert sum(rows) < 120
    assert set(explorer.patches["channels"]) == set(before["channels"])
    explorer.layer = None
    assert explorer.wait().patches == {}


def test_further_arguments_go_with_their_examples(explore: Any) -> None:
    model, x = Masked().double().eval(), draw(5, 3, 8, 8, seed=8)
    mask, weights = draw(5, 1, 8, 8, seed=9), draw(1, 5, seed=1)
    explorer = explore(model, x, layer="net.act", additional_forward_args=(mask, weights)).wait()
    maps = held(model, "net.act", x, mask, weights)
    assert told(explorer) == {
        channel: slow(maps, channel, apart=2) for channel in explorer.patches["channels"]
    }


def test_a_model_for_one_example_at_a_time_gets_them_one_by_one(explore: Any) -> None:
    class Alone(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.reshape(1, 3, 8, 8))

    model, x = Alone().double().eval(), draw(5, 3, 8, 8, seed=4)
    explorer = explore(model, x, layer="act").wait()
    maps = held(model, "act", x)
    assert told(explorer) == {
        channel: slow(maps, channel, apart=2) for channel in explorer.patches["channels"]
    }


def test_what_goes_wrong_costs_no_more_than_the_patches(explore: Any, monkeypatch: Any) -> None:
    def fail(*given: Any) -> None:
        raise ValueError("I do not like these")

    monkeypatch.setattr("attriscope.widget.model.explained_model.excitation", fail)
    model, x = TwoLayers().double().eval(), draw(3, 3, 8, 8, seed=4)
    explorer = explore(model, x, layer="act").wait()
    assert explorer.patches == {}
    assert explorer.channels["count"] == 6
    assert explorer.status == "idle"


def test_what_is_not_finite_or_does_not_excite_has_no_patch(explore: Any) -> None:
    class Odd(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            self.odd(x)
            return super().forward(x)

        class Gives(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                maps = torch.zeros(len(x), 3, 4, 4, dtype=x.dtype)
                maps[:, 0] = torch.nan
                maps[:, 2, 1, 2] = 1.5
                return maps

        def __init__(self) -> None:
            super().__init__()
            self.odd = self.Gives()

    explorer = explore(Odd().double().eval(), draw(2, 3, 8, 8, seed=4), layer="odd").wait()
    found = told(explorer)
    assert found[0] == found[1] == []
    assert found[2] == [(0, [1, 2], 1.5), (1, [1, 2], 1.5)]


def test_the_model_is_as_it_was_and_another_pick_cuts_it_short(explore: Any) -> None:
    model, (x, _) = zoo.small_cnn().eval(), zoo.small_pictures()
    before = Snapshot(model, (x,))
    explorer = explore(model, x[:40], layer="stem.relu", method="Saliency")
    explorer.layer = "widen.relu"
    explorer.wait()
    assert explorer.patches["request"] == {"layer": "widen.relu"}
    before.check()
    assert_consistent(explorer)


def test_rows_that_depend_on_each_other_are_looked_at_alone(recwarn: Any) -> None:
    """As everywhere on the page; and what is told where the model is explained is not told here, too."""

    class Mixed(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x - x.mean(0, keepdim=True) + x[:, :1])

    model, x = Mixed().double().eval(), draw(5, 3, 8, 8, seed=4)
    layout = layouts_of(map_layers(model, lambda: model(x[:1])), model)["act"]
    with control(batch_seconds=1e-9):  # so that the examples are cut into batches
        found = excitation(model, "act", layout, gather_examples(x))
    assert found is not None
    maps = held(model, "act", x)
    for channel, places in enumerate(found.places):
        ones = [(one.example, list(one.position or ()), pytest.approx(one.value)) for one in places]
        assert ones == slow(maps, channel, apart=2)
    assert not list(recwarn)
