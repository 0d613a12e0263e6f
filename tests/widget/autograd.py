"""Networks of every kind, and what plain autograd finds inside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.core.inputs import gather_examples
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.stages.pictures import PictureStage
from models import draw, pictures
from widget.nets import Awkward, Bottleneck, ChannelsLast, Rows, TimeFirst, Vit, Volume, net, picture

Network = Callable[[], tuple[nn.Module, Tensor]]

NETWORKS: dict[str, Network] = {
    "every kind of layer": lambda: (pictures(), draw(1, 2, 6, 5)),
    "vision transformer": lambda: (net(Vit), picture(8, 12)),
    "vision transformer without class token": lambda: (net(Vit, False), picture(8, 12)),
    "positions first": lambda: (net(TimeFirst), picture()),
    "channels last": lambda: (net(ChannelsLast), picture(8, 12)),
    "lstm": lambda: (net(Rows), picture()),
    "lstm, positions first": lambda: (net(Rows, False), picture()),
    "one module at several sizes": lambda: (net(Bottleneck), picture()),
    "volumes": lambda: (net(Volume), picture()),
    "awkward layers": lambda: (net(Awkward), picture()),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
TARGET = 2


def explained(model: nn.Module, x: Tensor) -> ExplainedModel:
    found = ExplainedModel(model, gather_examples(x), PictureStage, MethodRegistry(x))
    found.run(0)
    return found


def first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, tuple):
        value = value[0]
    return value if isinstance(value, Tensor) and value.is_floating_point() else None


def by_autograd(model: nn.Module, x: Tensor, target: int) -> dict[str, tuple[Tensor, Tensor]]:
    """For each layer what its last call gave, and the gradient of the output with respect to that."""
    read: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            tensor = first_tensor(output)
            if tensor is None:
                read.pop(name, None)
                return None
            read[name] = tensor
            handed_on = tensor.clone()  # which an operation in place may change
            return (handed_on, *output[1:]) if isinstance(output, tuple) else handed_on

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    output = model(x.clone().requires_grad_())
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(output[0, target], list(read.values()), allow_unused=True)
    return {
        name: (tensor.detach(), torch.zeros_like(tensor) if gradient is None else gradient)
        for (name, tensor), gradient in zip(read.items(), gradients, strict=True)
    }
