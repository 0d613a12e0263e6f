"""A monkey at a table: whatever is chosen, edited and cancelled, what is on show is what plain torch says."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.core.errors import LayerError
from attriscope.widget.state.selection import ChoiceError
from models import draw

_ACTIONS = 300
_STEPS = 40
_SIZES = torch.tensor([1.0, 10.0, 0.01, 1.0, 2.0, 100.0])


class Tabular(nn.Module):
    """Three classes from six columns of quite different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.first, self.act = nn.BatchNorm1d(6), nn.Linear(6, 8), nn.Tanh()
        self.last = nn.Linear(8, 3)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            self.norm.get_buffer("running_var").copy_(torch.tensor([1.0, 100.0, 1e-4, 1.0, 4.0, 1e4]))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(self.norm(x))))


class TableMonkey:
    """One round."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.model = Tabular().eval()
        self.rows = draw(7, 6, seed=8).float() * _SIZES
        self.own = self.rows[3:5].mean(0, keepdim=True)
        self.explorer = Explorer(self.model, self.rows, n_steps=_STEPS, labels=[0, 1, 2, 0, 1, 2, 0])

    def act(self) -> None:
        """One thing that somebody does, now and then an impossible one."""
        explorer, pick = self.explorer, self.random.choice
        columns = self.random.sample(range(6), pick([0, 1, 2]))
        low, high = sorted(self.random.sample(range(7), 2))
        wishes: dict[str, Any] = {
            "edited": [[column, self.random.uniform(-3, 3) * _SIZES[column].item()] for column in columns],
            "example": self.random.randrange(8),
            "method": pick(
                ["IntegratedGradients", "InputXGradient", "ShapleyValues", "Saliency", "DeepLift"]
            ),
            "target": pick([0, 1, 2, None, 3]),
            "contrast": pick([None, None, 0, 1, 2]),
            "baseline": pick(["mean", "median", "zero", ["mean", "zero"], self.own, "blur"]),
            "layer": pick([None, None, None, "act", "first", "none"]),
            "neuron": pick([None, None, 0, 7, 8]),
            "ablated": pick([[], [], [["act", 1]], [["act", 1], ["first", 4]]]),
            "ablate_to": pick(["zero", "baseline"]),
            "selection": pick([None, {"kind": "box", "box": [0, low, 1, high]}]),
            "alpha": self.random.random(),
        }
        asked = [explorer.explain_rows, explorer.cancel, explorer.recompute, lambda: explorer.check(2)]
        with contextlib.suppress(ChoiceError, LayerError, IndexError):
            if self.random.random() < 0.25:
                pick([*asked, lambda: explorer.compare(["Saliency"], ["deletion"]), explorer.refine])()
            elif self.random.random() < 0.03:
                explorer.wait()
            else:
                name = pick(sorted(wishes))
                setattr(explorer, name, wishes[name])

    def settle(self) -> None:
        """Ends at a choice that the model can answer."""
        explorer = self.explorer
        explorer.layer, explorer.neuron = None, None
        if explorer.target == 3:  # chosen while nobody knew how many classes there are
            explorer.target = 0
        if explorer.contrast is not None and (
            explorer.target is None or explorer.contrast == explorer.target
        ):
            explorer.contrast = None
        if not self.random.randrange(2):
            explorer.explain_rows()
        explorer.recompute().wait()

    # --- what plain torch says ----------------------------------------------------------------------------------

    def starts(self) -> list[Tensor]:
        named = {
            "mean": self.rows.mean(0, keepdim=True),
            "median": self.rows.median(0, keepdim=True).values,
            "zero": torch.zeros(1, 6),
        }
        chosen = self.explorer.baseline
        names = chosen if isinstance(chosen, list) else [chosen]
        return [named[one] if isinstance(one, str) else one for one in names]

    def explained(self, x: Tensor) -> Tensor:
        """The explained number of each row."""
        output, explorer = self.model(x), self.explorer
        score = output[:, explorer.target]
        return score if explorer.contrast is None else score - output[:, explorer.contrast]

    def path(self, row: Tensor, start: Tensor) -> Tensor:
        """Integrated gradients in many steps."""
        alphas = (torch.arange(2000) + 0.5)[:, None] / 2000
        x = (start + alphas * (row - start)).requires_grad_()
        (gradient,) = torch.autograd.grad(self.explained(x).sum(), x)
        return (row - start) * gradient.mean(0, keepdim=True)

    def shapley(self, row: Tensor, start: Tensor) -> Tensor:
        """Over all coalitions of columns."""
        inside = torch.cartesian_prod(*[torch.tensor([False, True])] * 6)
        values = self.explained(torch.where(inside, row, start)).detach()
        found = torch.zeros(1, 6)
        for column in range(6):
            without = ~inside[:, column]
            size = inside[without].sum(1)
            weights = torch.exp(
                torch.lgamma(size + 1.0) + torch.lgamma(6.0 - size) - torch.lgamma(torch.tensor(7.0))
            )
            found[0, column] = (weights * (values[inside[:, column]] - values[without])).sum()
        return found

    @property
    def found(self) -> Tensor:
        assert self.explorer.attributions is not None
        return self.explorer.attributions.detach()

    def attributions(self, row: Tensor) -> Tensor:
        method, starts = self.explorer.method, self.starts()
        if method in ("Saliency", "InputXGradient"):
            x = row.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.explained(x).sum(), x)
            return gradient if method == "Saliency" else gradient * row
        if method == "DeepLift":
            return torch.stack([self.deep_lift(row, start) for start in starts]).mean(0)
        find = self.path if method == "IntegratedGradients" else self.shapley
        return torch.stack([find(row, start) for start in starts]).mean(0)

    def deep_lift(self, row: Tensor, start: Tensor) -> Tensor:
        """By the library: its rules are tested elsewhere."""
        chosen, contrast = self.explorer.target, self.explorer.contrast
        method = attr.DeepLift(self.model)
        found = method.attribute(row, start, target=chosen)
        return found if contrast is None else found - method.attribute(row, start, target=contrast)

    def compare(self) -> None:
        explorer = self.explorer
        row = self.rows[explorer.example : explorer.example + 1].clone()
        for column, value in explorer.edited:
            row[0, column] = value
        assert explorer.table["values"] == pytest.approx(row[0].tolist())
        assert explorer.baseline_row == pytest.approx(torch.cat(self.starts()).mean(0).tolist(), abs=1e-6)
        output = self.model(row)[0].detach()
        for one in explorer.predictions["items"]:
            assert one["score"] == pytest.approx(output[one["index"]].item(), abs=1e-4)
            assert one["probability"] == pytest.approx(output.softmax(0)[one["index"]].item(), abs=1e-4)
        self.compare_map(row)
        self.compare_region(row)
        if explorer.ablated:
            self.compare_what_if(row)
        if explorer.row_attributions is not None and explorer.rows.get("final"):
            self.compare_rows()

    def compare_map(self, row: Tensor) -> None:
        explorer, wanted = self.explorer, self.attributions(row).detach()
        size = float(wanted.abs().max())
        torch.testing.assert_close(self.found, wanted, atol=0.02 * size + 1e-5, rtol=0)
        heat: Any = explorer.heat
        data = np.frombuffer(heat["data"], "<f4").reshape(heat["shape"])
        np.testing.assert_allclose(data, self.found, atol=1e-6 * size + 1e-6)
        output = self.explained(row).item()
        assert heat["output"] == pytest.approx(output, abs=1e-4)
        assert heat["sum"] == pytest.approx(self.found.sum().item(), abs=1e-4 * (1 + size))
        if heat["gap"] is not None:
            start = torch.cat([self.explained(one) for one in self.starts()]).mean().item()
            assert heat["sum"] - heat["gap"] == pytest.approx(output - start, abs=1e-3)

    def compare_region(self, row: Tensor) -> None:
        explorer = self.explorer
        if explorer.selection is None:
            assert explorer.covered == {}
            return
        _, low, _, high = explorer.selection["box"]
        covered, after = explorer.covered, []
        for start in self.starts():
            without = row.clone()
            without[0, low:high] = start[0, low:high]
            after.append(self.explained(without).item())
        assert covered["before"] == pytest.approx(self.explained(row).item(), abs=1e-4)
        assert covered["after"] == pytest.approx(sum(after) / len(after), abs=1e-4)
        assert covered["pixels"] == high - low
        if explorer.heat["tells_worth"]:
            worth = self.found[0, low:high].sum().item()
            assert covered["worth"] == pytest.approx(worth, abs=1e-4 * (1 + abs(worth)))

    def compare_what_if(self, row: Tensor) -> None:
        """The two layers by hand, with some of their units set to something else."""
        explorer, model = self.explorer, self.model
        pre = [model.first(model.norm(x)) for x in (row, *self.starts())]
        held = pre[0].clone()
        to_baseline = explorer.ablate_to == "baseline"
        start = torch.stack(pre[1:]).mean(0) if to_baseline else torch.zeros(1, 8)
        for layer, unit in explorer.ablated:
            if layer == "first":
                held[0, unit] = start[0, unit]
        after = torch.tanh(held)
        start = torch.stack(pre[1:]).tanh().mean(0) if to_baseline else torch.zeros(1, 8)
        for layer, unit in explorer.ablated:
            if layer == "act":
                after[0, unit] = start[0, unit]
        wanted = model.last(after)[0]
        for one in explorer.what_if["items"]:
            assert one["after_score"] == pytest.approx(wanted[one["index"]].item(), abs=1e-4)

    def compare_rows(self) -> None:
        """What is not out of date is what each row's own map says."""
        explorer = self.explorer
        about: Any = explorer.rows["request"]
        asked: Any = explorer.heat["request"]
        same = ("method", "target", "contrast", "baseline")
        if any(about[name] != asked[name] for name in same) or explorer.rows["outdated"]:
            return
        wanted = torch.cat([self.attributions(row[None]) for row in self.rows]).detach()
        size = float(wanted.abs().max())
        torch.testing.assert_close(explorer.row_attributions, wanted, atol=0.02 * size + 1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_a_monkey_at_a_table_leaves_the_numbers_right(seed: int) -> None:
    monkey = TableMonkey(seed)
    try:
        for number in range(1, _ACTIONS + 1):
            monkey.act()
            if number % 30 == 0:
                monkey.settle()
                monkey.compare()
    finally:
        monkey.explorer.close()
