"""Is the attribution where the thing is? For pictures with a mask that says where it is.

Masks that are right by construction come from a ``grid_pointing_game``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import exact_dtype
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe
from attriscope.metrics._arguments import check_choice
from attriscope.metrics._explanations import given_attributions
from attriscope.metrics.base import HIGHER, Case, refuse_undefined, register

SIGNS = ("positive", "absolute")


def _on_masks(function: Any, case: Case) -> Tensor:
    return function(case.attributions, case.where())


@register("pointing game", better=HIGHER, call=_on_masks)
def pointing_game(
    attributions: Any,
    masks: Tensor,
    *,
    tolerance: int = 0,
    inputs: Any = None,
    target: Any = None,
    additional_forward_args: Any = None,
) -> Tensor:
    """Does the largest attribution lie on the object? (Zhang et al. 2016, arXiv 1608.00507)

    Args:
        attributions: a tensor (N, C, *positions), whose channels are added up; or, with inputs, a method such as
            ``Saliency(model)``, a pair of a method and a dict of its options, or a function of (inputs, target).
        masks: where the object is: bool, or 0 and 1, of shape (N, *positions), (N, 1, *positions), or with a first
            dimension of 1 for all.
        tolerance: also count a hit within so many positions, along each axis, of the object; the paper's is 15 pixels.
        inputs, target, additional_forward_args: what such a method explains.

    Returns:
        A tensor (N,): 1 for a hit, 0 for a miss; if several positions share the maximum, the share of hits among them.

    Raises:
        InputTypeError, InputError: arguments that cannot be used; a mask that is empty.
        UndefinedMetricError: attributions are not finite, or all the same.
    """
    heat, inside = _heat_and_mask(attributions, masks, inputs, target, additional_forward_args)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int) or tolerance < 0:
        raise InputError(f"tolerance must be a number of positions, but {describe(tolerance)} came")
    refuse_undefined(heat.amax(1) == heat.amin(1), "all positions have the same attribution")
    if tolerance:
        # A channel dimension of 1, which masks may have, is in nobody's way.
        inside = _dilated(inside.reshape(len(inside), *masks.shape[1:]), tolerance).flatten(1)
    top = heat == heat.amax(1, keepdim=True)
    return ((top & inside).sum(1) / top.sum(1)).to(torch.get_default_dtype())


@register("relevance mass", better=HIGHER, call=_on_masks)
def relevance_mass_accuracy(
    attributions: Any,
    masks: Tensor,
    *,
    sign: str = "positive",
    inputs: Any = None,
    target: Any = None,
    additional_forward_args: Any = None,
) -> Tensor:
    """Which share of the attribution lies on the object? (Arras et al. 2020, arXiv 2003.07258)

    Args:
        attributions, masks, inputs, target, additional_forward_args: as for :func:`pointing_game`.
        sign: ``"positive"``: only what speaks for the target counts; ``"absolute"``: the sizes do. Channels are added
            up before.

    Returns:
        A tensor (N,) from 0 to 1. 1 is best; an even map has the object's share of the picture.

    Raises:
        as :func:`pointing_game`; UndefinedMetricError if nothing counts.
    """
    heat, inside = _heat_and_mask(attributions, masks, inputs, target, additional_forward_args)
    return _share(_signed(heat, sign), inside)


@register("relevance rank", better=HIGHER, call=_on_masks)
def relevance_rank_accuracy(
    attributions: Any,
    masks: Tensor,
    *,
    inputs: Any = None,
    target: Any = None,
    additional_forward_args: Any = None,
) -> Tensor:
    """Of the K largest attributions, where K is the size of the object, which share lies on it? (Arras et al. 2020,
    arXiv 2003.07258)

    Args:
        as for :func:`pointing_game`.

    Returns:
        A tensor (N,) from 0 to 1. 1 is best. Ties go by position.

    Raises:
        as :func:`pointing_game`.
    """
    heat, inside = _heat_and_mask(attributions, masks, inputs, target, additional_forward_args)
    refuse_undefined(heat.amax(1) == heat.amin(1), "all positions have the same attribution")
    count = inside.sum(1, keepdim=True)
    ordered = inside.gather(1, heat.argsort(dim=1, descending=True, stable=True))
    first = torch.arange(heat.shape[1], device=heat.device)[None] < count
    return ((ordered & first).sum(1) / count[:, 0]).to(torch.get_default_dtype())


@register("localisation", better=HIGHER, call=_on_masks)
def attribution_localisation(
    attributions: Any,
    masks: Tensor,
    *,
    weighted: bool = False,
    inputs: Any = None,
    target: Any = None,
    additional_forward_args: Any = None,
) -> Tensor:
    """Which share of the positive attribution lies on the object, on its own or compared with the object's size?
    (Kohlbrenner et al. 2019, arXiv 1910.09840)

    Args:
        attributions, masks, inputs, target, additional_forward_args: as for :func:`pointing_game`.
        weighted: divide by the object's share of the picture; then an even map has 1, and small objects count as much
            as large ones.

    Returns:
        A tensor (N,), large is good: from 0 to 1, or, weighted, from 0.

    Raises:
        as :func:`relevance_mass_accuracy`.
    """
    heat, inside = _heat_and_mask(attributions, masks, inputs, target, additional_forward_args)
    share = _share(_signed(heat, "positive"), inside)
    return share / inside.to(share.dtype).mean(1) if weighted else share


def _signed(heat: Tensor, sign: str) -> Tensor:
    return heat.abs() if check_choice(sign, SIGNS, "sign") == "absolute" else heat.clamp(min=0)


def _share(amounts: Tensor, inside: Tensor) -> Tensor:
    total = amounts.sum(1)
    refuse_undefined(total == 0, "no position has an attribution of the sign that counts")
    return ((amounts * inside).sum(1) / total).to(torch.get_default_dtype())


def _heat_and_mask(
    attributions: Any, masks: Any, inputs: Any, target: Any, arguments: Any
) -> tuple[Tensor, Tensor]:
    """One number per position and whether it is on the object, each (N, positions)."""
    maps = given_attributions(attributions, inputs, target, arguments)
    if len(maps) != 1:
        raise InputError(f"localisation is about one picture per example, but there are {len(maps)} inputs")
    found = maps[0].to(exact_dtype(maps[0].device))
    if found.dim() < 3:
        raise InputError(
            f"attributions must have shape (N, channels, positions...), but {describe(maps[0])} came"
        )
    heat = found.sum(1)
    if not isinstance(masks, Tensor):
        raise InputTypeError(f"masks must be a tensor, but {describe(masks)} came")
    n, sizes = heat.shape[0], tuple(heat.shape[1:])
    shape = tuple(masks.shape)
    if shape not in {(m, *c, *sizes) for m in (1, n) for c in ((), (1,))}:
        raise InputError(
            f"masks have shape {shape}; for attributions of shape {tuple(maps[0].shape)} they must have {(n, *sizes)}, "
            f"{(n, 1, *sizes)}, or a first dimension of 1"
        )
    if masks.dtype != torch.bool and not bool(((masks == 0) | (masks == 1)).all()):
        raise InputError("masks must hold 0 and 1 only, or be of type bool")
    inside = masks.to(heat.device, torch.bool).reshape(shape[0], *sizes).expand(n, *sizes).flatten(1)
    refuse_undefined(~inside.any(1), "the mask is empty")
    return heat.flatten(1), inside


def _dilated(inside: Tensor, reach: int) -> Tensor:
    """Masks (N, *positions) with all that is within ``reach`` positions along each axis."""
    found = inside.to(torch.float32)
    for dimension in range(1, inside.dim()):
        lines = found.transpose(dimension, -1)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        wide = torch.nn.functional.max_pool1d(flat, 2 * reach + 1, stride=1, padding=reach)
        found = wide.reshape(lines.shape).transpose(dimension, -1)
    return found > 0
