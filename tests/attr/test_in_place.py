"""Operations in place on views, and modules in place with a rule of their own: the same as out of place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.attr import LRP, Deconvolution, DeepLift, GuidedBackprop
from attriscope.attr.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule, IdentityRule
from attriscope.core.errors import OperationError
from models import draw, with_drawn_parameters

METHODS: tuple[Any, ...] = (DeepLift, LRP, GuidedBackprop, Deconvolution)
FIRST, LAST = draw(6, 24, seed=1), draw(6, seed=2)
MASK = torch.arange(6).double() % 2
X, START = draw(3, 6, seed=3), draw(3, 6, seed=4)

# Of a tensor (N, 4, 6), views (N, 6).
VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "last": lambda h: h[:, -1],
    "flattened": lambda h: h.flatten(1)[:, 3:9],
    "permuted": lambda h: h.permute(1, 2, 0)[1].t(),
    "every other": lambda h: h[:, ::2, :].squeeze(0)[:, 1],
    "reshaped": lambda h: h.view(-1, 2, 12)[:, 1, ::2],
    "slanted": lambda h: h.as_strided((len(h), 6), (24, 4), 1),
}
Pair = tuple[Callable[[Tensor], Any], Callable[[Tensor], Tensor]]
CHANGES: dict[str, Pair] = {
    "relu": (F.relu_, F.relu),
    "leaky_relu": (lambda v: F.leaky_relu_(v, 0.1), lambda v: F.leaky_relu(v, 0.1)),
    "elu": (F.elu_, F.elu),
    "celu": (F.celu_, F.celu),
    "silu": (lambda v: F.silu(v, inplace=True), F.silu),
    "hardswish": (lambda v: F.hardswish(v, inplace=True), F.hardswish),
    "relu6": (lambda v: F.relu6(v, inplace=True), F.relu6),
    "sigmoid": (lambda v: v.sigmoid_(), torch.sigmoid),
    "clamp": (lambda v: v.clamp_(min=0), lambda v: v.clamp(min=0)),
    "square": (lambda v: v.pow_(2), lambda v: v.pow(2)),
    "times a number": (lambda v: v.mul_(3), lambda v: v * 3),
    "masked": (lambda v: v.mul_(MASK[: v.shape[1]]), lambda v: v * MASK),
    "product": (lambda v: v.mul_(v.flip(1)), lambda v: v * v.flip(1)),
    "gated": (lambda v: v.mul_(v.flip(1).sigmoid_()), lambda v: v * v.flip(1).sigmoid()),
    "quotient": (lambda v: v.div_(v.flip(1).exp()), lambda v: v / v.flip(1).exp()),
    "sum": (lambda v: v.add_(v.flip(1).tanh()), lambda v: v + v.flip(1).tanh()),
    "filled": (lambda v: v.masked_fill_(v < 0, 0), lambda v: v.masked_fill(v < 0, 0)),
    "assigned": (lambda v: v.copy_(v.flip(1).relu()), lambda v: v.flip(1).relu()),
    "interpolated": (lambda v: v.lerp_(v.flip(1), 0.3), lambda v: v.lerp(v.flip(1), 0.3)),
    "added products": (
        lambda v: v.addcmul_(v.flip(1), v.tanh()),
        lambda v: v.addcmul(v.flip(1), v.tanh()),
    ),
    "running product": (lambda v: v.cumprod_(1), lambda v: v.cumprod(1)),
}


def change_in_place(view: Callable[[Tensor], Tensor], change: Callable[[Tensor], Any]) -> Any:
    def model(x: Tensor) -> Tensor:
        h = (x @ FIRST).reshape(-1, 4, 6)
        part = view(h)
        change(part)
        return part @ LAST

    return model


def out_of_place(view: Callable[[Tensor], Tensor], change: Callable[[Tensor], Tensor]) -> Any:
    return lambda x: change(view((x @ FIRST).reshape(-1, 4, 6))) @ LAST


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("view", VIEWS)
def test_in_place_on_a_view(view: str, change: str) -> None:
    inside, outside = CHANGES[change]
    one, other = change_in_place(VIEWS[view], inside), out_of_place(VIEWS[view], outside)
    for method in METHODS:
        given = {"baselines": START} if method is DeepLift else {}
        found = [method(model).attribute(X, **given) for model in (one, other)]
        torch.testing.assert_close(*found, rtol=1e-13, atol=1e-15, msg=method.__name__)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_written_and_what_was_not_add_up(change: str) -> None:
    def model(x: Tensor) -> Tensor:
        h = (x @ FIRST).reshape(-1, 4, 6)
        CHANGES[change][0](h[:, 1])
        h = h * 1
        CHANGES[change][0](h.transpose(1, 2)[:, 3:, 2])
        return (h * h.flip(1)).sum((1, 2)) + h[:, 1] @ LAST

    delta = DeepLift(model).attribute(X, START, return_convergence_delta=True)[1]
    assert delta.abs().max() < 1e-11 * model(X).abs().max()


class Statement(nn.Module):
    """It goes on with what a module in place was given, not with what it returned."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv, self.relu, self.last = nn.Conv2d(1, 4, 3), nn.ReLU(inplace), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        given = h.flatten(1)
        after = self.relu(given)
        return self.last(h.flatten(1) if self.relu.inplace else after)


def vgg(inplace: bool) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LeakyReLU(0.1, inplace),
        nn.Dropout(inplace=inplace),
        nn.Linear(16, 2),
    )


@pytest.mark.parametrize("make", [Statement, vgg], ids=["statement", "vgg"])
@pytest.mark.parametrize(
    "rule", [None, EpsilonRule(), GammaRule(), Alpha1_Beta0_Rule(), IdentityRule()], ids=str
)
def test_rules_on_modules_in_place(make: Any, rule: Any) -> None:
    nets = [with_drawn_parameters(make(inplace)).double().eval() for inplace in (True, False)]
    x = draw(2, 1, 6, 6)
    for net in nets:
        for module in net.modules():
            if isinstance(module, nn.ReLU | nn.LeakyReLU):
                module.rule = rule  # type: ignore[assignment]
    found = [LRP(net).attribute(x, target=1) for net in nets]
    assert torch.equal(*found)
    assert (found[0] != 0).any()
    torch.testing.assert_close(nets[0](x), nets[1](x), rtol=0, atol=0)


def test_module_rules_that_do_not_fit_are_refused() -> None:
    class Elsewhere(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu_() * 2

    class Phase(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft(x)

    for module, words in ((Elsewhere(), "works in place on something else"), (Phase(), "complex numbers")):
        with pytest.raises(OperationError, match=words):
            LRP(lambda x, m=module: m(x * 1).abs().sum(1), rules={module: EpsilonRule()}).attribute(X)


def test_in_place_operations_without_a_rule_are_named() -> None:
    def model(x: Tensor) -> Tensor:
        h = x * 1
        h[:, :2].renorm_(2, 0, 1.0)
        return h.sum(1)

    for method in (DeepLift, LRP):
        with pytest.raises(OperationError, match=r"renorm_.*writes in place into a part"):
            method(model).attribute(X)
    GuidedBackprop(model).attribute(X)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_instance_norm_in_evaluation_is_a_norm_of_each_channel(affine: bool, dims: int) -> None:
    norm = (
        (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[dims - 1](4, affine=affine).double().eval()
    )
    groups = nn.GroupNorm(4, 4, affine=affine).double()
    if affine:
        with_drawn_parameters(norm)
        groups.load_state_dict(norm.state_dict())
    x, start = draw(3, 4, *[3] * dims, seed=7), draw(3, 4, *[3] * dims, seed=8)
    weights = draw(4, *[3] * dims, seed=9)
    for method in METHODS:
        given = {"baselines": start} if method is DeepLift else {}
        one, other = (
            method(lambda x, n=n: (F.relu(n(x), inplace=True) * weights).flatten(1).sum(1)).attribute(
                x, **given
            )
            for n in (norm, groups)
        )
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_batch_norm_by_its_own_statistics() -> None:
    alone = nn.BatchNorm2d(4, track_running_stats=False).double().eval()
    model = lambda x: alone(x).square().sum((1, 2, 3)) + alone(x)[:, 0, 0, 0]  # noqa: E731
    delta = DeepLift(model).attribute(
        X[:1].reshape(1, 1, 2, 3).repeat(1, 4, 1, 1), return_convergence_delta=True
    )[1]
    assert delta.abs().max() < 1e-10
    for method in (DeepLift, LRP):
        with pytest.raises(OperationError, match="track_running_stats=False"):
            method(model).attribute(draw(2, 4, 3, 3))


@pytest.mark.parametrize("part", [lambda z: z.conj(), lambda z: z.conj().imag])
def test_a_write_into_a_conjugate_is_refused_by_name(part: Any) -> None:
    """Torch writes such a view's numbers changed: into a conjugate, or its imaginary part, which is negated."""

    class Written(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z = torch.complex(x[:, :2], x[:, 2:]) * 1
            part(z).mul_(3)
            return z.real.square().sum(1) + z.imag.sum(1)

    with pytest.raises(OperationError, match="into the conjugate of a tensor; write it out of place"):
        DeepLift(Written()).attribute(torch.tensor([[1.0, 2.0, 3.0, -1.0]]))
