"""The baselines as small pictures."""

from __future__ import annotations

import numpy as np
import torch

from attriscope import Explorer
from widget.helpers import Make


def pixels(message: dict) -> np.ndarray:
    return np.frombuffer(message["data"], np.uint8).reshape(*message["shape"], 3)


def test_each_baseline_is_shown_as_it_looks(make: Make) -> None:
    explorer = make(target=1).wait()
    shown = {name: pixels(picture) for name, picture in explorer.baseline_pictures.items()}
    assert set(shown) == {one["name"] for one in explorer.baselines}
    assert (shown["black"] == 0).all()
    assert (shown["white"] == 255).all()
    assert np.ptp(shown["mean"].reshape(-1, 3), 0).max() == 0
    assert np.ptp(shown["noise"].reshape(-1, 3), 0).max() > 100
    for name in ("blur", "zero"):
        explorer.baseline = name
        whole = pixels(explorer.wait().baseline_picture).astype(int)
        if whole.shape == shown[name].shape:
            assert np.abs(whole - shown[name]).max() <= 1


def test_ones_own_is_shown_too_and_anew_when_it_is_another(make: Make) -> None:
    explorer = make(target=1).wait()
    explorer.baseline = torch.zeros(1, *explorer._explained.examples.tensors[0].shape[1:])
    first = explorer.wait().baseline_pictures["custom"]
    explorer.baseline = torch.full_like(explorer._explained.examples.tensors[0][:1], 5.0)
    assert explorer.wait().baseline_pictures["custom"] != first


def test_what_takes_pictures_of_one_size_only_has_none(make: Make) -> None:
    def to_image(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[2:] != (80, 90):
            raise ValueError("of another size")
        return tensor.clamp(0, 1)

    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    explorer = Explorer(net, torch.rand(1, 3, 80, 90), to_image=to_image, n_steps=2)
    try:
        assert explorer.wait().baseline_pictures["blur"] == {}
        assert explorer.picture
    finally:
        explorer.close()
