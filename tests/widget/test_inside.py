"""What is found inside a model is what plain autograd, and the layer methods one by one, find there."""

from __future__ import annotations

import copy
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerGradCam,
    LayerGradientXActivation,
)
from attriscope.core.errors import Cancelled, LayerError, TargetError
from attriscope.core.inputs import Examples, gather_examples
from attriscope.core.layouts import Layout
from attriscope.core.progress import control
from attriscope.widget.messages import layers as layer_messages
from attriscope.widget.messages.layers import (
    channels_message,
    layer_maps_message,
    layer_relevance_message,
    neuron_message,
)
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model import layers as model_layers
from attriscope.widget.model.code import code_of
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.selection import ChoiceError, Selection
from models import Snapshot, draw, pictures
from widget.nets import Awkward, Bottleneck, Rows, TimeFirst, Vit, Volume, net, picture

Network = Callable[[], tuple[nn.Module, Tensor]]

NETWORKS: dict[str, Network] = {
    "every kind of layer": lambda: (pictures(), draw(1, 2, 6, 5)),
    "vision transformer": lambda: (net(Vit), picture(8, 12)),
    "vision transformer without class token": lambda: (net(Vit, False), picture(8, 12)),
    "positions first": lambda: (net(TimeFirst), picture()),
    "lstm": lambda: (net(Rows), picture()),
    "lstm, positions first": lambda: (net(Rows, False), picture()),
    "one module at several sizes": lambda: (net(Bottleneck), picture()),
    "volumes": lambda: (net(Volume), picture()),
    "awkward layers": lambda: (net(Awkward), picture()),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
TARGET = 2


def asked(x: Tensor) -> Examples:
    return gather_examples(x)


def session_for(model: nn.Module, x: Tensor) -> ExplainedModel:
    session = ExplainedModel(model, gather_examples(x), None, MethodRegistry(x))
    session.run(0)
    return session


def first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, tuple):
        value = value[0]
    return value if isinstance(value, Tensor) and value.is_floating_point() else None


def by_autograd(model: nn.Module, x: Tensor, target: int) -> dict[str, tuple[Tensor, Tensor]]:
    """For each layer what its last call gave, and the gradient of the output with respect to that."""
    read: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            tensor = first_tensor(output)
            if tensor is None:
                read.pop(name, None)
                return None
            read[name] = tensor
            handed_on = tensor.clone()  # which an operation in place may change
            return (handed_on, *output[1:]) if isinstance(output, tuple) else handed_on

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    output = model(x.clone().requires_grad_())
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(output[0, target], list(read.values()), allow_unused=True)
    return {
        name: (tensor.detach(), torch.zeros_like(tensor) if gradient is None else gradient)
        for (name, tensor), gradient in zip(read.items(), gradients, strict=True)
    }


# --- how much passes at each layer --------------------------------------------------------------------------


@every_network
def test_flow_is_gradient_times_activation(network: Network) -> None:
    model, x = network()
    session = session_for(model, x)
    found = session.layer_cache.overview(Selection("Saliency", TARGET)).relevance
    wanted = by_autograd(model, x, TARGET)
    assert found.keys() == session.layer_cache.layouts.keys()
    for name, amount in found.items():
        value, gradient = wanted[name]
        assert amount == pytest.approx((value * gradient).sum().item(), abs=1e-10), name
    message = layer_relevance_message(session.layers, found, {})
    for row, value in zip(session.layers, message["values"], strict=True):
        assert value == found.get(row.name)


def test_flow_does_not_depend_on_how_many_layers_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = pictures(), draw(1, 2, 6, 5)
    session = session_for(model, x)
    whole = model_layers.overview(model, session.layers, session.layer_cache.layouts, asked(x), TARGET)
    monkeypatch.setattr(model_layers, "_AT_ONCE", 800)
    parts = model_layers.overview(model, session.layers, session.layer_cache.layouts, asked(x), TARGET)
    assert parts.relevance == pytest.approx(whole.relevance)
    assert list(parts.relevance) == list(whole.relevance)
    for method, maps in whole.maps.items():
        torch.testing.assert_close(parts.maps[method], maps)


# --- the maps of all layers ---------------------------------------------------------------------------------


def laid(form: Layout, attributions: Any) -> Tensor:
    """What a layer method gives, as a map; written for maps and tokens separately."""
    found = attributions[0] if isinstance(attributions, tuple) else attributions
    if form.kind == "map":
        return found[0].sum(0)
    positions = found.movedim(form.batch_dimension, 0)[0].sum(-1)
    assert form.grid is not None
    return positions[form.skipped :].reshape(form.grid)


@every_network
@pytest.mark.parametrize("method", [LayerActivation, LayerGradientXActivation, LayerGradCam])
def test_maps_from_one_pass_are_those_of_each_layer_by_itself(network: Network, method: Any) -> None:
    model, x = network()
    session = session_for(model, x)
    (found,) = session.layer_maps(Selection("Saliency", TARGET, layer_method=method.__name__))
    spatial = [name for name, form in session.layer_cache.layouts.items() if form.spatial]
    assert list(found.maps) == list(found.sums) == spatial
    read = by_autograd(model, x, TARGET)
    for name in spatial:
        form = session.layer_cache.layouts[name]
        if method is LayerGradCam and form.kind == "tokens":
            value, gradient = (t.movedim(form.batch_dimension, 0)[0, form.skipped :] for t in read[name])
            wanted = (value @ gradient.mean(0)).reshape(form.grid)
        else:
            target = {} if method is LayerActivation else {"target": TARGET}
            wanted = laid(form, method(model, name).attribute(x, **target))
        torch.testing.assert_close(found.maps[name], wanted.float(), rtol=1e-5, atol=1e-6, msg=name)
        assert found.sums[name] == pytest.approx(wanted.sum().item(), abs=1e-8)


@pytest.mark.parametrize("baselines", [("zero",), ("mean", "blur")], ids=["one", "several"])
@pytest.mark.parametrize("method", [LayerConductance, InternalInfluence])
@pytest.mark.parametrize(
    "network",
    ["every kind of layer", "vision transformer", "positions first", "lstm", "one module at several sizes"],
)
def test_maps_along_a_path_are_those_of_each_layer_by_itself(
    network: str, method: Any, baselines: tuple[str, ...]
) -> None:
    model, x = NETWORKS[network]()
    session = session_for(model, x)
    name = method.__name__
    choice = Selection("Saliency", TARGET, baselines, "", layer_method=name, settings={name: {"n_steps": 6}})
    *_, found = session.layer_maps(choice)
    assert found.final
    # Not those of which a batch of several points cannot be read: positions first, and tuples with who knows what.
    forms = {
        n: form
        for n, form in session.layer_cache.layouts.items()
        if not (form.batch_dimension or form.several)
    }
    assert list(found.sums) == list(forms)
    assert list(found.maps) == [layer for layer, form in forms.items() if form.spatial]
    starts = [start.value for start in session.example(0).baselines(choice)]
    assert len(starts) == len(baselines)
    for layer, form in forms.items():
        each = [
            method(model, layer).attribute(x, start, target=TARGET, n_steps=6, internal_batch_size=1)
            for start in starts
        ]
        total = torch.stack([one.sum() for one in each]).mean().item()
        assert found.sums[layer] == pytest.approx(total, abs=1e-6)
        if form.spatial:
            wanted = torch.stack([laid(form, one) for one in each]).mean(0)
            torch.testing.assert_close(found.maps[layer], wanted.float(), rtol=1e-5, atol=1e-6, msg=layer)


def test_methods_that_begin_anew_for_each_layer_give_no_maps_of_all() -> None:
    session = session_for(net(Bottleneck), picture())
    assert not list(
        session.layer_maps(Selection("Saliency", 1, layer="wide", layer_method="LayerIntegratedGradients"))
    )


# --- how they travel ----------------------------------------------------------------------------------------


def decoded(message: Any) -> dict[str, np.ndarray]:
    """As the page decodes them."""
    codes, found, start = np.frombuffer(message["maps"], "<f2").astype(np.float64), {}, 0
    for name, (h, w), scale in zip(message["names"], message["shapes"], message["scales"], strict=True):
        found[name] = codes[start : start + h * w].reshape(h, w) * scale
        start += h * w
    assert start == len(codes)
    return found


def depth(maps: dict[str, Tensor], **about: Any) -> Any:
    sums = {name: float(m.sum()) for name, m in maps.items()}
    return layer_maps_message(maps, sums, final=True, **about)


@given(st.integers(0, 2**32 - 1), st.floats(-30, 30), st.sampled_from([1.0, 6.0]))
def test_maps_of_all_layers_survive_the_journey(seed: int, exponent: float, spread: float) -> None:
    """Half precision of the share of the map's largest value: to 1/2048 of each value, or to 3e-8 of the largest."""
    generator = torch.Generator().manual_seed(seed)
    maps = {}
    for i, size in enumerate([(3, 4), (1, 7), (5, 2)]):
        signs = torch.randn(size, generator=generator, dtype=torch.float64).sign()
        sizes = torch.rand(size, generator=generator, dtype=torch.float64) * -spread
        maps[str(i)] = (signs * 10 ** (sizes + exponent)).float()
    for name, found in decoded(depth(maps)).items():
        wanted = maps[name].double().numpy()
        largest = np.abs(wanted).max()
        assert (np.abs(found - wanted) <= np.abs(wanted) / 2048 + 2.0**-25 * largest + 1e-45).all()


def test_what_is_not_finite_is_not_known_and_spoils_nothing_else() -> None:
    odd = torch.tensor([[1.0, float("nan"), -0.5], [float("inf"), 0.25, -float("inf")]])
    message = depth({"odd": odd, "dark": torch.zeros(2, 2), "bad": torch.full((1, 2), float("nan"))})
    found = decoded(message)
    np.testing.assert_array_equal(found["odd"], [[1.0, np.nan, -0.5], [np.nan, 0.25, np.nan]])
    assert not found["dark"].any()
    assert np.isnan(found["bad"]).all()
    assert np.isfinite(message["scales"]).all()
    assert message["sums"] == [None, 0.0, None]


def test_the_message_is_made_without_changing_the_maps() -> None:
    maps = {"a": torch.tensor([[1.0, float("nan")]])}
    depth(maps)
    assert torch.equal(maps["a"].nan_to_num(7), torch.tensor([[1.0, 7.0]]))


def test_too_many_maps_are_sent_coarser_each_an_average_of_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps = {f"{i}": torch.rand(56, 56) for i in range(10)} | {"small": torch.rand(3, 5)}
    monkeypatch.setattr(layer_messages, "_MAPS_BYTES", 20_000)
    message = depth(maps)
    assert len(message["maps"]) <= 20_000
    found = decoded(message)
    for name, values in maps.items():
        assert found[name].shape == ((28, 28) if name != "small" else (3, 5))
        wanted = values.reshape(28, 2, 28, 2).mean((1, 3)) if name != "small" else values
        np.testing.assert_allclose(found[name], wanted, rtol=1e-3)
    np.testing.assert_allclose(message["sums"], [float(values.sum()) for values in maps.values()])


def test_thousands_of_maps_keep_to_the_budget() -> None:
    message = depth({str(i): torch.rand(1, 1).expand(56, 56) for i in range(3000)})
    assert len(message["maps"]) <= layer_messages._MAPS_BYTES
    assert len(message["names"]) == 3000


def channels(
    values: Tensor,
    gradients: Tensor | None = None,
    layout: Layout | None = None,
    positions: list[str] | None = None,
    request: Any = None,
) -> Any:
    """The message of a layer that holds these values, a map unless it is said otherwise."""
    layout = layout or Layout("map", (1, *values.shape))
    parts = None if gradients is None else gradients * values
    return channels_message(layout, values, parts, positions, request or {})


def thumbs(message: Any, codes: str = "thumbs", scales: str = "scales") -> np.ndarray:
    """As the page decodes them."""
    shape = (message["count"], *message["shape"])
    values = np.frombuffer(message[codes], np.int8).astype(np.float64).reshape(shape)
    return values / 127 * np.frombuffer(message[scales], "<f4").astype(np.float64)[:, None, None]


@given(st.integers(0, 2**32 - 1), st.floats(-30, 30))
def test_channels_survive_the_journey(seed: int, exponent: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values, gradients = (
        torch.randn(5, 4, 3, generator=generator, dtype=torch.float64) * 10**exponent for _ in range(2)
    )
    gradients = gradients / 10**exponent
    message = channels(values, gradients)
    for found, wanted in (
        (thumbs(message), values),
        (thumbs(message, "parts", "part_scales"), values * gradients),
    ):
        largest = wanted.abs().amax((1, 2), keepdim=True).numpy()
        assert (np.abs(found - wanted.numpy()) <= largest * (0.5 / 127 + 1e-6)).all()
    activations, contributions = (
        np.frombuffer(message[name], "<f4") for name in ("activations", "contributions")
    )
    tolerance = {"rtol": 1e-5, "atol": 1e-5 * 10**exponent}
    np.testing.assert_allclose(activations, values.mean((1, 2)), **tolerance)
    np.testing.assert_allclose(contributions, (values * gradients).sum((1, 2)), **tolerance)


def test_channels_with_numbers_that_are_not_finite_are_marked() -> None:
    values = torch.rand(4, 3, 3)
    values[1, 0, 0], values[2, 1, 1] = float("nan"), float("inf")
    message = channels(values, torch.ones(4, 3, 3))
    for scales in ("scales", "part_scales"):
        assert np.isnan(np.frombuffer(message[scales], "<f4")).tolist() == [False, True, True, False]
    assert message["notice"] == "2 of 4 channels hold numbers that are not finite"
    found = thumbs(message)
    np.testing.assert_allclose(found[[0, 3]], values[[0, 3]], atol=0.01)
    assert np.isnan(found[[1, 2]]).all()
    assert "notice" not in channels(torch.rand(4, 3, 3))


def test_channels_of_zeros_are_zeros() -> None:
    message = channels(torch.zeros(2, 3, 3), torch.ones(2, 3, 3))
    assert not thumbs(message).any()
    assert not thumbs(message, "parts", "part_scales").any()


def test_channels_without_gradients_hold_what_they_hold() -> None:
    message = channels(torch.rand(2, 3, 3), request={"layer": "a"})
    assert not {"contributions", "parts", "part_scales"} & message.keys()
    assert message["request"] == {"layer": "a"}


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((5000, 56, 56), (14, 14)),
        ((5000, 7, 7), (7, 7)),
        ((64, 112, 112), (28, 28)),
        ((4096, 1, 1), (1, 1)),
        ((3, 224, 100), (28, 12)),
        ((768, 1, 1000), (1, 256)),
        ((50_000, 1, 200), (1, 20)),
        ((2_000_000, 1, 1), (1, 1)),
    ],
)
def test_channels_are_as_coarse_as_their_number_asks_for(
    size: tuple[int, ...], shape: tuple[int, int]
) -> None:
    if size[0] > 10_000:
        values = torch.rand(1, 1, 1).expand(size)
    else:
        values = torch.rand(size)
    message = channels(values, torch.ones(1, 1, 1).expand(size))
    assert tuple(message["shape"]) == shape
    budget = max(layer_messages._CHANNEL_BYTES, size[0])
    assert len(message["thumbs"]) <= budget
    assert len(message["parts"]) <= budget
    assert message["size"] == list(size[1:])
    np.testing.assert_allclose(thumbs(message).mean(), values.mean(), rtol=0.02)


def test_five_thousand_channels_are_ready_while_a_person_blinks() -> None:
    values = torch.rand(5000, 28, 28)
    began = time.perf_counter()
    channels(values, values)
    assert time.perf_counter() - began < 1.5  # 0.1 s alone; the machine may be busy


def test_positions_are_named_where_there_are_as_many_names() -> None:
    words = ["a", "b", "c"]
    tokens = Layout("tokens", (1, 3, 4))
    fits = channels(torch.rand(4, 1, 3), layout=tokens, positions=words)
    assert (fits["positions"], fits["noun"], fits["form"]) == (words, "unit", "tokens")
    assert "positions" not in channels(torch.rand(4, 1, 2), layout=tokens, positions=words)


# --- neurons ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "layer", "neuron"),
    [
        ("every kind of layer", "block", 1),
        ("every kind of layer", "relu", [2, 5, 4]),
        ("every kind of layer", "fc", 2),
        ("vision transformer", "block.mlp.2", [7, 12]),
        ("vision transformer", "block.attention.weigh", [1, 0, 24]),
        ("lstm", "lstm", 3),
        ("lstm, positions first", "lstm", [3, 2]),
        ("one module at several sizes", "relu", [8, 3, 3]),
        ("volumes", "conv", [2, 71]),
    ],
)
def test_a_neuron_contributes_to_each_class_what_autograd_says(network: str, layer: str, neuron: Any) -> None:
    model, x = NETWORKS[network]()
    session = session_for(model, x)
    classes = [3, 0, 1]
    choice = Selection("Saliency", 1, layer=layer, neuron=neuron, baselines=("mean",))
    interior = session.layer_cache
    message = neuron_message(
        interior.layouts[layer],
        neuron,
        interior.reading(choice).values,
        interior.at_baseline(choice, layer),
        interior.by_class(choice, classes),
        None,
    )
    form = interior.layouts[layer]
    start = session.example(0).baselines(choice)[0].value
    held, at_start = by_autograd(model, x, 0)[layer][0], by_autograd(model, start, 0)[layer][0]
    for key, value in (("activation", held), ("at_baseline", at_start)):
        assert message[key] == pytest.approx(
            form.within(form.channels(value), neuron).mean().item(), abs=1e-10
        )
    assert [one["index"] for one in message["classes"]] == classes
    for one in message["classes"]:
        value, gradient = by_autograd(model, x, one["index"])[layer]
        wanted = form.within(form.channels(value * gradient), neuron).sum().item()
        assert one["contribution"] == pytest.approx(wanted, abs=1e-10)


def test_contributions_of_all_neurons_add_up_to_what_passes_at_the_layer() -> None:
    session = session_for(net(Vit), picture(8, 12))
    flow = session.layer_cache.overview(Selection("Saliency", TARGET)).relevance
    for layer, form in session.layer_cache.layouts.items():
        by_class = session.layer_cache.by_class(Selection("Saliency", TARGET, layer=layer), [TARGET])[TARGET]
        total = sum(form.within(by_class, c).sum().item() for c in range(form.size[0]))
        assert total == pytest.approx(flow[layer], abs=1e-9), layer


# --- what if ------------------------------------------------------------------------------------------------


def what_if(model: nn.Module, x: Tensor, *off: tuple[str, Any], **options: Any) -> Tensor:
    choice = Selection("Saliency", TARGET, ablated=tuple(off), **options)
    return session_for(model, x).layer_cache.run_ablated(choice)


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
    session = session_for(model, x)
    starts = [s.value for s in session.example(0).baselines(Selection("Saliency", 0, baselines))]
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
    start = session_for(model, x).example(0).baselines(Selection("Saliency", 0, ("mean",)))[0].value
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


# --- the model stays as it is -------------------------------------------------------------------------------


def use(session: ExplainedModel) -> None:
    """All that is asked of a model for its inside."""
    choice = Selection("Saliency", TARGET, layer="block", neuron=1, layer_method="LayerConductance")
    choice = dataclasses.replace(choice, ablated=(("conv", 0), ("relu", [1, 2, 3])), ablate_to="baseline")
    interior = session.layer_cache
    interior.overview(choice)
    interior.reading(choice)
    interior.by_class(choice, [0, 1])
    interior.run_ablated(choice)
    list(session.layer_maps(choice))
    for one in (choice, dataclasses.replace(choice, neuron=None)):
        list(session.maps(one))
        code_of(session, one)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model, x = pictures().train(training), draw(1, 2, 6, 5)
    model.drop.p = 0.0  # what dropout draws is the model's own business
    before = Snapshot(model, (x,))
    use(session_for(model, x))
    before.check()


class Trouble(Exception):
    pass


@pytest.mark.parametrize("kind", ["raises", "cancelled"])
@pytest.mark.parametrize("after", range(8))
def test_the_model_is_left_as_it_was_when_something_comes_between(kind: str, after: int) -> None:
    """In the middle of a pass, whichever that is."""
    model, x = pictures(), draw(1, 2, 6, 5)
    session, stop, passes = session_for(model, x), threading.Event(), [0]

    def interrupt(module: nn.Module, args: Any) -> None:
        passes[0] += 1
        if passes[0] > after:
            if kind == "raises":
                raise Trouble
            stop.set()

    handle = model.pool.register_forward_pre_hook(interrupt)
    before = Snapshot(model, (x,))
    with pytest.raises(Trouble if kind == "raises" else Cancelled), control(cancel=stop):
        use(session)
    before.check()
    handle.remove()


# --- models that have something against it ------------------------------------------------------------------


class Opaque(nn.Module):
    """A model without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.net = pictures()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.net(x)


def test_of_a_model_without_gradients_the_activations_are_seen() -> None:
    model, x = Opaque(), draw(1, 2, 6, 5)
    session = session_for(model, x)
    found = session.layer_cache.overview(Selection("Saliency", TARGET))
    assert not found.relevance
    assert layer_relevance_message(session.layers, found.relevance, {}) == {}
    wanted = LayerActivation(model, "net.conv").attribute(x)[0].sum(0)
    torch.testing.assert_close(found.maps["LayerActivation"]["net.conv"], wanted.float())
    assert not found.maps["LayerGradCam"]
    held = session.layer_cache.reading(Selection("Saliency", TARGET, layer="net.conv"))
    assert held.gradients is None
    assert session.layer_cache.by_class(Selection("Saliency", TARGET, layer="net.conv"), [0]) == {0: None}


def test_a_target_that_is_not_there_is_not_taken_for_a_model_without_gradients() -> None:
    model, x = pictures(), draw(1, 2, 6, 5)
    session = session_for(model, x)
    with pytest.raises(TargetError, match="17 is out of range"):
        session.layer_cache.overview(Selection("Saliency", 17))
