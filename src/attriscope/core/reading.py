"""What passes at layers in one forward pass, read so that gradients with respect to it can be taken."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from attriscope.core.errors import LayerError
from attriscope.core.hooks import Layers, NotRun, hooked
from attriscope.core.pytree import flatten


@dataclasses.dataclass(frozen=True)
class ReadTensor:
    """A tensor that passed at a layer.

    Attributes:
        call: the how manieth call of the layer it was.
        index: the how manieth of the tensors that passed.
        tensor: the tensor, by way of which the model goes on.
        origin: what it was, if the layer's other tensors may be made of it.
    """

    call: int
    index: int
    tensor: Tensor
    origin: Tensor


class Reading:
    """What was read at each layer during one forward pass, call by call.

    Args:
        site: where.
        gradient: gradients with respect to what is read are wanted: only floating point tensors count, and those that
            depend on nothing differentiable are made leaves.
        done: called after each call with what was read so far; it may end the pass by raising something.
        nudged: the place, the position there and the call of a tensor that the model goes on with a little changed.
    """

    def __init__(
        self,
        site: Layers,
        gradient: bool,
        done: Callable[[Reading], None] | None = None,
        nudged: tuple[int, int, int] | None = None,
    ) -> None:
        self.site = site
        self._nudged = nudged
        self.gradient = gradient
        self.calls: dict[nn.Module, list[list[ReadTensor]]] = {module: [] for module in site.modules}
        self._passed = dict.fromkeys(site.modules, 0)  # how many tensors there were in the latest call
        self._done = done
        picks = range(len(site)) if site.tensors and not site.at_input else ()
        self._followed = [site.modules[i] for i in picks if site.tensor(i) is not None]

    def values(self) -> tuple[tuple[Tensor, ...], ...]:
        """For each layer, the tensors of the call that is meant.

        Raises:
            NotRun: a layer did not run, or not so often.
            LayerError: no tensor passed there.
        """
        return tuple([tuple([one.tensor for one in self.read(i)]) for i in range(len(self.site))])

    def read(self, position: int) -> list[ReadTensor]:
        """The same of one layer, with what tells the tensors apart."""
        module = self.site.modules[position]
        calls, index = self.calls[module], self.site.call(position)
        name, wanted = self.site.name(position), self.site.tensor(position)
        if not calls:
            raise NotRun(
                f"the layer {name} did not run in the model's forward pass, so there is nothing to read"
            )
        if index is not None and not -len(calls) <= index < len(calls):
            raise NotRun(
                f"the layer {name} has no call {index}: it ran {len(calls)} time(s) in the forward pass"
            )
        found = calls[index] if index is not None else [one for call in calls for one in call]
        if wanted is not None:
            found = [dataclasses.replace(one, tensor=one.origin) for one in found if one.index == wanted]
        if not found:
            raise LayerError(self._nothing(name, wanted, self._passed[module]))
        return found

    def _nothing(self, name: str, wanted: int | None, passed: int) -> str:
        where = f"at the {self.site.side} of layer {name}"
        if wanted is not None and wanted >= passed:
            return f"there is no tensor {wanted} {where}, where {passed} passed"
        instead = (
            "; explain what the layer gives (attribute_to_layer_input=False), or take a later layer"
            if self.gradient and self.site.at_input
            else ""
        )
        if wanted is not None:
            return (
                f"tensor {wanted} {where} holds no floating point numbers, so there is no gradient{instead}"
            )
        return f"no {'floating point tensor' if self.gradient else 'tensor'} passed {where}{instead}"

    def _record(self, module: nn.Module, value: Any) -> Any:
        """Record the tensors in ``value`` and return an equal value through which the model goes on.

        The model gets copies, so that operations in place on what a layer gave do not reach what was read.
        """
        leaves, unflatten = flatten(value)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self._passed[module] = len(places)
        call = len(self.calls[module])
        read: list[ReadTensor] = []
        floating = 0
        if self.gradient and len(places) > 1 and module in self._followed:
            self._see_inside(module, [leaves[i] for i in places])
        for index, i in enumerate(places):
            leaf = origin = leaves[i]
            if self.gradient and not (leaf.is_floating_point() or leaf.is_complex()):
                continue
            if self.gradient and not leaf.requires_grad:
                leaf = origin = leaf.detach().requires_grad_()
            elif self.gradient and len(places) > 1:
                # One may be made of another (an LSTM's h of its c), or be the same (the inputs of attention): what
                # the rest of the model does with one must not be counted again at another.
                leaf = leaf.view_as(leaf)
            elif self.gradient:
                leaf = origin = _handed_on(leaf)
            read.append(ReadTensor(call, index, leaf, origin))
            handed: Any = nudge(leaf) if self._is_nudged(module, call, index, floating) else leaf.clone()
            leaves[i] = handed
            floating += leaf.is_floating_point() or leaf.is_complex()
            if self.gradient:
                handed._read_as = leaf, handed._version
        self.calls[module].append(read)
        if self._done is not None:
            self._done(self)
        return unflatten(leaves)

    def _see_inside(self, module: nn.Module, tensors: list[Tensor]) -> None:
        """See that what one tensor does by way of the others can be told."""
        if not any(tensor.requires_grad for tensor in tensors):
            name = self.site.name(self.site.modules.index(module))
            raise LayerError(
                f"one tensor of layer {name} was asked for, and what it does inside the layer, by way of the others, "
                "cannot be followed: the layer takes no floating point tensor, and its parameters need no gradient "
                "(requires_grad_())"
            )

    def _is_nudged(self, module: nn.Module, call: int, index: int, floating: int) -> bool:
        """Whether this is the tensor; positions count what a reading for gradients counts."""
        if self._nudged is None:
            return False
        place, position, wanted_call = self._nudged
        wanted = self.site.tensor(place)
        here = floating == position if wanted is None else index == wanted
        return self.site.modules[place] is module and here and call == wanted_call

    @contextlib.contextmanager
    def attached(self) -> Iterator[Reading]:
        """Hooks are on the layers inside the block, and gone after it."""
        with contextlib.ExitStack() as stack:
            if self.gradient and self._followed:
                stack.enter_context(following(*self._followed))
            stack.enter_context(hooked(self.calls, self.site.at_input, self._record))
            yield self


def nudge(tensor: Tensor) -> Tensor:
    """The same, a little nearer to zero, and farther by its own size at each place: within the range that it has."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.numel() == 0:
        return tensor.clone()
    size = tensor.detach().abs().nan_to_num(0.0, 0.0, 0.0).amax()
    ramp = torch.linspace(0.0, 0.01, tensor.numel(), device=tensor.device, dtype=size.dtype)
    return 0.99 * tensor + (torch.where(size > 0, size, torch.ones_like(size)) * ramp).reshape(tensor.shape)


def _handed_on(tensor: Tensor) -> Tensor:
    """What was read where this copy was made, so that a layer is read the same whether those around it are or not."""
    read, version = getattr(tensor, "_read_as", (tensor, None))
    return cast(Tensor, read) if tensor._version == version else tensor


def following(*modules: nn.Module) -> contextlib.AbstractContextManager[None]:
    """What layers do with what goes in can be followed inside the block, whether parameters need gradients or not."""
    return hooked(modules, True, _followable)


@contextlib.contextmanager
def outputs_of(module: nn.Module) -> Iterator[list[list[Tensor]]]:
    """The tensors that a layer gives inside the block, call by call, as they are."""
    calls: list[list[Tensor]] = []

    def note(_: nn.Module, value: Any) -> Any:
        calls.append([leaf for leaf in flatten(value)[0] if isinstance(leaf, Tensor)])
        return value

    with hooked([module], False, note):
        yield calls


def _followable(module: nn.Module, value: Any) -> Any:
    """What goes into a layer, such that all that is made of it needs gradients."""
    leaves, unflatten = flatten(value)
    for i, leaf in enumerate(leaves):
        if not isinstance(leaf, Tensor) or leaf.requires_grad:
            continue
        if leaf.is_floating_point() or leaf.is_complex():
            leaves[i] = leaf.detach().clone().requires_grad_()
    return unflatten(leaves)
