"""A picture cut into segments: against a slow second implementation, and by what segments are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope import zoo
from attriscope.widget.stages.pixels import as_pixels
from attriscope.widget.stages.segments import segments


def cat() -> np.ndarray:
    return as_pixels(zoo.imagenet_to_image(zoo.imagenet_preprocess(zoo.picture("chelsea"))))


def noise(height: int, width: int) -> np.ndarray:
    """A few large blots with noise on them."""
    random = np.random.default_rng(height * width)
    blots = np.kron(random.integers(0, 200, (3, 3, 3)), np.ones((height // 3 + 1, width // 3 + 1, 1)))
    return (blots[:height, :width] + random.integers(0, 50, (height, width, 3))).astype(np.uint8)


def one_piece(inside: Tensor) -> bool:
    """Whether all pixels are reached from the first by steps up, down, left and right."""
    left = {(int(y), int(x)) for y, x in inside.nonzero()}
    stack = [left.pop()]
    while stack:
        y, x = stack.pop()
        for one in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if one in left:
                left.remove(one)
                stack.append(one)
    return not left


def slow_clusters(pixels: np.ndarray, count: int) -> list[list[int]]:
    """The clusters before each is put in one piece, pixel by pixel in plain Python."""
    height, width = pixels.shape[:2]
    side = max(1.0, (height * width / count) ** 0.5)
    rows, columns = max(1, round(height / side)), max(1, round(width / side))
    points = {
        (y, x): [
            np.float32(12 / side) * np.float32(y),
            np.float32(12 / side) * np.float32(x),
            *pixels[y, x].astype(float),
        ]
        for y in range(height)
        for x in range(width)
    }
    label = {(y, x): y * rows // height * columns + x * columns // width for y, x in points}
    home = {(y, x): (y * rows // height, x * columns // width) for y, x in points}
    for _ in range(10):
        members: dict[int, list[list[float]]] = {}
        for place, number in label.items():
            members.setdefault(number, []).append(points[place])
        middle = {number: np.mean(some, 0) for number, some in members.items()}
        for place, (row, column) in home.items():
            around = [
                min(max(row + i, 0), rows - 1) * columns + min(max(column + j, 0), columns - 1)
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            ]
            known = [one for one in around if one in middle]
            label[place] = min(known, key=lambda one: float(np.square(points[place] - middle[one]).sum()))
    return [[label[y, x] for x in range(width)] for y in range(height)]


def slow_segments(pixels: np.ndarray, count: int) -> Tensor:
    """Each cluster keeps its largest piece, and its neighbours grow into the rest: a pixel at a time."""
    clusters = torch.tensor(slow_clusters(pixels, count))
    height, width = clusters.shape
    piece = torch.full_like(clusters, -1)
    sizes: list[tuple[int, int, int]] = []  # cluster, size, which piece
    for start in range(height * width):
        if piece.flatten()[start] >= 0:
            continue
        stack, found = [divmod(start, width)], []
        piece[divmod(start, width)] = len(sizes)
        while stack:
            y, x = stack.pop()
            found.append((y, x))
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if (
                    0 <= v < height
                    and 0 <= u < width
                    and piece[v, u] < 0
                    and clusters[v, u] == clusters[y, x]
                ):
                    piece[v, u] = len(sizes)
                    stack.append((v, u))
        sizes.append((int(clusters[divmod(start, width)]), len(found), len(sizes)))
    best: dict[int, tuple[int, int]] = {}
    for cluster, size, number in sizes:
        if cluster not in best or size > best[cluster][0]:
            best[cluster] = size, number
    kept = {number for _, number in best.values()}
    found_ = clusters.clone()
    for y in range(height):
        for x in range(width):
            if int(piece[y, x]) not in kept:
                found_[y, x] = -1
    while (found_ < 0).any():
        before = found_.clone()
        for y, x in (before < 0).nonzero().tolist():
            for v, u in ((y - 1, x), (y, x - 1), (y + 1, x), (y, x + 1)):
                if found_[y, x] < 0 and 0 <= v < height and 0 <= u < width:
                    found_[y, x] = before[v, u]
    numbers: dict[int, int] = {}
    return torch.tensor([[numbers.setdefault(int(one), len(numbers)) for one in row] for row in found_])


@pytest.mark.parametrize(
    ("height", "width", "count"), [(20, 30, 12), (17, 9, 6), (8, 8, 64), (1, 1, 64), (2, 3, 4)]
)
def test_they_are_those_of_a_slow_second_implementation(height: int, width: int, count: int) -> None:
    pixels = noise(height, width)
    assert torch.equal(segments(pixels, count), slow_segments(pixels, count))


def test_each_is_in_one_piece_and_together_they_are_the_picture() -> None:
    found = segments(cat())
    assert found.shape == (224, 224)
    numbers, firsts = np.unique(found.numpy(), return_index=True)
    assert numbers.tolist() == list(range(len(numbers)))
    assert firsts.tolist() == sorted(firsts.tolist())
    assert 40 < len(numbers) < 256
    assert all(one_piece(found == number) for number in numbers.tolist())


def test_they_keep_to_colours() -> None:
    """On areas of one colour no segment crosses from one to the other, whatever shape the border has."""
    y, x = np.mgrid[:60, :80]
    areas = ((x - 40) ** 2 + (y - 30) ** 2 < 500).astype(int)
    pixels = np.array([[20, 30, 200], [230, 60, 40]], np.uint8)[areas]
    found = segments(pixels, 20).numpy()
    for number in range(found.max() + 1):
        assert len(set(areas[found == number].tolist())) == 1


def test_large_pictures_are_cut_at_a_smaller_size() -> None:
    large = np.kron(noise(40, 100), np.ones((8, 8, 1))).astype(np.uint8)
    found = segments(large)
    assert found.shape == (102, 256)
    assert torch.equal(found, segments(large))
