"""How much a perturbed input counts in a surrogate model: the more, the nearer it is to the input itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from attriscope.attr._features import Features, exact_dtype
from attriscope.core.complex_parts import as_real
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, describe

MODES = ("cosine", "euclidean")
_LEAST = 1e-8  # norms are taken to be at least this, as in torch.nn.CosineSimilarity


@dataclasses.dataclass(frozen=True)
class ExponentialKernel:
    """``exp(-d^2 / (2 width^2))`` of the distance d between an input and its perturbation."""

    mode: str
    width: float

    def __call__(self, original_inp: Any, perturbed_inp: Any, *_: Any, **__: Any) -> float:
        """The weight of one perturbed input."""
        x, p = (
            torch.cat([as_real(t).flatten() for t in tensors_in(both)]).float()
            for both in (original_inp, perturbed_inp)
        )
        if self.mode == "cosine":
            distance = 1 - float(torch.nn.functional.cosine_similarity(x, p, dim=0, eps=_LEAST))
        else:
            distance = float(torch.linalg.vector_norm(x - p))
        return math.exp(-(distance**2) / (2 * self.width**2))

    def weights(
        self, keep: Tensor, examples: Examples, baselines: tuple[Tensor, ...], features: Features, whole: bool
    ) -> Tensor:
        """The weights of many perturbed inputs, without making these: sums over each feature are enough.

        Args:
            keep: bool (S, F) or (S, N, F): which features come from the inputs, the others from the baselines.
            examples, baselines, features: see there.
            whole: all examples together are one input.

        Returns:
            (S, N), or (S, 1).
        """
        dtype = exact_dtype(keep.device)
        on = keep.to(dtype)

        def mixed(inputs: Tensor, hidden: Tensor) -> Tensor:
            apart = inputs - hidden
            return ((on * apart).sum(2) if keep.dim() == 3 else on @ apart.T) + hidden.sum(1)

        def total(product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
            sums = sum(
                features.totals(i, product(part.to(dtype), start.to(dtype).expand_as(part))).to(keep.device)
                for i, (x, b) in enumerate(zip(examples.tensors, baselines, strict=True))
                for part, start in zip(parts_of(x), parts_of(b), strict=True)
            )
            assert isinstance(sums, Tensor)
            return sums.sum(0, keepdim=True) if whole else sums

        if self.mode == "cosine":
            xx, xb, bb = total(lambda x, b: x * x), total(lambda x, b: x * b), total(lambda x, b: b * b)
            norms = mixed(xx, bb).clamp_min(0).sqrt().clamp_min(_LEAST) * xx.sum(1).sqrt().clamp_min(_LEAST)
            distance = 1 - mixed(xx, xb) / norms
        else:
            apart = total(lambda x, b: (x - b).square())
            distance = mixed(torch.zeros_like(apart), apart).clamp_min(0).sqrt()
        return torch.exp(-distance.square() / (2 * self.width**2))


def parts_of(x: Tensor) -> tuple[Tensor, ...]:
    """Real and imaginary part, or the tensor itself."""
    return (x.real, x.imag) if x.is_complex() else (x,)


def tensors_in(inputs: Any) -> list[Tensor]:
    """The tensors in inputs of any form, in order."""
    return [leaf for leaf in tree_flatten(inputs)[0] if isinstance(leaf, Tensor)]


def get_exp_kernel_similarity_function(
    distance_mode: str = "cosine", kernel_width: float = 1.0
) -> ExponentialKernel:
    """An exponential kernel as ``similarity_func`` of Lime and LimeBase.

    Args:
        distance_mode: ``"cosine"`` (1 minus the cosine of the angle) or ``"euclidean"``, both of the flattened inputs,
            several inputs joined.
        kernel_width: the distance, in the inputs' units for ``"euclidean"``, at which a perturbed input counts
            ``exp(-1/2)`` of the input itself.

    Raises:
        InputError: an unknown mode, or a width that is not above 0.
    """
    if distance_mode not in MODES:
        raise InputError(
            f"distance_mode must be either cosine or euclidean, but {describe(distance_mode)} came"
        )
    if not kernel_width > 0:
        raise InputError(f"kernel_width must be above 0, but {describe(kernel_width)} came")
    return ExponentialKernel(distance_mode, float(kernel_width))
