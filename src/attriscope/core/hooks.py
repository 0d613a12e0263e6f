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
from attriscope.core.scripted import refuse_scripted


@dataclasses.dataclass(frozen=True)
class Call:
    """What of a layer is meant, where the layer by itself does not say it.

    Examples::

        Call("cell", 0)  # the first of its calls in one forward pass
        Call("lstm", tensor=0)  # the output alone, without the states
        Call("encoder", tensor=0, examples=1)  # its dimension 1 counts the examples

    Attributes:
        layer: a module of the model, or its path.
        index: 0 for the first call, 1 for the second, -1 (default: what a layer by itself means) for the last;
            ``None`` for all of them, which are then read as so many tensors. Where one call feeds another, what flows
            through both is then found at both.
        tensor: which of the tensors that pass there, counted from 0 in the order in which
            :class:`LayerActivation` gives them; ``None`` (default) for all. Of all, each counts for what happens to it
            after the layer, so that their attributions add up; one alone counts for all that it does, by way of the
            layer's other tensors, too, such as weights of attention for the context that is made with them.
        examples: which dimension counts the examples, each perhaps several times in a row; ``None`` (default) finds it
            out, where it is not plain, by passes with one and two examples.
    """

    layer: nn.Module | str
    index: int | None = -1
    tensor: int | None = None
    examples: int | None = None

    def __post_init__(self) -> None:
        meanings = {"index": "index of a call", "tensor": "tensor", "examples": "dimension of the examples"}
        for name, meaning in meanings.items():
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise InputTypeError(f"the {meaning} must be an int or None, but {describe(value)} came")
        if self.tensor is not None and self.tensor < 0:
            raise InputError(f"tensors of a layer are counted from 0, but {self.tensor} came")


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
            if isinstance(modules[layer], torch.jit.ScriptModule):
                refuse_scripted(model, modules[layer])
            return modules[layer]
        raise LayerError(f"the model has no layer {layer!r}; {_nearest(layer, [n for n in modules if n])}")
    if not isinstance(layer, nn.Module):
        raise InputTypeError(f"a layer must be a torch.nn.Module or its path, but {describe(layer)} came")
    layer = cast(nn.Module, unwrap(layer))
    if isinstance(layer, torch.jit.ScriptModule):
        refuse_scripted(model, layer)
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
        tensors: which tensor of each, as in :class:`Call`; empty for all of each.
        dimensions: which dimension counts the examples, as in :class:`Call`; empty where it was not said.
        as_it_is: what passes is handed on as it is, wherever the examples are; else with these in dimension 0.
        found: where the examples are, as far as it was found out (:mod:`attriscope.core.arrangement`).
    """

    modules: tuple[nn.Module, ...]
    at_input: bool = False
    names: tuple[str, ...] = ()
    calls: tuple[int | None, ...] = ()
    tensors: tuple[int | None, ...] = ()
    dimensions: tuple[int | None, ...] = ()
    as_it_is: bool = False
    found: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __getitem__(self, position: int) -> Layers:
        """One of the layers alone."""
        return self.only([position])

    def only(self, positions: Sequence[int]) -> Layers:
        """Some of the layers."""
        return dataclasses.replace(
            self,
            modules=_some(self.modules, positions),
            names=_some(self.names, positions),
            calls=_some(self.calls, positions),
            tensors=_some(self.tensors, positions),
            dimensions=_some(self.dimensions, positions),
        )

    def __len__(self) -> int:
        return len(self.modules)

    def name(self, position: int) -> str:
        """What to call a layer in messages."""
        return (self.names[position] if self.names else "") or describe(self.modules[position])

    def call(self, position: int) -> int | None:
        """Which call of a layer is meant."""
        return self.calls[position] if self.calls else -1

    def tensor(self, position: int) -> int | None:
        """Which tensor of a layer is meant."""
        return self.tensors[position] if self.tensors else None

    def examples(self, position: int) -> int | None:
        """Which dimension was said to count the examples."""
        return self.dimensions[position] if self.dimensions else None

    @property
    def place(self) -> Any:
        """What tells it from others, without keeping its layers alive."""
        return tuple(map(id, self.modules)), self.at_input, self.calls, self.tensors

    @property
    def side(self) -> str:
        """ "input" or "output"."""
        return "input" if self.at_input else "output"


def _some(values: tuple[Any, ...], positions: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[i] for i in positions) if values else ()


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
        tuple(layer.tensor if isinstance(layer, Call) else None for layer in given),
        tuple(layer.examples if isinstance(layer, Call) else None for layer in given),
    )


class NotRun(LayerError):
    """A layer, or the call of it that was meant, did not happen."""


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

    # Another thread may come by while the hook is being registered, and call it without keywords.
    def before(module: nn.Module, args: Any, kwargs: Any = None) -> Any:
        return change(module, (args, kwargs)) if threading.get_ident() == ours else None

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        return change(module, output) if threading.get_ident() == ours else None

    try:
        for module in modules:
            if isinstance(module, torch.jit.ScriptModule) and not isinstance(
                module, torch.jit._trace.TracedModule
            ):
                continue  # takes no hooks; as a layer it is refused by name
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
