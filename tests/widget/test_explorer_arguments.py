"""What the Explorer is made with: models in training mode, keywords that it does not know, and what it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import attriscope
from attriscope import Explorer
from widget.helpers import TwoLayers


def test_nested_training_mode_is_told_of(model: TwoLayers, image: Tensor) -> None:
    whole = nn.Sequential(nn.Dropout(0.5), model).eval()
    whole[0].train()
    with pytest.warns(attriscope.TrainingModeWarning, match="changes what Dropout does: call model.eval"):
        Explorer(whole, image, n_steps=2).wait()


def test_unknown_keywords_are_refused(model: TwoLayers, image: Tensor) -> None:
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'layer_metod'; did you mean 'layer_method'"
    ):
        Explorer(model, image, layer_metod="LayerConductance")
    with pytest.raises(TypeError, match="unexpected keyword argument '_part'"):
        Explorer(model, image, _part="overlay")


def test_its_figure_shows_itself(model: TwoLayers, image: Tensor) -> None:
    figure = Explorer(model, image, n_steps=2).wait().figure()
    assert figure._repr_png_().startswith(b"\x89PNG")


class Scaled(nn.Module):
    """Further arguments in containers: a factor in a dict, an offset as numpy's array."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TwoLayers()

    def forward(self, x: Tensor, more: dict[str, Any], offset: NDArray[np.float32]) -> Tensor:
        return self.net(x * more["factor"]) + torch.from_numpy(offset)


def test_what_is_written_to_the_inputs_later_is_not_seen(image: Tensor) -> None:
    model = Scaled().eval()
    given, more, offset = image.clone(), {"factor": torch.tensor(2.0)}, np.arange(5, dtype=np.float32)
    wanted = model(image, more, offset)[0].tolist()
    explorer = Explorer(model, given, additional_forward_args=(more, offset), target=1, n_steps=2).wait()
    given.zero_(), more["factor"].zero_(), offset.fill(100)
    explorer.recompute().wait()
    by_index = {item["index"]: item["score"] for item in explorer.predictions["items"]}
    assert [by_index[i] for i in range(5)] == pytest.approx(wanted, rel=1e-6)


def test_an_argument_without_tensors_is_handed_on_itself(image: Tensor) -> None:
    seen = []

    class Noting(TwoLayers):
        def forward(self, x: Tensor, thing: object) -> Tensor:  # type: ignore[override]
            seen.append(thing)
            return super().forward(x)

    thing = object()
    Explorer(Noting().eval(), image, additional_forward_args=thing, target=1, n_steps=2).wait()
    assert all(one is thing for one in seen)
