"""Methods for a neuron: the same as the method of that name on the beginning of the model, and no more work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attriscope.attr import (
    Call,
    Deconvolution,
    DeepLift,
    DeepLiftShap,
    FeatureAblation,
    GradientShap,
    GuidedBackprop,
    IntegratedGradients,
    LayerConductance,
    NeuronConductance,
    NeuronDeconvolution,
    NeuronDeepLift,
    NeuronDeepLiftShap,
    NeuronFeatureAblation,
    NeuronGradient,
    NeuronGradientShap,
    NeuronGuidedBackprop,
    NeuronIntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from attriscope.core.errors import InputError, InputTypeError, LayerError, TargetError
from models import (
    Beside,
    Recorder,
    Snapshot,
    assert_same,
    draw,
    mlp,
    pictures,
    seeded,
    spelled,
    with_drawn_parameters,
)

X = draw(3, 2, 5, 5)
STARTS = draw(3, 2, 5, 5, seed=6)


def chain() -> Any:
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 5),
            nn.Tanh(), nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


class Signed:
    """The gradient itself, under the signature of the others."""

    def __init__(self, model: Any) -> None:
        self.inner = Saliency(model)

    def attribute(self, inputs: Any, target: Any) -> Any:
        return self.inner.attribute(inputs, target, abs=False)


PAIRS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "gradient": (NeuronGradient, Signed, {}),
    "integrated": (NeuronIntegratedGradients, IntegratedGradients, {"baselines": 0.2, "n_steps": 6}),
    "shap": (NeuronGradientShap, GradientShap, {"baselines": STARTS, "n_samples": 5, "stdevs": 0.1}),
    "deeplift": (NeuronDeepLift, DeepLift, {"baselines": 0.2}),
    "deeplift shap": (NeuronDeepLiftShap, DeepLiftShap, {"baselines": STARTS}),
    "guided": (NeuronGuidedBackprop, GuidedBackprop, {}),
    "deconvolution": (NeuronDeconvolution, Deconvolution, {}),
    "ablation": (NeuronFeatureAblation, FeatureAblation, {"baselines": 0.2}),
}
every_pair = pytest.mark.parametrize("name", PAIRS)
SELECTORS: dict[str, tuple[Any, Any]] = {
    "indices": ((1, 2, 0), lambda out: out[:, 1, 2, 0]),
    "negative": ((-1, 0, -1), lambda out: out[:, -1, 0, -1]),
    "slices": ((slice(1, 3), 0), lambda out: out[:, 1:3, 0].sum((1, 2))),
    "a channel": (2, lambda out: out[:, 2].sum((1, 2))),
    "function": (lambda out: (out[:, 0] * out[:, 1]).sum((1, 2)),) * 2,
}


def fresh(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "generator": seeded(4)} if "n_samples" in options else options


@every_pair
@pytest.mark.parametrize("selector", SELECTORS)
def test_it_is_the_method_on_the_beginning_of_the_model(name: str, selector: str) -> None:
    kind, method, options = PAIRS[name]
    model = chain()
    before = Snapshot(model, (X,))
    chosen, target = SELECTORS[selector]
    for layer, at_input in (("2", False), ("3", True)):  # layer 3 works in place
        found = kind(model, layer).attribute(X, chosen, attribute_to_neuron_input=at_input, **fresh(options))
        expected = method(model[:3]).attribute(X, target=target, **fresh(options))
        assert_same(found, expected, atol=1e-12)
        assert found.abs().sum() > 0
    before.check()


@every_pair
def test_without_the_factor(name: str) -> None:
    kind, method, options = PAIRS[name]
    if name in ("gradient", "guided", "deconvolution", "ablation"):
        pytest.skip("it has none")
    found = kind(chain(), "2", multiply_by_inputs=False).attribute(X, 1, **fresh(options))
    expected = method(chain()[:3], False).attribute(X, target=SELECTORS["a channel"][1], **fresh(options))
    assert kind(chain(), "2").multiplies_by_inputs
    assert not kind(chain(), "2", multiply_by_inputs=False).multiplies_by_inputs
    # Another channel than the one above.
    assert found.shape == expected.shape
    expected = method(chain()[:3], False).attribute(
        X, target=lambda out: out[:, 1].sum((1, 2)), **fresh(options)
    )
    assert_same(found, expected, atol=1e-12)


@every_pair
def test_a_list_of_neurons_is_one_after_the_other(name: str) -> None:
    kind, _, options = PAIRS[name]
    model, neurons = chain(), [(0, 1, 2), 3, (slice(None), 0, 0), (0, 1, 2)]
    found = kind(model, "2").attribute(X, neurons, **fresh(options))
    assert isinstance(found, list)
    for i, neuron in enumerate(neurons):
        if name != "shap":
            assert_same(found[i], kind(model, "2").attribute(X, neuron, **options), atol=1e-12)
    if name == "shap":
        assert_same(found[0], kind(model, "2").attribute(X, neurons[0], **fresh(options)), atol=1e-12)
        assert [f.shape for f in found] == [X.shape] * 4
    with pytest.raises(InputError, match="the list of neurons is empty"):
        kind(model, "2").attribute(X, [], **fresh(options))


def test_conductance_of_a_list() -> None:
    model, neurons = chain(), [(0, 1, 2), 3, lambda out: out[:, 0, 0, 0] * 2]
    found = NeuronConductance(model, "2").attribute(X, neurons, target=1, n_steps=5)
    for neuron, one in zip(neurons, found, strict=True):
        assert_same(one, NeuronConductance(model, "2").attribute(X, neuron, target=1, n_steps=5), atol=1e-13)


@given(st.integers(0, 6), st.integers(1, 3), st.integers(0, 99), st.booleans())
@settings(max_examples=25)
def test_any_layer_any_number_of_examples(layer: int, count: int, seed: int, at_input: bool) -> None:
    model, x = chain(), draw(count, 2, 5, 5, seed=seed)
    end = layer if at_input else layer + 1
    head = model[:end] if end else nn.Identity()
    shape = head(x).shape[1:]
    index = tuple(seed % size for size in shape)
    found = NeuronGradient(model, str(layer)).attribute(x, index, attribute_to_neuron_input=at_input)
    expected = Saliency(head).attribute(x, target=index, abs=False)
    assert_same(found, expected, atol=1e-12)
    integrated = NeuronIntegratedGradients(model, str(layer)).attribute(
        x, index, n_steps=20, attribute_to_neuron_input=at_input
    )
    change = (head(x) - head(x * 0)).detach()[(slice(None), *index)]
    assert (integrated.flatten(1).sum(1) - change).abs().max() < 0.3 * (1 + change.abs().max())
    alone = [
        NeuronIntegratedGradients(model, str(layer)).attribute(
            x[i : i + 1], index, n_steps=20, attribute_to_neuron_input=at_input
        )
        for i in range(count)
    ]
    assert_same(torch.cat(alone), integrated, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_numbers_do_not_depend_on_how_rows_were_cut(batch: int) -> None:
    model = chain()
    for kind, options in (
        (NeuronIntegratedGradients, {"internal_batch_size": batch}),
        (NeuronConductance, {"internal_batch_size": batch, "target": 1}),
        (NeuronFeatureAblation, {"perturbations_per_eval": batch}),
    ):
        chosen = {k: v for k, v in options.items() if k == "target"}
        found = kind(model, "2").attribute(X, (0, 1, 1), **options)
        assert_same(found, kind(model, "2").attribute(X, (0, 1, 1), **chosen), atol=1e-12)


# --- conductance ------------------------------------------------------------------------------------------------------


def test_conductance_is_the_definition() -> None:
    """The chain rule by hand: d f / d neuron times d neuron / d input, at every point."""
    model = with_drawn_parameters(
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh())
    ).double()
    x, start, points = draw(3, 4), draw(1, 4, seed=3), 7
    total = torch.zeros(3, 4).double()
    for i in range(points):
        at = (start + i / (points - 1) * (x - start)).requires_grad_()
        hidden = model[:2](at)
        (outer,) = torch.autograd.grad(model[2:](hidden)[:, 1].sum(), hidden, retain_graph=True)
        (inner,) = torch.autograd.grad(hidden[:, 2].sum(), at)
        total += outer[:, 2:3] * inner * (0.5 if i in (0, points - 1) else 1) / (points - 1)
    found = NeuronConductance(model, "1").attribute(x, 2, start, 1, n_steps=points)
    assert_same(found, total * (x - start), atol=1e-13)
    found = NeuronConductance(model, "1", multiply_by_inputs=False).attribute(x, 2, start, 1, n_steps=points)
    assert_same(found, total, atol=1e-13)


def test_conductance_of_several_is_the_sum_of_theirs() -> None:
    model = chain()
    explainer = NeuronConductance(model, "2")
    whole = explainer.attribute(X, (1, slice(0, 2), 0), target=1, n_steps=5)
    parts = explainer.attribute(X, [(1, 0, 0), (1, 1, 0)], target=1, n_steps=5)
    assert_same(whole, parts[0] + parts[1], atol=1e-13)
    by_function = explainer.attribute(X, lambda out: out[:, 1, :2, 0].sum(1), target=1, n_steps=5)
    assert_same(by_function, whole, atol=1e-13)
    everything = explainer.attribute(X, (), target=1, n_steps=5)
    expected = IntegratedGradients(model).attribute(X, target=1, n_steps=5, method="riemann_trapezoid")
    assert_same(everything, expected, atol=1e-13), "all flows through one of the neurons"


def test_conductance_where_there_is_a_way_around_the_neuron() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((self.layer(x).tanh() + x) * x).sin()

    model: Any = with_drawn_parameters(Residual()).double()
    x = draw(3, 4)
    whole = LayerConductance(model, "layer").attribute(x, target=1, n_steps=800)
    for neuron in range(4):
        found = NeuronConductance(model, "layer").attribute(x, neuron, target=1, n_steps=800)
        assert_same(found.sum(1), whole[:, neuron], atol=1e-4)


def test_conductance_of_calls_and_inputs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(self.cell(x).tanh()).tanh()

    model: Any = with_drawn_parameters(Twice()).double()
    x = draw(3, 4)
    for call in (0, 1):
        whole = LayerConductance(model, Call("cell", call)).attribute(x, target=1, n_steps=800)
        found = NeuronConductance(model, Call("cell", call)).attribute(x, 2, target=1, n_steps=800)
        assert_same(found.sum(1), whole[:, 2], atol=1e-4)
    last = NeuronConductance(model, "cell").attribute(x, 2, target=1, n_steps=9)
    assert_same(last, NeuronConductance(model, Call("cell", 1)).attribute(x, 2, target=1, n_steps=9))
    at_input = NeuronConductance(model, Call("cell", 1)).attribute(
        x, 2, target=1, n_steps=800, attribute_to_neuron_input=True
    )
    whole = LayerConductance(model, Call("cell", 1)).attribute(
        x, None, 1, n_steps=800, attribute_to_layer_input=True
    )
    assert_same(at_input.sum(1), whole[:, 2], atol=1e-4)


def test_gradient_options_are_handed_on() -> None:
    x = draw(3, 4)
    assert_same(NeuronConductance(Beside(), "aside").attribute(x, 1, target=1), torch.zeros_like(x))
    with pytest.raises(RuntimeError, match="not have been used"):
        NeuronConductance(Beside(), "aside").attribute(x, 1, target=1, grad_kwargs={"allow_unused": False})
    found = NeuronConductance(mlp(), "first").attribute(x, 1, target=1, grad_kwargs={"retain_graph": False})
    assert_same(found, NeuronConductance(mlp(), "first").attribute(x, 1, target=1))


# --- work -------------------------------------------------------------------------------------------------------------


@every_pair
def test_what_comes_after_the_neuron_is_not_computed(name: str) -> None:
    """Except once, on inputs of this kind, to see whether the neuron's layer runs again."""
    kind, _, options = PAIRS[name]
    tail = Recorder(chain()[3:])
    model = nn.Sequential(chain()[:3], tail).eval()
    for layer in ("0.2", Call("0.2", 0)):
        explainer = kind(model, layer)
        explainer.attribute(X, 1, **fresh(options))
        tail.rows.clear()
        kind(model, layer).attribute(X, 1, **fresh(options))
        assert tail.rows == []


def test_many_gradients_take_one_pass_forward() -> None:
    model = chain()
    runs: list[int] = []
    model[0].register_forward_hook(lambda *_: runs.append(1))
    estimate = NeuronGradient(model, "2").estimate(X, [(c, 0, 0) for c in range(4)])
    assert (len(runs), estimate.evaluations) == (1, 3)


def test_recurrent_and_attention_layers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.attention = (
                nn.LSTM(4, 4, batch_first=True),
                nn.MultiheadAttention(4, 2, batch_first=True),
            )

        def forward(self, x: Tensor) -> Tensor:
            out, _ = self.rnn(x)
            return self.attention(query=out, key=out, value=out, need_weights=False)[0].mean(1)

    model: Any = with_drawn_parameters(Net()).double()
    x = draw(2, 3, 4)
    with pytest.raises(TargetError, match="cannot choose between the 3 tensors"):
        NeuronGradient(model, "rnn").attribute(x, (0, 1))
    found = NeuronGradient(model, "rnn").attribute(x, lambda values: values[0][:, 0, 1])
    assert_same(found, Saliency(lambda x: model.rnn(x)[0][:, 0, 1]).attribute(x, abs=False))
    hidden = NeuronGradient(model, "rnn").attribute(x, lambda values: values[1][0, :, 1])
    assert_same(hidden, Saliency(lambda x: model.rnn(x)[0][:, -1, 1]).attribute(x, abs=False), atol=1e-14)
    out = NeuronGradient(model, "attention").attribute(x, (1, 2))  # (values, None), called by keyword
    head = lambda x: model.attention(*[model.rnn(x)[0]] * 3)[0]  # noqa: E731
    assert_same(out, Saliency(head).attribute(x, target=(1, 2), abs=False), atol=1e-14)
    query = NeuronGradient(model, "attention").attribute(x, lambda values: values[0][:, 0, 1], None, True)
    assert_same(query, found, atol=1e-14)


# --- around and before ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [NeuronGradient, NeuronGuidedBackprop, NeuronIntegratedGradients, NeuronDeepLift]
)
def test_noise_around_it(kind: Any) -> None:
    model, noise = chain(), {"nt_samples": 3, "stdevs": 0.1}
    found = NoiseTunnel(kind(model, "2")).attribute(
        X, neuron_selector=(0, 1, 1), generator=seeded(1), **noise
    )
    method = {NeuronGradient: Signed, NeuronGuidedBackprop: GuidedBackprop, NeuronDeepLift: DeepLift}.get(
        kind, IntegratedGradients
    )
    expected = NoiseTunnel(method(model[:3])).attribute(X, target=(0, 1, 1), generator=seeded(1), **noise)
    assert_same(found, expected, atol=1e-12)


def test_wrapped_models() -> None:
    model = chain()
    expected = NeuronGradient(model, "2").attribute(X, 1)
    wrapped = nn.DataParallel(model)
    assert_same(NeuronGradient(wrapped, wrapped.module[2], [0]).attribute(X, 1), expected)
    assert_same(NeuronGradient(wrapped, "2", device_ids=[0, 1]).attribute(X, 1), expected)
    assert_same(NeuronGradient(lambda x: model(x), model[2]).attribute(X, 1), expected)
    compiled = torch.compile(model, backend="eager")
    assert_same(NeuronGradient(compiled, "2").attribute(X, 1), expected)
    with pytest.raises(InputTypeError, match="device_ids must be a list of ints or None, but 'cuda' came"):
        NeuronGradient(model, "2", device_ids="cuda")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    model, x = chain().to(dtype), X.to(dtype)
    exact = NeuronGradient(chain(), "2").attribute(X, (0, 1, 1))
    found = NeuronGradient(model, "2").attribute(x, (0, 1, 1))
    assert found.dtype == dtype
    assert (found - exact).abs().median() < 0.05
    summed = NeuronConductance(model, "2").attribute(x, (0, 1, 1), target=1, n_steps=5)
    assert summed.dtype == torch.float32


@pytest.mark.parametrize("name", [*PAIRS, "conductance"])
@pytest.mark.parametrize(
    ("selector", "kind", "says"),
    [
        ("x", InputTypeError, "neuron_selector must be an int.*'x' came"),
        (None, InputTypeError, "neuron_selector must be an int.*None came"),
        (1.5, InputTypeError, "1.5 came"),
        (False, InputTypeError, "False came"),
        ((0, "x"), InputTypeError, r"\(0, 'x'\) came"),
        (torch.tensor([0, 1]), InputTypeError, r"a tensor of shape \(2,\), int64"),
        (9, TargetError, r"9 is out of range.*dimension 1.*\(\d+, 4, 3, 3\).*0 to 3"),
        ((0, -5), TargetError, "no index -5 in dimension 2"),
        ((0, 0, 0, 0), TargetError, "has 4 indices.*at most 3"),
        (slice(4, None), TargetError, "selects no neuron"),
        (lambda out: out[0], TargetError, "one number per example"),
        ([0, "x"], InputTypeError, "'x' came"),
    ],
    ids=spelled,
)
def test_selectors_that_make_no_sense(name: str, selector: Any, kind: Any, says: str) -> None:
    method, _, options = PAIRS.get(name, (NeuronConductance, None, {"target": 1, "n_steps": 4}))
    if name == "ablation" and callable(selector):
        pytest.skip("ablation explains several numbers, too")
    model = chain()
    before = Snapshot(model, (X,))
    with pytest.raises(kind, match=f"(?s){says}"):
        method(model, "2").attribute(X, selector, **fresh(options))
    before.check()


def test_layers_that_make_no_sense() -> None:
    for kind in (NeuronGradient, NeuronConductance, NeuronDeepLift, NeuronFeatureAblation):
        with pytest.raises(InputError, match="neurons are in one layer, but a list of 2 came"):
            kind(chain(), ["0", "2"])
        with pytest.raises(LayerError, match="no layer 'nope'"):
            kind(chain(), "nope")
    model = pictures()
    x = draw(2, 2, 6, 5)
    before = Snapshot(model, (x,))
    for kind in (NeuronGradient, NeuronDeepLift, NeuronFeatureAblation):
        with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
            kind(model, "unused").attribute(x, 0)
    with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
        NeuronConductance(model, "unused").attribute(x, 0, target=1)
    before.check()


def test_a_neuron_that_depends_on_nothing_is_said() -> None:
    model = chain()
    with pytest.raises(InputError, match="does not depend on the inputs"):
        NeuronGradient(model, "2").attribute(X, lambda out: out[:, 0, 0, 0].detach())
    with pytest.raises(InputError, match=r"neuron_selector.*does not depend on what the layer holds"):
        NeuronConductance(model, "2").attribute(X, lambda out: out[:, 0, 0, 0].detach(), target=1)


def test_names_and_promises() -> None:
    assert NeuronGradient.get_name() == "Neuron Gradient"
    assert NeuronFeatureAblation(chain(), "2").multiplies_by_inputs
    assert not NeuronGradient(chain(), "2").multiplies_by_inputs
    assert not NeuronConductance(chain(), "2").has_convergence_delta()
