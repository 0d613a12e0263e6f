"""A model small enough to check by hand."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from attriscope.zoo._weights import with_weights


def _layers() -> nn.Sequential:
    return nn.Sequential(
        OrderedDict([("linear1", nn.Linear(3, 3)), ("relu", nn.ReLU()), ("linear2", nn.Linear(3, 2))])
    )


def toy_model() -> nn.Sequential:
    """``linear1`` (3 to 3), ``relu``, ``linear2`` (3 to 2), in evaluation mode: ``(N, 3)`` to ``(N, 2)``.

    Row by row, the weights of ``linear1`` are -4, -3, ..., 4, with bias 0, and those of ``linear2`` -3, -2,
    ..., 2, with bias 1: the example that Captum's README begins with. No random number is drawn, so a seed
    set before it is still whole after it. After ``torch.manual_seed(123)``, the integrated gradients of
    ``torch.rand(2, 3)`` for target 0 and a zero baseline are
    ``[[-0.5922, -1.5497, -1.0067], [0.0000, -0.2219, -5.1991]]``.
    """
    return with_weights(
        _layers,
        {
            "linear1.weight": torch.arange(-4.0, 5.0).view(3, 3),
            "linear1.bias": torch.zeros(3),
            "linear2.weight": torch.arange(-3.0, 3.0).view(2, 3),
            "linear2.bias": torch.ones(2),
        },
    )
