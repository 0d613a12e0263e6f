"""The layer tree and the channel grid by themselves, for models of any kind, and linked with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import Tensor, nn

from attriscope import ChannelGrid, LayerPicker, Overlay, Predictions, attr
from attriscope.core.errors import InputError, TargetError
from attriscope.widget.state.selection import ChoiceError
from models import Snapshot, draw
from widget.helpers import Gate, Make, Opaque, TwoLayers, assert_consistent, from_page
from widget.nets import Text, Vit, ids, net, picture


def test_layer_picker_shows_the_tree_of_any_model() -> None:
    model = net(Text)
    picker = LayerPicker(model, ids(), target=3)
    assert [row["name"] for row in picker.layers] == [name for name, _ in model.named_modules()]
    parts = attr.LayerGradientXActivation(model, "series").attribute(ids(), target=3)
    values = dict(zip((row["name"] for row in picker.layers), picker.layer_relevance["values"], strict=True))
    assert values["series"] == pytest.approx(parts.sum().item())
    best = LayerPicker(model, ids())
    wanted = attr.LayerGradientXActivation(model, "").attribute(ids(), target=int(model(ids()).argmax()))
    assert best.layer_relevance["values"][0] == pytest.approx(wanted.sum().item())


def test_layer_picker_takes_several_inputs_and_looks_at_the_first_example() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 2), nn.Embedding(5, 2)

        def forward(self, x: Tensor, word: Tensor) -> Tensor:
            return self.a(x) * self.b(word)

    model, x, word = net(Two), draw(4, 3), torch.tensor([1, 2, 3, 4])
    picker = LayerPicker(model, x, word, target=1)
    wanted = attr.LayerGradientXActivation(model, "b").attribute((x[:1], word[:1]), target=1).sum()
    assert picker.layer_relevance["values"][2] == pytest.approx(wanted.item())
    assert picker.layers[1]["shape"] == [1, 2]


def test_layer_picker_of_a_model_without_gradients_has_no_bars(image: Tensor) -> None:
    picker = LayerPicker(Opaque().eval(), image)
    assert picker.layer_relevance == {}
    assert [row["pickable"] for row in picker.layers] == [True] * 4 + [False]


@pytest.mark.parametrize("part", [LayerPicker, ChannelGrid])
def test_parts_leave_the_model_as_it_was(part: Any) -> None:
    model, x = net(Vit), picture(8, 12)
    before = Snapshot(model, (x,))
    one = part(model, x)
    one.layer = "block"
    if part is ChannelGrid:
        one.wait().close()
    before.check()
    with pytest.raises(RuntimeError, match="channels"):
        part(model, draw(1, 2, 8, 12))
    before.check()


@pytest.mark.parametrize("part", [LayerPicker, ChannelGrid])
def test_parts_refuse_what_cannot_be(part: Any) -> None:
    with pytest.raises(InputError, match="model must be a torch"):
        part(lambda x: x, picture())
    with pytest.raises(InputError, match="'text'"):
        part(net(Text), "text")


def test_parts_refuse_a_target_that_is_not_there() -> None:
    with pytest.raises(TargetError, match="17 is out of range"):
        LayerPicker(net(Text), ids(), target=17)
    grid = ChannelGrid(net(Text), ids(), "series", target=17)
    with pytest.raises(TargetError, match="17 is out of range"):
        grid.wait()
    grid.close()


def test_channel_grid_answers_picks_from_either_side() -> None:
    model = net(Text)
    grid = ChannelGrid(model, ids(), "series", target=2, neuron=[1, 4]).wait()
    assert (grid.layer, grid.neuron, grid.status) == ("series", [1, 4], "idle")
    for layer in ("series", "embedding", "attention", "head"):
        from_page(grid, layer=layer)
        grid.wait()
        message = grid.channels
        assert message["request"] == {"layer": layer}
        held = attr.LayerActivation(model, layer).attribute(ids())
        parts = attr.LayerGradientXActivation(model, layer).attribute(ids(), target=2)
        held, parts = (t[0] if isinstance(t, tuple) else t for t in (held, parts))
        if layer in ("embedding", "attention"):
            held, parts = held.transpose(1, 2), parts.transpose(1, 2)
        for name, wanted in (("activations", held.reshape(*held.shape[:2], -1).mean(2)[0]),
                             ("contributions", parts.reshape(*parts.shape[:2], -1).sum(2)[0])):  # fmt: skip
            np.testing.assert_allclose(np.frombuffer(message[name], "<f4"), wanted, atol=1e-5)
    grid.layer = "embedding"
    assert grid.top_channels(2) == grid.wait().top_channels(9)[:2]
    assert grid.neuron is None
    grid.layer = None
    assert grid.channels == {}
    with pytest.raises(ChoiceError, match="no layer is picked"):
        grid.top_channels()
    grid.close()


def test_channel_grid_names_positions_where_there_are_as_many() -> None:
    words = ["a", "long", "way", "to", "go", "for", "such", "a", "story"]
    grid = ChannelGrid(net(Text), ids(), "embedding", positions=words).wait()
    assert grid.channels["positions"] == words
    grid.layer = "series"  # which has seven
    assert "positions" not in grid.wait().channels
    grid.close()
    with pytest.raises(TypeError, match="positions must be a list of words, but 'nine' came"):
        ChannelGrid(net(Text), ids(), positions="nine")


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"layer": "serie"}, "no layer 'serie'"),
        ({"neuron": 5}, "there is no channel 5 in layer 'series', which has channels 0 to 4"),
        ({"neuron": [0, 7]}, "there is no position 7"),
        ({"colormap": "rainbow"}, "colormap must be one of"),
    ],
)
def test_channel_grid_refuses_and_puts_the_page_right(wish: dict[str, Any], says: str) -> None:
    grid = ChannelGrid(net(Text), ids(), "series").wait()
    ((name, value),) = wish.items()
    held = getattr(grid, name)
    with pytest.raises(traitlets.TraitError, match=says.replace("[", r"\[")):
        setattr(grid, name, value)
    from_page(grid, **wish)
    assert says in grid.refused["reason"]
    assert getattr(grid, name) == held
    grid.close()


def test_channel_grid_tells_errors_of_the_model_and_goes_on(model: TwoLayers, image: Tensor) -> None:
    grid = ChannelGrid(model, image, "first").wait()

    def refuse(x: Tensor) -> None:
        raise KeyError("no such key")

    model.before = refuse
    grid.layer = "second"
    with pytest.raises(KeyError, match="no such key"):
        grid.wait()
    assert (grid.status, grid.message) == ("error", "KeyError: 'no such key'")
    model.before = lambda x: None
    grid.layer = "unused"
    with pytest.raises(ChoiceError, match="'unused' did not run"):
        grid.wait()
    grid.layer = "first"
    assert grid.wait().channels["request"] == {"layer": "first"}
    grid.close()


def test_channel_grid_the_latest_pick_wins_and_close_stops_it(model: TwoLayers, image: Tensor) -> None:
    grid = ChannelGrid(model, image).wait()
    shown: list[Any] = []
    grid.observe(lambda change: shown.append(change["new"].get("request")), "channels")
    gate = Gate()
    model.before = gate
    grid.layer = "first"
    assert gate.reached.wait(20)
    grid.layer = "act"
    grid.layer = "second"
    with pytest.raises(TimeoutError):
        grid.wait(0.05)
    gate.open.set()
    grid.wait()
    assert shown == [{"layer": "second"}]
    gate = Gate()
    model.before = gate
    grid.layer = "first"
    assert gate.reached.wait(20)
    grid.close()
    gate.open.set()
    assert grid._jobs.wait(20)
    assert shown == [{"layer": "second"}]


def test_picker_grid_and_explorer_are_linked_by_traitlets(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    picker, grid, explorer = (
        LayerPicker(model, image),
        ChannelGrid(model, image),
        make(target=0, method="Saliency"),
    )
    traitlets.link((picker, "layer"), (grid, "layer"))
    traitlets.link((grid, "layer"), (explorer, "layer"))
    traitlets.link((grid, "neuron"), (explorer, "neuron"))
    from_page(picker, layer="first")
    grid.wait()
    explorer.wait()
    from_page(grid, neuron=[3, 1, 1])
    assert grid.wait().channels["request"] == {"layer": "first"}
    assert explorer.wait().heat["request"]["neuron"] == [3, 1, 1]
    from_page(explorer, layer="second")
    assert (picker.layer, grid.layer, grid.neuron, explorer.neuron) == ("second", "second", None, None)
    from_page(explorer, layer="first", neuron=2)
    assert (picker.layer, grid.layer, grid.neuron) == ("first", "first", 2)
    assert grid.wait().channels["request"] == {"layer": "first"}
    assert_consistent(explorer.wait())
    grid.close()


def test_an_overlay_is_summed_over_blocks_where_each_number_is_a_pixel() -> None:
    picture = np.zeros((6, 5, 3))
    assert Overlay(picture, np.ones((6, 5))).heat["summable"]
    assert not Overlay(picture, np.ones((3, 5))).heat["summable"]
    assert Overlay(np.zeros((6, 5)), np.ones((6, 5))).heat["summable"]


def test_parts_take_arrays_and_say_what_they_cannot_draw() -> None:
    picture, heat = np.random.default_rng(0).random((6, 5, 3)), np.arange(30.0).reshape(6, 5)
    assert Overlay(picture, heat).heat == Overlay(picture, torch.from_numpy(heat)).heat
    for given, said in (
        (np.zeros(3), r"\(3,\)"),
        (torch.zeros(2, 3, 6, 5), r"\(2, 3, 6, 5\).*attributions\[:1\]"),
        (torch.zeros(0, 5), "of shape"),
        ("heat", "must be a tensor or an array, but 'heat' came"),
    ):
        with pytest.raises(InputError, match=said):
            Overlay(picture, given)
    with pytest.raises(TypeError, match="did you mean 'opacity'"):
        Overlay(picture, heat, opacty=0.5)
    scores = torch.tensor([[0.1, 2.0, -1.0]])
    wanted = Predictions(scores).predictions
    for output in (scores[0], scores.numpy(), scores[0].numpy(), {"logits": scores}):
        assert Predictions(output).predictions == wanted
    for output in (torch.zeros(2, 3), np.zeros((2, 3)), (scores, scores), torch.zeros(0)):
        with pytest.raises(InputError, match="one example"):
            Predictions(output)
    with pytest.raises(InputError, match="'chance'"):
        Predictions(scores, kind="chance")
    assert Predictions(scores, kind="values").predictions["kind"] == "score"
