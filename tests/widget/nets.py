"""Networks of every kind that somebody may look into, in a few hundred numbers each, in float64."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from models import draw, with_drawn_parameters


class Attention(nn.Module):
    """Self-attention whose weights pass through a module, as a tensor (N, heads, queries, keys)."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(units, units) for _ in range(3))
        self.weigh = nn.Softmax(-1)
        self.out = nn.Linear(units, units)

    def forward(self, x: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

        q, k, v = (split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        weights = self.weigh(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]))
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A block of a transformer."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(units), Attention(units, heads)
        self.mlp = nn.Sequential(nn.LayerNorm(units), nn.Linear(units, 10), nn.GELU(), nn.Linear(10, units))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x))
        return x + self.mlp(x)


class Vit(nn.Module):
    """A vision transformer: pictures (N, 3, 8, 12) in 4 x 6 patches, with or without a class token."""

    def __init__(self, class_token: bool = True) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 1, 6)) if class_token else None
        self.dropout = nn.Dropout(0.1)
        self.block = Block(6, 2)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        x = self.block(self.dropout(x))
        return self.head(x.mean(1) if self.token is None else x[:, 0])


class TimeFirst(nn.Module):
    """A vision transformer whose blocks count positions first, as those of CLIP do: pictures (N, 3, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 2, stride=2)
        self.block = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).permute(2, 0, 1)
        return self.head(self.block(x).mean(0))


class ChannelsLast(nn.Module):
    """Layers that give (N, height, width, channels), as those of Swin do: pictures (N, 3, 8, 12) in 4 x 6 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 5, 2, stride=2)
        self.norm, self.block = nn.LayerNorm(5), nn.Sequential(nn.Linear(5, 5), nn.Tanh())
        self.volume = nn.Linear(5, 5)
        self.head = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.patches(x).permute(0, 2, 3, 1)
        maps = maps + self.block(self.norm(maps))
        return self.head(self.volume(maps[:, None]).tanh().mean((1, 2, 3)))


class Rows(nn.Module):
    """An LSTM that reads a picture (N, 3, 8, 8) row by row."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.lstm = nn.LSTM(24, 7, batch_first=batch_first)
        self.head = nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2).flatten(2)
        if not self.batch_first:
            return self.head(self.lstm(rows.transpose(0, 1))[0].mean(0))
        return self.head(self.lstm(rows)[0].mean(1))


class Text(nn.Module):
    """A text model: token ids (N, 9), scores (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.attention = nn.MultiheadAttention(6, 3, batch_first=True)
        self.series = nn.Conv1d(6, 5, 3)
        self.act = nn.ReLU()
        self.head = nn.Linear(5, 4)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm(self.embedding(ids))
        x = x + self.attention(x, x, x)[0]
        return self.head(self.act(self.series(x.transpose(1, 2))).amax(2))


class Bottleneck(nn.Module):
    """Pictures (N, 3, 8, 8), one ReLU at three sizes, as in a ResNet's bottleneck."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.down = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(4, 9, 1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.down(self.relu(self.narrow(x))))
        return self.head(self.relu(self.wide(x)).mean((2, 3)))


class Volume(nn.Module):
    """Takes a picture (N, 3, 8, 8) for a volume of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 2)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x[:, None])).mean((2, 3, 4)))


class Awkward(nn.Module):
    """Layers that give all sorts of things on the way from pictures (N, 3, 8, 8) to scores."""

    class Gives(nn.Module):
        def __init__(self, form: Any) -> None:
            super().__init__()
            self.form = form

        def forward(self, x: Tensor) -> Any:
            return self.form(x)

    def __init__(self) -> None:
        super().__init__()
        gives = self.Gives
        self.ints = gives(lambda x: (x > 0).long())
        self.text = gives(lambda x: "text")
        self.pair = gives(lambda x: (x * 2, {"more": x.mean((2, 3))}))
        self.volumes = gives(lambda x: (x[..., None] * 2, x))
        self.folded = gives(lambda x: x.unfold(2, 4, 4).permute(0, 2, 1, 4, 3).flatten(0, 1))
        self.total = gives(lambda x: x.flatten(1).sum(1))
        self.scalar = gives(lambda x: x.sum())
        self.nothing = gives(lambda x: x[:, :0])
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        mask, _ = self.ints(x), self.text(x)
        x = self.pair(x * mask)[0]
        x = self.volumes(x)[0][..., 0] + self.folded(x).mean() + self.nothing(x).sum() + self.scalar(x) / 100
        return self.head(x.mean((2, 3)) + self.total(x)[:, None] / 100)


def net(kind: Any, *given: Any) -> Any:
    """One of them, with parameters that depend on nothing else."""
    return with_drawn_parameters(kind(*given)).double()


def picture(*size: int) -> Tensor:
    """One picture (1, 3, H, W)."""
    return draw(1, 3, *(size or (8, 8)), seed=4)


def ids() -> Tensor:
    """One text of nine tokens."""
    return torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 10]])
