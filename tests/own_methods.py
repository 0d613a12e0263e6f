"""Methods as users write them, and a model of which every gradient is known, for tests of methods in methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attriscope.attr import Attribution

W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype)


class Own(Attribution):
    """A user's: the input itself, and what the model made of it, without anything of this library."""

    def __init__(self, forward_func: Any) -> None:
        super().__init__(forward_func)
        self.calls: list[int] = []

    def attribute(self, inputs: Tensor, scale: float = 1.0) -> Tensor:
        self.calls.append(len(inputs))
        return inputs * self.forward_func(inputs).reshape(-1, *[1] * (inputs.dim() - 1)) * scale


class Spy(Attribution):
    """Notes what comes."""

    seen: dict[str, Any]

    def attribute(self, inputs: Any, **kwargs: Any) -> Any:
        self.seen = {"inputs": inputs, **kwargs}
        return inputs
