"""A picture cut into segments: neighbouring pixels of similar colour, each segment in one piece.

Simple linear iterative clustering (SLIC; Achanta et al. 2012), with each pixel choosing among the nine centres around
it, as in gSLIC. The same picture always gives the same segments.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# About so many, so that 8 bits tell them apart.
_SEGMENTS = 64
# Larger pictures are cut at this size, in pixels along a side.
SEGMENTS_SIDE = 256
_ROUNDS = 10
# How much nearness counts against likeness: a side of the grid as much as this many of 255 levels of colour.
_COMPACTNESS = 12.0


def segments(pixels: NDArray[np.uint8], count: int = _SEGMENTS) -> Tensor:
    """The number of the segment that each pixel belongs to.

    Args:
        pixels: a picture (H, W, 3).
        count: about how many segments; at most 225 for 64, so that a byte holds their numbers.

    Returns:
        Whole numbers from 0 on, in the order in which the segments begin: (h, w), of the picture's size or, if that is
        larger than 256 pixels along a side, of the size that it is cut at.
    """
    colours = _reduced(torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float())
    height, width = colours.shape[1:]
    side = max(1.0, math.sqrt(height * width / count))
    rows, columns = max(1, round(height / side)), max(1, round(width / side))
    y, x = torch.meshgrid(
        torch.arange(height, device=colours.device), torch.arange(width, device=colours.device), indexing="ij"
    )
    places = torch.stack([y, x]).float() * (_COMPACTNESS / side)
    features = torch.cat([places, colours]).flatten(1)
    row, column = (y * rows // height).flatten(), (x * columns // width).flatten()
    labels = row * columns + column
    around = [
        (row + i).clamp(0, rows - 1) * columns + (column + j).clamp(0, columns - 1)
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    for _ in range(_ROUNDS):
        centres = _means(features, labels, rows * columns)
        nearest = torch.full_like(features[0], torch.inf)
        for one in around:
            distance = (features - centres[:, one]).square_().sum(0)
            labels = torch.where(distance < nearest, one, labels)
            nearest = torch.minimum(nearest, distance)
    return _numbered(_in_one_piece(labels.reshape(height, width)))


def _reduced(colours: Tensor) -> Tensor:
    scale = SEGMENTS_SIDE / max(colours.shape)
    if scale >= 1:
        return colours
    size = [max(1, round(length * scale)) for length in colours.shape[1:]]
    return torch.nn.functional.interpolate(colours[None], size, mode="area")[0]


def _means(features: Tensor, labels: Tensor, count: int) -> Tensor:
    """The middles of the clusters, (5, count); one that has lost all its pixels lies too far away to win any."""
    sizes = labels.bincount(minlength=count)
    sums = torch.stack([labels.bincount(one, minlength=count) for one in features])
    return torch.where(sizes > 0, sums / sizes, torch.inf).to(features.dtype)


def _in_one_piece(labels: Tensor) -> Tensor:
    """Each label keeps its largest piece; what is left goes to the neighbours that grow into it."""
    pieces = _pieces(labels)
    sizes = pieces.flatten().bincount(minlength=pieces.numel())
    # Of each label the size of its largest piece, and among those of that size the one that begins first.
    largest = torch.zeros_like(labels.flatten()).scatter_reduce(
        0, labels.flatten(), sizes[pieces].flatten(), "amax"
    )
    candidates = (sizes[pieces] == largest[labels]).flatten()
    first = torch.full_like(labels.flatten(), pieces.numel()).scatter_reduce(
        0, labels.flatten()[candidates], pieces.flatten()[candidates], "amin"
    )
    found = torch.where(pieces == first[labels], labels, -1)
    while (found < 0).any():
        for shifted in _neighbours(found):
            found = torch.where(found < 0, shifted, found)
    return found


def _pieces(labels: Tensor) -> Tensor:
    """For each pixel the first pixel, counted row by row, that it is connected with through its own label."""
    found = torch.arange(labels.numel(), device=labels.device).reshape(labels.shape)
    same = [labels == shifted for shifted in _neighbours(labels)]
    while True:
        before = found
        for alike, shifted in zip(same, _neighbours(found), strict=True):
            found = torch.where(alike, torch.minimum(found, shifted), found)
        found = found.flatten()[found]  # where that pixel itself has got to
        if torch.equal(found, before):
            return found


def _neighbours(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What stands above, to the left, below and to the right; beyond the edge -1."""
    edge_row, edge_column = torch.full_like(values[:1], -1), torch.full_like(values[:, :1], -1)
    return (
        torch.cat([edge_row, values[:-1]]),
        torch.cat([edge_column, values[:, :-1]], 1),
        torch.cat([values[1:], edge_row]),
        torch.cat([values[:, 1:], edge_column], 1),
    )


def _numbered(labels: Tensor) -> Tensor:
    """Numbers from 0 on, in the order in which the labels first appear."""
    flat = labels.flatten()
    used, compact = flat.unique(return_inverse=True)
    place = torch.arange(flat.numel(), device=flat.device)
    first = torch.full_like(used, flat.numel()).scatter_reduce(0, compact, place, "amin")
    return first.argsort().argsort()[compact].reshape(labels.shape)
