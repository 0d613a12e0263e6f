"""Which numbers of an input count as one thing: pixels, patches, tokens. Columns need no mask.

Metrics that remove features take a ``feature_mask`` as ``FeatureAblation`` does: numbers with the same entry are one
feature. Segments of a picture are such a mask too. What is done with them is in ``_feature_removal``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import Features, resolve_features
from attriscope.attr._random import check_count
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, describe


def pixel_mask(inputs: Tensor) -> Tensor:
    """Every position, with all its channels, is a feature.

    Args:
        inputs: shape (N, C, *positions).

    Returns:
        int64 (1, 1, *positions), numbered row by row.

    Raises:
        InputError: there are no positions.
    """
    sizes = _sizes(inputs)
    return torch.arange(sizes.numel(), device=inputs.device).reshape(1, 1, *sizes)


def patch_mask(inputs: Tensor, size: int) -> Tensor:
    """Every patch of ``size`` positions along each side, with all its channels, is a feature.

    Args:
        inputs: shape (N, C, *positions).
        size: in positions. Patches at the far edges are smaller where the sizes do not divide.

    Returns:
        int64 (1, 1, *positions).

    Raises:
        InputTypeError, InputError: there are no positions, or the size is not a positive whole number.
    """
    sizes, size = _sizes(inputs), check_count(size, "size")
    mask = torch.zeros((), dtype=torch.int64, device=inputs.device)
    for length in sizes:
        patch = torch.arange(length, device=inputs.device) // size
        mask = mask[..., None] * -(-length // size) + patch
    return mask[None, None]


def token_mask(inputs: Tensor) -> Tensor:
    """Every token, with all numbers of its embedding, is a feature.

    Args:
        inputs: shape (N, tokens, ...), such as embeddings (N, tokens, numbers) or token ids (N, tokens).

    Returns:
        int64 (1, tokens, 1, ...).

    Raises:
        InputError: there are no tokens.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() < 2:
        raise InputError(f"tokens are counted in dimension 1, but {describe(inputs)} came")
    count = inputs.shape[1]
    return torch.arange(count, device=inputs.device).reshape(1, count, *(1,) * (inputs.dim() - 2))


def _sizes(inputs: Any) -> torch.Size:
    if not isinstance(inputs, Tensor) or inputs.dim() < 3:
        raise InputError(
            f"inputs must have shape (examples, channels, positions...), but {describe(inputs)} came"
        )
    return inputs.shape[2:]


def features_of(feature_mask: Any, examples: Examples) -> Features:
    """The features that are removed.

    Without a mask, positions of pictures (four dimensions or more) are features with all their channels, and every
    number of other inputs is one.

    Raises:
        InputTypeError, InputError: the mask does not fit.
    """
    if feature_mask is None and any(x.dim() > 3 for x in examples.tensors):
        masks, first = [], 0
        for x in examples.tensors:
            sizes = x.shape[2:] if x.dim() > 3 else x.shape[1:]
            mask = torch.arange(first, first + sizes.numel(), device=x.device)
            masks.append(mask.reshape(1, 1, *sizes) if x.dim() > 3 else mask.reshape(1, *sizes))
            first += sizes.numel()
        feature_mask = examples.form(tuple(masks))
    found = resolve_features(feature_mask, examples)
    if found.count == 0:
        raise InputError("the feature_mask is empty: there are no features")
    return found
