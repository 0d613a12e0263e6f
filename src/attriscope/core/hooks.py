"""All model surgery: reading at layers, and leaving a model as it was found.

Everything here is a context manager that undoes itself on every way out. Hooks act only in the thread that set them,
so a model used elsewhere at the same time runs as if alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from attriscope.core.errors import InputError, InputTypeError, LayerError
from attriscope.core.inputs import describe
from attriscope.core.pytree import flatten


@dataclasses.dataclass(frozen=True)
class Call:
    """A layer that runs several times in one forward pass, and which of its runs is meant.

    Attributes:
        layer: a module of the model, or its path.
        index: 0 for the first call, 1 for the second, -1 (default: what a layer by itself means) for the last;
            ``None`` for all of them, which are then read as so many tensors. Where one call feeds another, what flows
            through both is then found at both.
    """

    layer: nn.Module | str
    index: int | None = -1

    def __post_init__(self) -> None:
        if self.index is not None and (not isinstance(self.index, int) or isinstance(self.index, bool)):
            raise InputTypeError(
                f"the index of a call must be an int or None, but {describe(self.index)} came"
            )


Layer = nn.Module | str | Call


def unwrap(model: Any) -> Any:
    """The module inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile`` wrappers.

    Replicas run in threads of their own and compiled code skips hooks, so neither can be read at a layer.
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(model, nn.Module) and "_orig_mod" in model._modules:
            model = model._modules["_orig_mod"]
        else:
            return model


def module_of(forward: Any) -> Any:
    """The module that ``forward`` runs, as far as that can be told: behind wrappers, or inside a section of a model."""
    while not isinstance(forward, nn.Module):
        if hasattr(forward, "explained_model"):
            forward = forward.explained_model
        elif isinstance(forward, functools.partial):
            forward = forward.func
        elif isinstance(getattr(forward, "__self__", None), nn.Module):  # a bound method
            forward = forward.__self__
        else:
            break
    return unwrap(forward)


def layer_names(model: Any) -> dict[nn.Module, str]:
    """The path of every module in ``model``; empty if ``model`` is a plain function."""
    model = module_of(model)
    return {module: name for name, module in model.named_modules()} if isinstance(model, nn.Module) else {}


def find_layer(model: Any, layer: Layer) -> nn.Module:
    """The module meant by ``layer``.

    Args:
        model: the model, or any function (then only modules can be checked against nothing and are taken as they are).
        layer: a module of the model, its path such as ``"blocks.3.conv"``, or a :class:`Call` of it.

    Raises:
        InputTypeError: ``layer`` is none of these.
        LayerError: the model has no such layer.
    """
    return _find(module_of(model), layer, _paths(module_of(model)))


def _paths(model: Any) -> dict[str, nn.Module]:
    """All modules by all their paths: a shared module has several."""
    return dict(model.named_modules(remove_duplicate=False)) if isinstance(model, nn.Module) else {}


def _find(model: Any, layer: Layer, modules: dict[str, nn.Module]) -> nn.Module:
    layer = layer.layer if isinstance(layer, Call) else layer
    if isinstance(layer, str):
        if not isinstance(model, nn.Module):
            raise InputTypeError(
                f"layer {layer!r} is a path, but the model is a plain function: pass the module itself"
            )
        if layer in modules:
            return modules[layer]
        raise LayerError(f"the model has no layer {layer!r}; {_nearest(layer, [n for n in modules if n])}")
    if not isinstance(layer, nn.Module):
        raise InputTypeError(f"a layer must be a torch.nn.Module or its path, but {describe(layer)} came")
    layer = cast(nn.Module, unwrap(layer))
    if isinstance(model, nn.Module) and layer not in set(model.modules()):
        raise LayerError(
            f"the layer {describe(layer)} is not part of the model {type(model).__name__}; "
            f"{_nearest(type(layer).__name__, [n for n, _ in model.named_modules() if n])}"
        )
    return layer


def _nearest(wanted: str, names: Sequence[str], most: int = 5) -> str:
    import difflib

    if not names:
        return "it has no layers"
    near = difflib.get_close_matches(wanted, names, n=most, cutoff=0.4) or list(names[:most])
    return "its layers are " + ", ".join(map(repr, near)) + (", ..." if len(names) > len(near) else "")


@dataclasses.dataclass(frozen=True)
class Layers:
    """A place where values and gradients are read: the outputs, or the inputs, of some layers.

    Attributes:
        modules: the layers; the same one may come more than once.
        at_input: read what goes into the layers instead of what comes out.
        names: what to call them in messages.
        calls: which call of each is meant, as in :class:`Call`; empty for the last of each.
    """

    modules: tuple[nn.Module, ...]
    at_input: bool = False
    names: tuple[str, ...] = ()
    calls: tuple[int | None, ...] = ()

    def __getitem__(self, position: int) -> Layers:
        """One of the layers alone."""
        cut = slice(position, position + 1)
        return Layers(self.modules[cut], self.at_input, self.names[cut], self.calls[cut])

    def __len__(self) -> int:
        return len(self.modules)

    def name(self, position: int) -> str:
        """What to call a layer in messages."""
        return (self.names[position] if self.names else "") or describe(self.modules[position])

    def call(self, position: int) -> int | None:
        """Which call of a layer is meant."""
        return self.calls[position] if self.calls else -1

    @property
    def side(self) -> str:
        """ "input" or "output"."""
        return "input" if self.at_input else "output"


def resolve_layers(model: Any, layers: Layer | Sequence[Layer], at_input: bool = False) -> Layers:
    """The place that a user means by a layer, or by a list of them.

    Raises:
        InputError: the list is empty.
        InputTypeError, LayerError: as for :func:`find_layer`.
    """
    given = layers if isinstance(layers, list) else [cast(Layer, layers)]
    if not given:
        raise InputError("the list of layers is empty")
    whole = module_of(model)
    paths = _paths(whole)  # once: there may be thousands of layers
    modules = tuple(_find(whole, layer, paths) for layer in given)
    names = layer_names(model)
    return Layers(
        modules,
        at_input,
        tuple(repr(names[m]) if m in names else "" for m in modules),
        tuple(layer.index if isinstance(layer, Call) else -1 for layer in given),
    )


class NotRun(LayerError):
    """A layer, or the call of it that was meant, did not happen."""


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
        self.calls: dict[nn.Module, list[tuple[Tensor, ...]]] = {module: [] for module in site.modules}
        self._done = done

    def values(self) -> tuple[tuple[Tensor, ...], ...]:
        """For each layer, the tensors of the call that is meant.

        Raises:
            NotRun: a layer did not run, or not so often.
            LayerError: no tensor passed there.
        """
        return tuple(self._values(i, module) for i, module in enumerate(self.site.modules))

    def _values(self, position: int, module: nn.Module) -> tuple[Tensor, ...]:
        calls, index = self.calls[module], self.site.call(position)
        name = self.site.name(position)
        if not calls:
            raise NotRun(
                f"the layer {name} did not run in the model's forward pass, so there is nothing to read"
            )
        if index is not None and not -len(calls) <= index < len(calls):
            raise NotRun(
                f"the layer {name} has no call {index}: it ran {len(calls)} time(s) in the forward pass"
            )
        found = calls[index] if index is not None else tuple(tensor for call in calls for tensor in call)
        if not found:
            kind = "floating point tensor" if self.gradient else "tensor"
            instead = (
                "; explain what the layer gives (attribute_to_layer_input=False), or take a later layer"
                if self.gradient and self.site.at_input
                else ""
            )
            raise LayerError(f"no {kind} passed at the {self.site.side} of layer {name}{instead}")
        return found

    def _record(self, module: nn.Module, value: Any) -> Any:
        """Record the tensors in ``value`` and return an equal value through which the model goes on.

        The model gets copies, so that operations in place on what a layer gave do not reach what was read.
        """
        leaves, unflatten = flatten(value)
        several = sum(isinstance(leaf, Tensor) for leaf in leaves) > 1
        read: list[Tensor] = []
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor) or (self.gradient and not leaf.is_floating_point()):
                continue
            if self.gradient and not leaf.requires_grad:
                leaf = leaf.detach().requires_grad_()
            elif self.gradient and several:
                # One may be made of another (an LSTM's h of its c), or be the same (the inputs of attention): what
                # the rest of the model does with one must not be counted again at another.
                leaf = leaf.view_as(leaf)
            elif self.gradient:
                leaf = _handed_on(leaf)
            read.append(leaf)
            leaves[i] = handed = nudge(leaf) if self._is_nudged(module, len(read) - 1) else leaf.clone()
            if self.gradient:
                handed._read_as = leaf, handed._version  # type: ignore[attr-defined]
        self.calls[module].append(tuple(read))
        if self._done is not None:
            self._done(self)
        return unflatten(leaves)

    def _is_nudged(self, module: nn.Module, position: int) -> bool:
        if self._nudged is None:
            return False
        place, wanted, call = self._nudged
        now = len(self.calls[module])
        return self.site.modules[place] is module and (position, now) == (wanted, call)

    @contextlib.contextmanager
    def attached(self) -> Iterator[Reading]:
        """Hooks are on the layers inside the block, and gone after it."""
        with hooked(self.calls, self.site.at_input, self._record):
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


@contextlib.contextmanager
def hooked(
    modules: Iterable[nn.Module], at_input: bool, change: Callable[[nn.Module, Any], Any], first: bool = False
) -> Iterator[None]:
    """What passes at some layers in this thread goes through ``change(module, value)`` inside the block.

    The value is the layer's output, or the pair of its positional and keyword arguments. With ``first`` that is before
    any other hook sees it.
    """
    ours = threading.get_ident()
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
        return change(module, (args, kwargs)) if threading.get_ident() == ours else None

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        return change(module, output) if threading.get_ident() == ours else None

    try:
        for module in modules:
            if at_input:
                handles.append(module.register_forward_pre_hook(before, prepend=first, with_kwargs=True))
            else:
                handles.append(module.register_forward_hook(after, prepend=first))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def edited(edits: Mapping[nn.Module, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """The first tensor that each of these layers gives, in each call in this thread, is replaced inside the block.

    An edit gets a contiguous copy of the tensor, which it may change, and returns what the model goes on with.
    """

    def change(module: nn.Module, output: Any) -> Any:
        leaves, unflatten = flatten(output)
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                leaves[i] = edits[module](leaf.clone(memory_format=torch.contiguous_format))
                break
        return unflatten(leaves)

    with hooked(edits, False, change):
        yield


def layers_that_run(model: Any, forward: Callable[[], Any]) -> list[str]:
    """The paths of the layers that run when ``forward`` is called, in order of their first call."""
    names, seen = layer_names(model), dict[str, None]()

    def note(module: nn.Module, value: Any) -> None:
        seen.setdefault(names[module])

    with hooked(names, True, note), contextlib.suppress(Exception):
        forward()
    return [name for name in seen if name]


def not_run(error: NotRun, model: Any, forward: Callable[[], Any], most: int = 8) -> LayerError:
    """The same complaint, with the layers that did run."""
    ran = layers_that_run(model, forward)
    if not ran or "did not run" not in str(error):
        return error
    listed = ", ".join(map(repr, ran[:most])) + (f", ... ({len(ran)} in all)" if len(ran) > most else "")
    return LayerError(f"{error}; the layers that ran are {listed}")
