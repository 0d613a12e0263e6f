"""All model surgery: reading at layers, and leaving a model as it was found.

Everything here is a context manager that undoes itself on every way out. Hooks act only in the thread that set them,
so a model used elsewhere at the same time runs as if alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from attriscope.core.errors import InputTypeError, LayerError
from attriscope.core.inputs import describe

Layer = nn.Module | str


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


def layer_names(model: Any) -> dict[nn.Module, str]:
    """The path of every module in ``model``; empty if ``model`` is a plain function."""
    model = unwrap(model)
    return {module: name for name, module in model.named_modules()} if isinstance(model, nn.Module) else {}


def find_layer(model: Any, layer: Layer) -> nn.Module:
    """The module meant by ``layer``.

    Args:
        model: the model, or any function (then only modules can be checked against nothing and are taken as they are).
        layer: a module of the model, or its path such as ``"blocks.3.conv"``.

    Raises:
        InputTypeError: ``layer`` is neither a module nor a path.
        LayerError: the model has no such layer.
    """
    model = unwrap(model)
    if isinstance(layer, str):
        if not isinstance(model, nn.Module):
            raise InputTypeError(
                f"layer {layer!r} is a path, but the model is a plain function: pass the module itself"
            )
        modules = dict(model.named_modules(remove_duplicate=False))  # a shared module has several paths
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
    """

    modules: tuple[nn.Module, ...]
    at_input: bool = False
    names: tuple[str, ...] = ()


class Reading:
    """What was read at each layer during one forward pass, call by call."""

    def __init__(self, site: Layers, gradient: bool) -> None:
        self.site = site
        self.gradient = gradient
        self.calls: dict[nn.Module, list[tuple[Tensor, ...]]] = {module: [] for module in site.modules}

    def last(self) -> tuple[tuple[Tensor, ...], ...]:
        """For each layer, the tensors of its last call.

        Raises:
            LayerError: a layer did not run, or no tensor passed there.
        """
        return tuple(self._last(i, module) for i, module in enumerate(self.site.modules))

    def _last(self, position: int, module: nn.Module) -> tuple[Tensor, ...]:
        calls = self.calls[module]
        name = (self.site.names or ("",) * len(self.site.modules))[position] or describe(module)
        if not calls:
            raise LayerError(
                f"the layer {name} did not run in the model's forward pass, so there is nothing to read"
            )
        if not calls[-1]:
            kind = "floating point tensor" if self.gradient else "tensor"
            raise LayerError(
                f"no {kind} passed at the {'input' if self.site.at_input else 'output'} of layer {name}"
            )
        return calls[-1]

    def _tap(self, module: nn.Module, value: Any) -> Any:
        """Record the tensors in ``value`` and return an equal value through which the model goes on.

        The model gets copies, so that operations in place on what a layer gave do not reach what was read.
        """
        leaves, tree = tree_flatten(value)
        read: list[Tensor] = []
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor) or (self.gradient and not leaf.is_floating_point()):
                continue
            if self.gradient and not leaf.requires_grad:
                leaf = leaf.detach().requires_grad_()
            read.append(leaf)
            leaves[i] = leaf.clone()
        self.calls[module].append(tuple(read))
        return tree_unflatten(leaves, tree)

    @contextlib.contextmanager
    def attached(self) -> Iterator[Reading]:
        """Hooks are on the layers inside the block, and gone after it."""
        ours = threading.get_ident()
        handles: list[torch.utils.hooks.RemovableHandle] = []

        def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
            return self._tap(module, (args, kwargs)) if threading.get_ident() == ours else None

        def after(module: nn.Module, args: Any, output: Any) -> Any:
            return self._tap(module, output) if threading.get_ident() == ours else None

        try:
            for module in self.calls:
                if self.site.at_input:
                    handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                else:
                    handles.append(module.register_forward_hook(after))
            yield self
        finally:
            for handle in handles:
                handle.remove()


@contextlib.contextmanager
def grad_mode(gradient: bool) -> Iterator[None]:
    """Gradients on or off, whatever the caller's mode, ``torch.inference_mode`` included."""
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradient))
        yield


@contextlib.contextmanager
def kept_buffers(model: Any) -> Iterator[None]:
    """Buffers that a forward pass changes in training mode (running statistics) are put back afterwards."""
    model = unwrap(model)
    training = isinstance(model, nn.Module) and any(module.training for module in model.modules())
    saved = [
        (module, name, buffer, buffer.detach().clone())
        for module in (model.modules() if training else ())
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, before in saved:
                buffer.copy_(before)
                module._buffers[name] = buffer  # a model may also put a new tensor in its place


@dataclasses.dataclass(frozen=True)
class LayerInfo:
    """One module of a model, as seen in one forward pass.

    Attributes:
        name: its path, ``""`` for the model itself.
        kind: its class name.
        depth: how many modules it lies inside.
        parameters: how many numbers its parameters hold, its children's included.
        shape: the shape of its (first) output in its first call; ``None`` if it did not run or gave no tensor.
        calls: how often it ran.
    """

    name: str
    kind: str
    depth: int
    parameters: int
    shape: tuple[int, ...] | None
    calls: int


def map_layers(model: nn.Module, forward: Callable[[], Any]) -> list[LayerInfo]:
    """Run ``forward`` once, which must call ``model``, and list the model's modules, parents before children."""
    model = unwrap(model)
    shapes: dict[nn.Module, tuple[int, ...] | None] = {}
    calls: dict[nn.Module, int] = {}
    ours = threading.get_ident()

    def seen(module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != ours:
            return
        tensors = [leaf for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor)]
        shapes.setdefault(module, tuple(tensors[0].shape) if tensors else None)
        calls[module] = calls.get(module, 0) + 1

    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        handles.extend(module.register_forward_hook(seen) for module in model.modules())
        with grad_mode(False), kept_buffers(model):
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return [
        LayerInfo(
            name,
            type(module).__name__,
            name.count(".") + bool(name),
            sum(p.numel() for p in module.parameters()),
            shapes.get(module),
            calls.get(module, 0),
        )
        for name, module in model.named_modules()
    ]
