"""The path is integrated gradients, taken apart along the path."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attriscope.attr import IntegratedGradients
from attriscope.core.inputs import gather_examples
from attriscope.core.progress import control
from attriscope.widget.model.path import PathIntegral, thinned


class Smooth(nn.Module):
    """A small smooth net on pictures."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, 2, 3, 3, generator=generator, dtype=torch.float64) / 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight).tanh().mean((2, 3))


def finished(n_steps: int = 40) -> tuple[PathIntegral, Smooth, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 2, 6, 5, generator=generator, dtype=torch.float64)
    start = torch.randn(1, 2, 6, 5, generator=generator, dtype=torch.float64)
    model = Smooth()
    path = PathIntegral(IntegratedGradients(model), gather_examples(x), start, 1, n_steps)
    for _ in path.steps():
        pass
    return path, model, x, start


def test_path_ends_at_integrated_gradients() -> None:
    path, model, x, start = finished()
    wanted = IntegratedGradients(model).attribute(x, start, target=1, n_steps=40)
    torch.testing.assert_close(path.attributions, wanted)
    assert abs(path.gap) < 1e-9


@pytest.mark.parametrize("at", [1, 3, 12])
def test_a_path_that_was_left_goes_on_from_there_and_counts_no_point_twice(at: int) -> None:
    whole, model, x, start = finished()
    path = PathIntegral(IntegratedGradients(model), gather_examples(x), start, 1, 40)
    asked: list[int] = []
    with control(batch_seconds=1e-9):  # a row or two per batch
        steps = path.steps()
        for _ in range(at):
            next(steps)
        steps.close()
        left = path.evaluations
        assert 0 < left < 42
        hook = model.register_forward_hook(lambda module, args, output: asked.append(len(output)))
        for _ in path.steps():
            pass
        hook.remove()
    assert path.done
    assert sum(asked) == 42 - left
    torch.testing.assert_close(path.attributions, whole.attributions, rtol=0, atol=1e-12)
    torch.testing.assert_close(path.frames(), whole.frames(), rtol=0, atol=1e-7)
    torch.testing.assert_close(path.totals(), whole.totals(), rtol=0, atol=1e-12)


def test_curve_is_the_model_on_the_straight_line() -> None:
    path, model, x, start = finished()
    assert path.positions[0] == 0
    assert path.positions[-1] == 1
    assert path.positions == sorted(path.positions)
    at = torch.tensor(path.positions, dtype=torch.float64).reshape(-1, 1, 1, 1)
    with torch.no_grad():
        outputs = model(start + at * (x - start))
    torch.testing.assert_close(path.scores, outputs[:, 1])
    torch.testing.assert_close(path.outputs, outputs)


def test_frames_add_up_to_what_the_score_gained_everywhere_on_the_path() -> None:
    path, *_ = finished()
    gained = path.scores - path.scores[0]
    attributed = path.frames().sum((1, 2)).double()
    torch.testing.assert_close(attributed, gained, atol=2e-3, rtol=0)
    torch.testing.assert_close(path.totals(), attributed, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(path.totals()[-1], path.attributions.sum())
    assert not path.frames()[0].any()
    torch.testing.assert_close(path.frames()[-1].double(), path.attributions.sum(1)[0], atol=1e-5, rtol=1e-5)


def test_half_a_path_is_an_estimate_of_the_whole() -> None:
    x = torch.randn(1, 2, 6, 5, dtype=torch.float64)
    path = PathIntegral(IntegratedGradients(Smooth()), gather_examples(x), torch.zeros_like(x), 0, 32)
    whole = IntegratedGradients(Smooth()).attribute(x, target=0)
    steps = path.steps()
    next(steps)
    first = (path.attributions - whole).abs().max() / whole.abs().max()
    assert first < 0.5
    for _ in steps:
        pass
    assert (path.attributions - whole).abs().max() < 1e-6


def test_thinned_keeps_both_ends() -> None:
    assert thinned(5, 10) == [0, 1, 2, 3, 4]
    kept = thinned(52, 34)
    assert len(kept) == len(set(kept)) == 34
    assert (kept[0], kept[-1]) == (0, 51)
