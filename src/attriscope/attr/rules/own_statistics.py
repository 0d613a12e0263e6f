"""Batch normalization: by running statistics it is linear; instance normalization is torch's batch normalization of a
batch of one, by its own statistics.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from attriscope.attr.rules.several_inputs import batch_norm, constants_of_norm
from attriscope.core.errors import OperationError
from attriscope.core.propagation import Passed, Step


def by_own_statistics(step: Step, gradients: Passed, incoming: Passed) -> Any:
    """Autograd's gradient, or for a batch of one the rule of layer normalization; refused where rows are mixed."""
    training = next((step.arguments[n] for n in ("training", "train") if n in step.arguments), False)
    if not training and step.operation != "BatchNormWithUpdate":
        if not any(step.needs[1:]):
            constants_of_norm(step)
            return gradients
        return step.propagation.replay(batch_norm, ("input", "weight", "bias"), step, incoming)
    if step.inputs[0].shape[0] > 1:
        raise OperationError(
            "batch normalization in training mode mixes the examples of a batch: call model.eval() first. Without "
            "running statistics (track_running_stats=False) it does so in evaluation mode too, and has no rule"
        )
    return step.propagation.replay(_over_positions, ("input", "weight", "bias"), step, incoming)


def _over_positions(
    input: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, **others: Any
) -> Tensor:
    eps = others.get("epsilon", eps)  # as cuDNN's is called
    flat = input.flatten(2)
    found = F.layer_norm(flat, flat.shape[-1:], eps=eps)
    found = found if weight is None else found * weight.unsqueeze(-1)
    found = found if bias is None else found + bias.unsqueeze(-1)
    return found.reshape(input.shape)
