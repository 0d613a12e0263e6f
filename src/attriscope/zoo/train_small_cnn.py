"""Train the weights of :func:`attriscope.zoo.small_cnn`: ``python -m attriscope.zoo.train_small_cnn``.

About 40 seconds on one CPU thread. The same seed gives the same file, byte for byte, on the same kind of
machine with the same torch.

Two things are done for the sake of explanations. The pictures are noisy in training, which makes gradients
follow the strokes (section 3.3 of SmoothGrad, arXiv:1706.03825). And some pictures hold no digit, with all
classes equally right: so black paper, the zero baseline, speaks for no class, as integrated gradients wants
of a baseline (arXiv:1703.01365).
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope.zoo._weights import with_weights
from attriscope.zoo.small import SMALL_CLASS_NAMES, WEIGHTS, SmallCNN, small_pictures

EPOCHS = 12
BATCH = 100
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.05
NOISE = 0.2  # largest standard deviation; pixels are in 0..1
EMPTY = 2  # pictures without a digit in each batch


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """``images``, each turned (up to 12 degrees), scaled (up to 10 %) and shifted (up to 2 pixels)."""
    n, _, _, width = images.shape
    turn, scale, right, down = (torch.rand(4, n, generator=generator) * 2 - 1).unbind()
    turn, scale = turn * math.radians(12), 1 + 0.1 * scale
    cos, sin = turn.cos() * scale, turn.sin() * scale
    shift = 2 * 2 / width
    places = torch.stack([cos, -sin, right * shift, sin, cos, down * shift], dim=1).view(n, 2, 3)
    grid = F.affine_grid(places, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def batch(images: Tensor, generator: torch.Generator) -> Tensor:
    """``images``, varied, then ``EMPTY`` black ones; each with noise of a strength of its own."""
    images = torch.cat([varied(images, generator), images.new_zeros(EMPTY, *images.shape[1:])])
    strength = NOISE * torch.rand(len(images), 1, 1, 1, generator=generator)
    return images + strength * torch.randn(images.shape, generator=generator)


def targets(labels: Tensor) -> Tensor:
    """The probabilities that belong to :func:`batch`: one class for a digit, all for an empty picture."""
    classes = len(SMALL_CLASS_NAMES)
    return torch.cat([F.one_hot(labels, classes).float(), torch.full((EMPTY, classes), 1 / classes)])


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The part of ``images`` whose largest logit is at their label, 0 to 1."""
    with torch.no_grad():
        right = [
            (model(x).argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500), strict=True)
        ]
    return float(sum(right)) / len(labels)


def train(seed: int = 0) -> SmallCNN:
    """A trained network, in evaluation mode. Prints the loss of each epoch."""
    images, labels = small_pictures("train")
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmallCNN()
    steps = EPOCHS * len(images) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            loss = F.cross_entropy(model(batch(images[rows], generator)), targets(labels[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1:2d} of {EPOCHS}: loss {total / len(images):.4f}", flush=True)
    return model.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, store as float16, and print the accuracy of what was stored."""
    parser = argparse.ArgumentParser(description="Train the weights of attriscope.zoo.small_cnn.")
    parser.add_argument(
        "--output", type=Path, default=WEIGHTS, help="file to write (default: the one in the package)"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)  # sums in the same order everywhere
    started = time.perf_counter()
    model = train(options.seed)
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    file = io.BytesIO()  # torch.save to a path would write the path's name into the file
    torch.save(state, file)
    options.output.write_bytes(file.getvalue())
    print(f"{time.perf_counter() - started:.1f} s; {options.output}: {options.output.stat().st_size:,} bytes")
    stored = with_weights(SmallCNN, torch.load(options.output, weights_only=True))
    for split in ("train", "test"):
        print(f"{split} accuracy {accuracy(stored, *small_pictures(split)):.4f}")


if __name__ == "__main__":
    main()
