"""What all methods with rules of their own share: refusals by name, tables of rules, and nothing left behind."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import attriscope
from attriscope.attr import LRP, Deconvolution, DeepLift, DeepLiftShap, GuidedBackprop
from attriscope.attr.lrp_rules import EpsilonRule, GammaRule
from attriscope.attr.rules import Rule, decomposed, linear, rescale
from attriscope.core.errors import Cancelled, OperationError
from attriscope.core.hooks import Layers
from attriscope.core.subject import Subject
from attriscope.core.target import resolve_target
from models import Snapshot, draw, pictures, with_drawn_parameters
from operations import MIXING, POOLS, UNARY

METHODS: tuple[Any, ...] = (DeepLift, LRP, GuidedBackprop, Deconvolution)
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)


class Cubed(torch.autograd.Function):
    """A function of the user's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * 3 * ctx.saved_tensors[0] ** 2


def through_cubes(x: Tensor) -> Tensor:
    return Cubed.apply(x * 2).relu() + 1


def test_unknown_operations_are_named_and_can_be_registered() -> None:
    x = draw(3, 4)
    for method in (DeepLift, LRP):
        with pytest.raises(OperationError, match=rf"Cubed.*{method.__name__}\.rules\[Cubed\] = rule"):
            method(through_cubes).attribute(x, target=0)
        with pytest.raises(OperationError, match=rf"operation Mode.*{method.__name__}\.rules\['Mode'\]"):
            method(lambda x: x.mode(1)[0]).attribute(x)
    found, delta = DeepLift(through_cubes, rules={Cubed: rescale}).attribute(
        x, target=1, return_convergence_delta=True
    )
    assert delta.abs().max() < 1e-13
    with pytest.raises(OperationError):
        DeepLift(through_cubes).attribute(x, target=0)  # the rule was for that object
    try:
        DeepLift.rules[Cubed] = rescale
        torch.testing.assert_close(DeepLift(through_cubes).attribute(x, target=1), found)
    finally:
        del DeepLift.rules[Cubed]


def test_a_rule_written_by_hand_and_one_in_parts() -> None:
    def by_hand(step: Any, gradients: Any, incoming: Any) -> Any:
        change = step.inputs[0] - step.reference.inputs[0]
        return [incoming[0] * (step.outputs[0] - step.reference.outputs[0]) / change]

    def in_parts(saved_0: Tensor) -> Tensor:
        return saved_0 * saved_0 * saved_0

    x = draw(3, 4)
    for rule in (by_hand, Rule(by_hand), decomposed(in_parts, ("saved_0",))):
        delta = DeepLift(through_cubes, rules={Cubed: rule}).attribute(
            x, 0.5, target=1, return_convergence_delta=True
        )[1]
        assert delta.abs().max() < 1e-12


def test_a_custom_operator() -> None:
    torch.library.define("attriscope_test::cubed", "(Tensor x) -> Tensor")
    torch.library.impl("attriscope_test::cubed", "CPU")(lambda x: x**3)

    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * 3 * ctx.saved_tensors[0] ** 2

    torch.library.register_autograd(
        "attriscope_test::cubed",
        backward,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    )

    def model(x: Tensor) -> Tensor:
        return torch.ops.attriscope_test.cubed(2 * x)

    x = draw(3, 4)
    with pytest.raises(OperationError, match=r"DeepLift\.rules\['(.*)'\]") as caught:
        DeepLift(model).attribute(x, target=0)
    name = str(caught.value).split("rules['")[1].split("']")[0]
    delta = DeepLift(model, rules={name: rescale}).attribute(x, target=0, return_convergence_delta=True)[1]
    assert delta.abs().max() < 1e-13


@every_method
def test_checkpointed_parts_of_a_model_are_seen(method: Any) -> None:
    net = with_drawn_parameters(nn.Sequential(nn.Linear(4, 4), nn.ReLU())).double()
    x = draw(3, 4)
    expected = method(net).attribute(x, target=0)
    for reentrant in (False, True, False):
        kept = method(lambda x, form=reentrant: checkpoint(net, x, use_reentrant=form)).attribute(x, target=0)
        torch.testing.assert_close(kept, expected)


@every_method
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_scripted_models_are_right_or_refused(method: Any) -> None:
    net = with_drawn_parameters(nn.Sequential(nn.Linear(4, 4), nn.ReLU())).double()
    x = draw(3, 4)
    expected = method(net).attribute(x, target=0)
    scripted, refused = torch.jit.script(net), 0
    for _ in range(4):
        try:
            torch.testing.assert_close(method(scripted).attribute(x, target=0), expected)
        except OperationError as error:
            assert "scripted" in str(error)  # noqa: PT017  either outcome is right
            refused += 1
    torch.testing.assert_close(method(torch.jit.trace(net, x)).attribute(x, target=0), expected)


@every_method
def test_compiled_models_run_as_they_were_written(method: Any) -> None:
    net = with_drawn_parameters(nn.Sequential(nn.Linear(4, 4), nn.ReLU())).double()
    x = draw(3, 4)
    expected = method(net).attribute(x, target=0)
    compiled = torch.compile(net, backend="eager")
    compiled(x)
    for model in (compiled, lambda x: compiled(x) * 1, nn.Sequential(compiled)):
        torch.testing.assert_close(method(model).attribute(x, target=0), expected)


@every_method
@pytest.mark.parametrize("name", [*UNARY, *MIXING])
def test_every_operation_has_a_rule_in_every_table(method: Any, name: str) -> None:
    if method is DeepLift or (method is LRP and name in ("power", "atan2")):
        return  # the one has tests of its own, the other has no idea
    f = (UNARY | MIXING)[name]
    found = method(lambda x: f(x @ draw(5, 6, seed=1))).attribute(draw(3, 5), target=1)
    assert found.shape == (3, 5)
    assert found.isfinite().all()


@pytest.mark.parametrize("name", POOLS)
def test_every_pool_has_a_rule_for_lrp(name: str) -> None:
    assert LRP(lambda x: POOLS[name](x).flatten(1)).attribute(draw(2, 3, 9, 8), target=1).isfinite().all()


@every_method
def test_nothing_is_left_behind(method: Any) -> None:
    model, x = pictures(), draw(2, 2, 6, 5)
    model.conv.rule = EpsilonRule(0.1)
    state = Snapshot(model, (x,))
    method(model).attribute(x, target=1)
    state.check()
    broken = threading.Event()

    class Stop:
        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 1

    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    handle = model.fc.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="no"):
        method(model).attribute(x, target=1)
    handle.remove()
    with pytest.raises(OperationError):
        method(lambda x: Cubed.apply(model(x))).attribute(x, target=1)
    broken.set()
    with attriscope.control(cancel=broken), pytest.raises(Cancelled):
        method(model).attribute(x, target=1)
    with attriscope.control(cancel=Stop()), pytest.raises(Cancelled):
        DeepLiftShap(model).attribute(x, draw(8, 2, 6, 5, seed=1), target=1, internal_batch_size=2)
    state.check()


def test_threads_with_different_rules_on_one_model() -> None:
    model, x = pictures(), draw(2, 2, 6, 5)
    jobs = [
        lambda: DeepLift(model).attribute(x, target=1),
        lambda: GuidedBackprop(model).attribute(x, target=1),
        lambda: Deconvolution(model).attribute(x, target=1),
        lambda: LRP(model).attribute(x, target=1),
        lambda: LRP(model, rules={model.conv: GammaRule()}).attribute(x, target=1),
        lambda: LRP(model, rules={model.conv: EpsilonRule(0.5)}).attribute(x, target=1),
        lambda: model(x),
    ]
    alone = [job() for job in jobs]
    found: list[list[Tensor]] = [[] for _ in jobs]
    errors: list[BaseException] = []

    def work(i: int) -> None:
        try:
            found[i].extend(jobs[i]() for _ in range(12))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for one, others in zip(alone, found, strict=True):
        assert len(others) == 12
        assert all(torch.equal(one, other) for other in others)


@every_method
def test_frozen_parameters_change_nothing_and_no_grad_neither(method: Any) -> None:
    model, x = pictures(), draw(2, 2, 6, 5)
    expected = method(model).attribute(x, target=1)
    model.requires_grad_(False)
    torch.testing.assert_close(method(model).attribute(x, target=1), expected)
    with torch.no_grad():
        torch.testing.assert_close(method(model).attribute(x, target=1), expected)
    with torch.inference_mode():
        torch.testing.assert_close(method(model).attribute(x, target=1).clone(), expected)


@every_method
def test_inputs_without_effect_and_targets_of_every_kind(method: Any) -> None:
    x, y = draw(3, 4), draw(3, 2, seed=1)
    unused = method(lambda a, b: a.relu()).attribute((x, y), target=1)
    assert torch.equal(unused[1], torch.zeros_like(y))
    net = with_drawn_parameters(nn.Linear(4, 3)).double()
    each = method(net).attribute(x, target=[0, 2, 1])
    for n, k in enumerate([0, 2, 1]):
        torch.testing.assert_close(each[n : n + 1], method(net).attribute(x[n : n + 1], target=k))
    chosen = method(net).attribute(x, target=lambda out: F.softmax(out, 1)[:, 0])
    assert chosen.shape == x.shape
    assert method(linear_model).attribute(x, target=1).shape == x.shape


def linear_model(x: Tensor) -> Tensor:
    return x * 3


@pytest.mark.filterwarnings("ignore::FutureWarning")
@every_method
def test_memory_goes_with_the_call(method: Any) -> None:
    """Nothing waits for the collector of cycles: on a GPU that would look like a leak."""
    model, x = pictures(), draw(2, 2, 6, 5)
    method(model).attribute(x, target=1)
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(o, Tensor) for o in gc.get_objects())
        method(model).attribute(x, target=1)
        assert sum(isinstance(o, Tensor) for o in gc.get_objects()) == before
    finally:
        gc.enable()


def test_rules_say_what_they_are() -> None:
    assert repr(linear) == "autograd's own"
    assert repr(Rule(rescale)) == "rescale"


@every_method
def test_backward_hooks_of_modules_are_not_in_the_way(method: Any) -> None:
    model, x, seen = pictures(), draw(2, 2, 6, 5), []
    expected = method(model).attribute(x, target=1)
    model.block.register_full_backward_hook(lambda *_: seen.append(1))
    torch.testing.assert_close(method(model).attribute(x, target=1), expected)
    assert seen


class Tokens(nn.Module):
    """Ids in, scores out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.encoder(self.table(ids)).mean(1)).softmax(1)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("site", ["table", "encoder.norm1", "encoder.linear2"])
def test_rules_work_below_the_output_and_down_to_any_layer(site: str, frozen: bool) -> None:
    """What layer forms of these methods stand on: values, multipliers and baseline values, read at a layer."""
    model = with_drawn_parameters(Tokens()).double().requires_grad_(not frozen)
    ids, start = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[0, 7, 8], [8, 0, 7]])
    scheme = DeepLift(model)._scheme()
    layers = Layers((model.get_submodule(site),))
    found = Subject(model, resolve_target(1, 2), layers, scheme=scheme).run(
        (ids, start), (), 1, slice(0, 2), gradient=True
    )
    ((here,), (there,), (multipliers,)) = (found.values[0], found.baseline_values[0], found.gradients[0])
    if site == "encoder.linear2":  # beside it, the residual goes on
        assert (multipliers != 0).any()
        return
    change = (multipliers * (here - there)).flatten(1).sum(1)
    torch.testing.assert_close(change, (model(ids) - model(start))[:, 1].detach())


@pytest.mark.parametrize("f", [torch.mul, torch.bmm, lambda a, b: a / (b * b + 1)])
def test_at_a_layer_what_stands_beside_it_counts_halfway(f: Any) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return f(self.one(x), self.other(x)).flatten(1).sum(1)

    model = with_drawn_parameters(Two()).double()
    x, start = draw(2, 3, 3), draw(2, 3, 3, seed=1)
    total = torch.zeros(2).double()
    for part in (model.one, model.other):
        subject = Subject(model, resolve_target(None, 2), Layers((part,)), scheme=DeepLift(model)._scheme())
        found = subject.run((x, start), (), 1, slice(0, 2), gradient=True)
        ((here,), (there,), (passed,)) = (found.values[0], found.baseline_values[0], found.gradients[0])
        total += (passed * (here - there)).flatten(1).sum(1)
    torch.testing.assert_close(total, (model(x) - model(start)).detach())
