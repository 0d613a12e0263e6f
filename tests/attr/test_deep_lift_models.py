"""DeepLIFT through whole models: attention, recurrent nets, transformers, an ImageNet classifier."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope import zoo
from attriscope.attr import DeepLift
from models import draw, with_drawn_parameters
from operations import exact


class Attention(nn.Module):
    """What nn.MultiheadAttention does, in simple operations."""

    def __init__(self, other: nn.MultiheadAttention) -> None:
        super().__init__()
        self.other = [other]

    def forward(self, x: Tensor) -> Tensor:
        (m,) = self.other
        q, k, v = (
            F.linear(x, m.in_proj_weight, m.in_proj_bias)
            .reshape(*x.shape[:2], 3, m.num_heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
        return m.out_proj((weights @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_attention_however_it_is_fused(dtype: torch.dtype) -> None:
    m = with_drawn_parameters(nn.MultiheadAttention(8, 2, batch_first=True)).to(dtype)
    x, start = draw(2, 5, 8, seed=1, dtype=dtype), draw(2, 5, 8, seed=2, dtype=dtype)
    simple = DeepLift(Attention(m)).attribute(x, start, target=(2, 3))
    for weights in (True, False):
        found = DeepLift(lambda x, w=weights: m(x, x, x, need_weights=w)[0]).attribute(
            x, start, target=(2, 3)
        )
        torch.testing.assert_close(found, simple, rtol=1e-3 if dtype == torch.float32 else 1e-9, atol=1e-6)
    change = Attention(m)(x)[:, 2, 3] - Attention(m)(start)[:, 2, 3]
    torch.testing.assert_close(simple.flatten(1).sum(1), change, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "causal", "mask", "bias"])
def test_scaled_dot_product_attention(kind: str) -> None:
    mask = (
        torch.ones(4, 4, dtype=torch.bool).tril()
        if kind == "mask"
        else draw(4, 4)
        if kind == "bias"
        else None
    )

    def attend(x: Tensor) -> Tensor:
        q, k, v = x.unbind(1)
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=kind == "causal")

    exact(attend, draw(3, 3, 2, 4, 5, seed=1), draw(3, 3, 2, 4, 5, seed=2), 4, 1e-13)


class Last(nn.Module):
    """Some numbers of what a recurrent net gives last."""

    def __init__(self, net: nn.Module, time_major: bool = False) -> None:
        super().__init__()
        self.net = net
        self.time_major = time_major

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x.transpose(0, 1) if self.time_major else x)
        out = out[0] if isinstance(out, tuple) else out
        return out[-1] if self.time_major else out[:, -1]


NETS: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: Last(nn.LSTM(8, 4, 2, batch_first=True, bidirectional=True)),
    "LSTM time-major": lambda: Last(nn.LSTM(8, 4), time_major=True),
    "LSTM without biases": lambda: Last(nn.LSTM(8, 4, bias=False, batch_first=True)),
    "LSTM projected": lambda: Last(nn.LSTM(8, 4, batch_first=True, proj_size=3)),
    "GRU": lambda: Last(nn.GRU(8, 4, 2, batch_first=True)),
    "GRU time-major": lambda: Last(nn.GRU(8, 4), time_major=True),
    "RNN": lambda: Last(nn.RNN(8, 4, batch_first=True, nonlinearity="relu")),
    "encoder layer": lambda: Last(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)),
    "encoder layer, norm first": lambda: Last(
        nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
    ),
    "encoder": lambda: Last(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2), time_major=True),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:LSTM with projections")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_recurrent_nets_and_transformers(name: str, dtype: torch.dtype) -> None:
    net = with_drawn_parameters(NETS[name]()).to(dtype)
    x, start = draw(3, 5, 8, seed=1, dtype=dtype), draw(3, 5, 8, seed=2, dtype=dtype)
    exact(net, x, start, 3, 1e-12 if dtype == torch.float64 else 1e-5)


class Text(nn.Module):
    """A small classifier of embedded tokens with padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.positions = nn.Parameter(torch.zeros(1, 7, 16))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        padding = torch.arange(x.shape[1]) >= lengths[:, None]
        h = self.encoder(x + self.positions, src_key_padding_mask=padding)
        kept = (~padding)[..., None].to(h)
        return self.head((h * kept).sum(1) / kept.sum(1)).log_softmax(1)


def test_a_transformer_classifier_with_padding() -> None:
    model = with_drawn_parameters(Text()).float()
    x, lengths = draw(3, 7, 16, dtype=torch.float32), torch.tensor([7, 4, 5])
    found, delta = DeepLift(model).attribute(
        x, target=1, additional_forward_args=lengths, return_convergence_delta=True
    )
    assert (delta.abs() < 1e-4 * found.abs().flatten(1).sum(1)).all()
    assert (found[1, 4:] == 0).all()  # padding


def test_efficientnet_sums_to_the_change_of_the_output() -> None:
    model = zoo.efficientnet_lite0()
    cat = zoo.imagenet_preprocess(zoo.picture("chelsea"))
    with torch.no_grad():
        score = model(cat)
        target = int(score.argmax())
        change = (score - model(torch.zeros_like(cat)))[0, target]
    found, delta = DeepLift(model).attribute(cat, target=target, return_convergence_delta=True)
    assert abs(float(found.sum() - change)) < 1e-4
    assert float(delta.abs()) < 1e-4
