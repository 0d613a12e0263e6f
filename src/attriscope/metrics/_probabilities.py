"""A model's probabilities, for metrics whose papers are about these."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from attriscope.core.errors import InputTypeError
from attriscope.core.inputs import describe


class Probabilities(nn.Module):
    """A model followed by a softmax over dimension 1."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training  # train() would reach into the model

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The model's output for these arguments as probabilities."""
        return nn.functional.softmax(self.model(*args, **kwargs), dim=1)


def probabilities(model: nn.Module) -> Probabilities:
    """The model followed by a softmax over dimension 1; parameters and buffers are the model's own.

    Raises:
        InputTypeError: it is no module.
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"the model must be a torch.nn.Module, but {describe(model)} came")
    return Probabilities(model)
