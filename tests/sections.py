"""Sections opened at layers, and models of which is known what ran, for tests of sections."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from attriscope.core.hooks import resolve_layers
from attriscope.core.inputs import gather_examples
from attriscope.core.section import Section
from attriscope.core.section_start import OpenedSection, open_section
from models import with_drawn_parameters


def opened(
    model: Any, layer: Any, inputs: Any, *arguments: Any, at_input: bool = False, **options: Any
) -> OpenedSection:
    site = resolve_layers(model, layer, at_input)
    return open_section(Section(model, site), gather_examples(inputs, arguments or None), **options)


def again(found: OpenedSection, steps: int = 1, part: slice | None = None, change: float = 0.0) -> Any:
    """Run the section for copies of some of the examples, with something added to the values."""
    part = part or slice(0, found.examples.count)
    values = (t.repeat(steps, *[1] * (t.dim() - 1)) + change for t in found.examples.slices(part))
    return found.forward(*values, *found.examples.forward_arguments(steps, part))


class Count:
    """How often the modules of a model run."""

    def __init__(self, model: nn.Module) -> None:
        self.runs: dict[str, int] = {name: 0 for name, _ in model.named_modules()}
        for name, module in model.named_modules():
            own = module.forward

            def forward(*args: Any, own: Any = own, name: str = name, **kwargs: Any) -> Any:
                self.runs[name] += 1
                return own(*args, **kwargs)

            module.forward = forward  # type: ignore[method-assign]


class Loop(nn.Module):
    """Runs ``cell`` as often as ``times`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, times: int = 3) -> Tensor:
        for _ in range(times):
            x = self.cell(x).tanh()
        return self.head(x)


def loop() -> Any:
    return with_drawn_parameters(Loop()).double()
