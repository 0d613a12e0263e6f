"""Models from state dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


def with_weights(make: Callable[[], Model], state: Mapping[str, Tensor]) -> Model:
    """The model that ``make`` builds, holding the values of ``state``, in evaluation mode.

    It is built on the meta device first: the random initial values that ``state`` would replace are never
    drawn, so the generators of torch stay where they are and loading is faster. Device and dtype are those
    that torch would give a new model (``torch.set_default_device``, ``torch.set_default_dtype``); values are
    cast to them.

    Raises:
        RuntimeError: names or shapes in ``state`` are not those of the model.
    """
    with torch.device("meta"):
        model = make()
    device = torch.get_default_device()
    model.to_empty(device=device)
    if device.type != "meta":  # a model without storage has nowhere to keep values
        model.load_state_dict(state)
    return model.eval()
