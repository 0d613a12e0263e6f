"""The numbers of Captum 0.9.0 on real networks and real pictures, in float64."""

from __future__ import annotations

from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor

import attriscope.attr
from attriscope.zoo import efficientnet_lite0, imagenet_preprocess, picture, small_cnn, small_pictures
from models import Snapshot

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Tensor, Tensor]:
    """The small CNN, three digits it has never seen, and their classes."""
    images, labels = small_pictures()
    return small_cnn().double(), images[7:10].double(), labels[7:10]


@pytest.fixture(scope="module")
def cat() -> tuple[Any, Tensor]:
    """EfficientNet-Lite0, and a cat of 64 x 64 pixels: the network takes any multiple of 32."""
    x = imagenet_preprocess(picture("chelsea"))
    return efficientnet_lite0().double(), torch.nn.functional.interpolate(x, 64, mode="area").double()


CAT = 281


def as_captum(name: str, args: Any, inputs: Tensor, tolerance: float = 1e-9, **options: Any) -> Tensor:
    """Ours, after making sure that it is Captum's, relative to the largest attribution, and left nothing behind."""
    before = Snapshot(args[0], (inputs,))
    found = getattr(attriscope.attr, name)(*args).attribute(inputs, **options)
    before.check()
    expected = getattr(captum.attr, name)(*args).attribute(inputs, **options).detach()
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)
    return found


def test_gradients_of_digits(digits: tuple[Any, Tensor, Tensor]) -> None:
    model, images, labels = digits
    as_captum("Saliency", (model,), images, target=labels)
    as_captum("InputXGradient", (model,), images, target=labels)


@pytest.mark.parametrize("method", ["gausslegendre", "riemann_left", "riemann_middle", "riemann_right"])
def test_integrated_gradients_of_digits(digits: tuple[Any, Tensor, Tensor], method: str) -> None:
    """Captum rounds weights and nodes to single precision, which is what the tolerance is for."""
    model, images, labels = digits
    options: dict[str, Any] = {"target": labels, "method": method, "n_steps": 20}
    found = as_captum("IntegratedGradients", (model,), images, 1e-6, **options)
    # On black paper the digit is white: only ink can contribute.
    assert torch.equal(found[images == 0], torch.zeros_like(found[images == 0]))


def test_contributions_to_digits_add_up(digits: tuple[Any, Tensor, Tensor]) -> None:
    model, images, labels = digits
    found, delta = attriscope.attr.IntegratedGradients(model).attribute(
        images, target=labels, n_steps=100, return_convergence_delta=True
    )
    with torch.no_grad():
        rows = torch.arange(3)
        change = model(images)[rows, labels] - model(torch.zeros_like(images))[rows, labels]
    torch.testing.assert_close(found.sum((1, 2, 3)), change + delta)
    assert (delta.abs() < 0.02 * change.abs()).all()


@pytest.mark.parametrize(
    "layer", ["stem", "stem.conv", "pool1", "residual", "residual.conv2", "residual.bn2", "head.bn"]
)
@pytest.mark.parametrize("at_input", [False, True])
def test_layers_of_the_digit_reader(digits: tuple[Any, Tensor, Tensor], layer: str, at_input: bool) -> None:
    model, images, labels = digits
    args = model, model.get_submodule(layer)
    as_captum("LayerActivation", args, images, attribute_to_layer_input=at_input)
    cam = as_captum("LayerGradCam", args, images, target=labels, attribute_to_layer_input=at_input)
    size = images.shape[2:]
    torch.testing.assert_close(
        attriscope.attr.LayerAttribution.interpolate(cam, size, "bilinear"),
        captum.attr.LayerAttribution.interpolate(cam, size, "bilinear"),
    )


def test_gradients_of_a_cat(cat: tuple[Any, Tensor]) -> None:
    model, x = cat
    as_captum("Saliency", (model,), x, target=CAT)
    as_captum("IntegratedGradients", (model,), x, 1e-6, target=CAT, n_steps=4, internal_batch_size=2)


@pytest.mark.parametrize("layer", ["blocks.4.expand", "blocks.15", "head"])
@pytest.mark.parametrize("at_input", [False, True])
def test_grad_cam_of_a_cat(cat: tuple[Any, Tensor], layer: str, at_input: bool) -> None:
    """The input of ``blocks.4.expand`` also goes around it, into a residual addition."""
    model, x = cat
    args = model, model.get_submodule(layer)
    as_captum("LayerGradCam", args, x, target=CAT, attribute_to_layer_input=at_input)
