"""Which dimension of what passes at a layer holds the channels.

Modules that say it by their kind decide for the others: a layer has the form of the last of those before it with the
same shape, or else of the first after it, so that what lies between, such as activations, blocks and permutations, is
read as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from attriscope.core.hooks import hooked, module_of
from attriscope.core.pytree import tree_leaves

Kind: TypeAlias = Literal["map", "attention", "tokens", "sequence", "vector", "other"]
Shape: TypeAlias = tuple[int, ...]

# By the names of their classes: those derived from them may work otherwise, as a LayerNorm2d does.
_UNITS_LAST = {
    "Embedding", "LayerNorm", "Linear", "MultiheadAttention", "TransformerEncoderLayer", "TransformerDecoderLayer",
    "LSTM", "GRU", "RNN", "RMSNorm",
}  # fmt: skip
_CHANNELS_SECOND = (
    nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.GroupNorm, nn.Upsample,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Form:
    """What the dimensions after that of the examples mean.

    Attributes:
        kind: see :class:`~attriscope.core.layouts.Layout`.
        channels_last: whether the last dimension holds the channels; else it is the first of them.
        said: whether any module told so.
    """

    kind: Kind
    channels_last: bool = False
    said: bool = True


def forms_of(layers: Sequence[tuple[nn.Module, Shape, bool]]) -> list[Form]:
    """The forms of what layers gave: the modules, shapes, and whether it is weights of attention, in order."""
    said = [_said(module, shape) for module, shape, _ in layers]
    later: dict[Shape, bool] = {}
    ahead: list[bool | None] = []
    for (_, shape, _), last in zip(reversed(layers), reversed(said), strict=True):
        if last is not None:
            later[shape] = last
        ahead.append(later.get(shape))
    before: dict[Shape, bool] = {}
    found = []
    for (_, shape, weighs), own, after in zip(layers, said, reversed(ahead), strict=True):
        if own is not None:
            before[shape] = own
        found.append(_form(shape, before.get(shape, after), weighs))
    return found


def _said(module: nn.Module, shape: Shape) -> bool | None:
    """Whether a module has the channels last; ``None`` if its kind does not say."""
    if len(shape) < 3:
        return None
    name = type(module).__name__
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
        return False if len(shape) > 3 else None  # of whole maps
    if name in _UNITS_LAST:
        return True
    if isinstance(module, _CHANNELS_SECOND) or (len(shape) == 3 and "1d" in name):
        return False
    return None


def _form(shape: Shape, last: bool | None, weighs: bool) -> Form:
    if len(shape) < 3:
        return Form("vector")
    if len(shape) == 3:  # nobody says: tokens
        return Form("sequence") if last is False else Form("tokens", True, last is not None)
    if len(shape) == 4:
        return Form("attention") if weighs else Form("map", bool(last))
    return Form("other", bool(last))


def says_itself(module: nn.Module) -> bool:
    """Whether a module's kind says where it has the channels, whatever stands around it."""
    return isinstance(module, (nn.Linear, *_CHANNELS_SECOND))


class FormsSeen:
    """The forms of layers, as seen in the passes inside a block."""

    def __init__(self) -> None:
        self._seen: list[tuple[nn.Module, Shape, bool]] = []
        self._taken: list[tuple[nn.Module, Shape, int]] = []

    @contextlib.contextmanager
    def watching(self, model: Any, layers: Sequence[nn.Module], at_input: bool) -> Iterator[None]:
        """Inside the block, what the model's modules give is noted."""
        if all(map(says_itself, layers)):
            yield
            return
        whole = module_of(model)
        modules = list(whole.modules()) if isinstance(whole, nn.Module) else list(dict.fromkeys(layers))

        def given(module: nn.Module, value: Any) -> Any:
            self._seen += [(module, shape, False) for shape in _shapes(value)]
            return value

        def taken(module: nn.Module, value: Any) -> Any:
            self._taken += [(module, shape, len(self._seen)) for shape in _shapes(value)]
            return value

        with contextlib.ExitStack() as stack:
            stack.enter_context(hooked(modules, False, given))
            if at_input:
                stack.enter_context(hooked(dict.fromkeys(layers), True, taken))
            yield

    def form(self, module: nn.Module, tensor: Tensor, at_input: bool, weighs: bool) -> Form:
        """That of a tensor that a layer gave, or took, with the examples in dimension 0."""
        shape = tuple(tensor.shape)
        known = {(one, other) for one, other, *_ in (self._taken if at_input else self._seen)}
        if (module, shape) not in known and len(shape) > 2:  # time came first
            swapped = (shape[1], shape[0], *shape[2:])
            shape = swapped if (module, swapped) in known else shape
        if at_input:
            places = [place for one, taken, place in self._taken if one is module and taken == shape]
            # What the module itself says of such a shape holds for what it takes, too.
            own = module, shape, weighs
            place = places[-1] if places else len(self._seen)
            return forms_of([*self._seen[:place], own, *self._seen[place:]])[place]
        places = [i for i, (one, given, _) in enumerate(self._seen) if one is module and given == shape]
        if not places:
            return forms_of([(module, shape, weighs)])[0]
        self._seen[places[-1]] = (module, shape, weighs)
        return forms_of(self._seen)[places[-1]]


def _shapes(value: Any) -> list[Shape]:
    return [
        tuple(t.shape)
        for t in tree_leaves(value)
        if isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex())
    ]
