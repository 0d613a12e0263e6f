"""Switching neurons off: what would the model say without them? Public as ``attriscope.switched_off``."""

from __future__ import annotations

import contextlib
import dataclasses
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from attriscope.core.errors import InputError, InputTypeError, LayerError
from attriscope.core.hooks import edited, find_layer
from attriscope.core.inputs import describe

# Gives the neurons that are to be set, as a view of a layer's output.
SelectView = Callable[[Tensor], Tensor]


@contextlib.contextmanager
def switched_off(
    model: nn.Module,
    neurons: Sequence[tuple[str | nn.Module, Any]],
    to: float | Mapping[Any, Tensor] = 0.0,
) -> Iterator[None]:
    """Inside the block, some neurons of a model are silent, in this thread; the model itself is not changed.

    Several blocks may be nested. What a layer gives is replaced in each of its calls; where it gives several tensors,
    in the first.

    Args:
        model: the model.
        neurons: pairs of a layer (a module of the model, or its path) and which of its neurons: an int or a tuple of
            ints and slices, indices of the layer's output after dimension 0, as for the neuron methods; fewer indices
            than dimensions mean all that are left, so ``("conv", 3)`` is the whole of channel 3. Or a function that
            gives the part of the output to set, as a view of it, such as ``lambda output: output[..., :10]``; a part
            without numbers leaves that call alone.
        to: what they are set to: a number (default 0), or for each layer, as it is given in ``neurons``, a tensor that
            broadcasts against its output, such as its activations at a baseline.

    Raises:
        InputTypeError, InputError: ``neurons`` or ``to`` are none of these.
        LayerError: the model has no such layer; or, when it runs, the layer no such neuron.

    Example::

        with attriscope.switched_off(model, [("blocks.9", 5), ("head.conv", (7, slice(None), 0))]):
            model(image)
    """
    settings: dict[nn.Module, list[tuple[SelectView, Any]]] = {}
    for layer, place in _layers_and_selections(neurons):
        settings.setdefault(find_layer(model, layer), []).append((place, _value(to, layer)))
    with edited({module: _setter(some) for module, some in settings.items()}):
        yield


def _value(to: Any, layer: Any) -> Any:
    """What the neurons of a layer are set to."""
    if isinstance(to, Mapping) and layer not in to:
        known = ", ".join(map(describe, to)) or "none"
        raise InputError(f"to has no tensor for layer {describe(layer)}; it has {known}")
    value = to[layer] if isinstance(to, Mapping) else to
    if not isinstance(value, Tensor | numbers.Real):
        where = f" for layer {describe(layer)}" if isinstance(to, Mapping) else ""
        raise InputTypeError(
            f"to must be a number, or a dict of tensors by layer, but {describe(value)} came{where}"
        )
    return value


def _layers_and_selections(neurons: Any) -> Iterator[tuple[Any, SelectView]]:
    if isinstance(neurons, str) or not isinstance(neurons, Sequence):
        raise InputTypeError(f"neurons must be a list of pairs (layer, neuron), but {describe(neurons)} came")
    for pair in neurons:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise InputTypeError(f"neurons must be pairs (layer, neuron), but {describe(pair)} came")
        layer, place = pair
        if callable(place):
            yield layer, place
            continue
        places = tuple(place) if isinstance(place, tuple | list) else (place,)
        for one in places:
            if isinstance(one, bool) or not isinstance(one, numbers.Integral | slice):
                raise InputTypeError(
                    f"a neuron must be an int, a tuple of ints and slices or a function, but {describe(place)} came"
                )
        yield layer, _ByIndices(places)


@dataclasses.dataclass(frozen=True)
class _ByIndices:
    """Neurons by their indices after dimension 0."""

    places: tuple[int | slice, ...]

    def __call__(self, output: Tensor) -> Tensor:
        try:
            return output[(slice(None), *self.places)]
        except IndexError as error:
            raise LayerError(
                f"there is no neuron {', '.join(map(str, self.places))} in an output of shape {tuple(output.shape)}, "
                f"dimension 0 of which counts the examples: {error}"
            ) from error


def _setter(settings: list[tuple[SelectView, Any]]) -> Callable[[Tensor], Tensor]:
    def change(output: Tensor) -> Tensor:
        for select, value in settings:
            place = _view(select, output)
            if not place.numel():
                continue
            if isinstance(value, Tensor):
                try:
                    value = select(value.to(output).expand_as(output))
                except RuntimeError as error:
                    raise InputError(
                        f"what a layer of output {tuple(output.shape)} is set to has shape {tuple(value.shape)}"
                    ) from error
            place[...] = value
        return output

    return change


def _view(select: SelectView, output: Tensor) -> Tensor:
    """The part of the output that is to be set."""
    place = select(output)
    if not isinstance(place, Tensor):
        raise InputTypeError(
            f"a neuron's function must give a part of the output, but {describe(place)} came"
        )
    if place.numel() and place.untyped_storage().data_ptr() != output.untyped_storage().data_ptr():
        raise InputError(
            "a neuron's function gave a copy of the output, not a view of it: setting that would change nothing"
        )
    return place
