"""What the Explorer is made with: models in training mode, keywords that it does not know, and what it gives."""

from __future__ import annotations

import pytest
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
