"""The map of a model: what it is made of, and what each layer did in one forward pass.

Public as ``attriscope.layers``.
"""

from __future__ import annotations

import dataclasses
import html
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor, nn

from attriscope.core.errors import InputTypeError
from attriscope.core.hooks import module_of
from attriscope.core.inputs import describe
from attriscope.core.passes import one_pass
from attriscope.core.pytree import tree_leaves

Shape = tuple[int, ...]


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
        inputs: the shapes of the tensors that it got in its first call.
        seconds: how long its calls took, its children's included.
        memory: bytes of what its calls gave.
        order: the how manieth module its first call was the end of, counted from 0; ``None`` if it did not run.
        latest: the shape of its (first) output in its last call, which is the one that is explained.
        floating: whether that holds floating point numbers.
        weighs: whether that, of shape (N, heads, queries, keys), is weights of attention: not negative, and each row
            adds up to 1.
        tensors: how many tensors its last call gave.
        same_as: the first layer whose (first) output, as it is in the last call, is this one's: what a container
            gives is what its last child gave, and dropout hands on what it got. ``None`` if it made its own.
        latest_order: as ``order``, of its last call: the how manieth call of a module that was, counted from 0.
    """

    name: str
    kind: str
    depth: int
    parameters: int
    shape: Shape | None
    calls: int
    inputs: tuple[Shape, ...] = ()
    seconds: float = dataclasses.field(default=0.0, compare=False)
    memory: int = 0
    order: int | None = None
    latest: Shape | None = None
    floating: bool = False
    weighs: bool = False
    tensors: int = 0
    same_as: str | None = None
    latest_order: int | None = None

    @property
    def leaf(self) -> str:
        """The last part of its path."""
        return self.name.rpartition(".")[2]


class LayerMap(Sequence[LayerInfo]):
    """The modules of a model, parents before children; prints as a tree, in a notebook as a table.

    Attributes:
        title: the class of the model.
    """

    def __init__(self, layers: Sequence[LayerInfo], title: str) -> None:
        self._layers = list(layers)
        self.title = title

    @overload
    def __getitem__(self, index: int) -> LayerInfo: ...
    @overload
    def __getitem__(self, index: slice) -> list[LayerInfo]: ...
    @overload
    def __getitem__(self, index: str) -> LayerInfo: ...
    def __getitem__(self, index: int | slice | str) -> LayerInfo | list[LayerInfo]:
        """A row by position, or by path.

        Raises:
            KeyError: no layer has this path.
        """
        if isinstance(index, str):
            for layer in self._layers:
                if layer.name == index:
                    return layer
            raise KeyError(index)
        return self._layers[index]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[LayerInfo]:
        return iter(self._layers)

    def __str__(self) -> str:
        rows = [_HEADINGS, *(_row(layer) for layer in self._layers)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
        lines = []
        for row in rows:
            cells = [
                cell.ljust(width) if i in _LEFT else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines.insert(1, "-" * max(map(len, lines)))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        def cells(row: tuple[str, ...], tag: str, style: str = "") -> str:
            made = [
                f'<{tag} style="text-align:{"left" if i in _LEFT else "right"};{style if i == 0 else ""}'
                f'white-space:nowrap">{html.escape(cell.strip())}</{tag}>'
                for i, cell in enumerate(row)
            ]
            return f"<tr>{''.join(made)}</tr>"

        body = [cells(_row(r), "td", f"padding-left:{0.5 + 1.2 * r.depth}em;") for r in self._layers]
        caption = f"{self.title}: {sum(1 for r in self._layers if r.calls)} of {len(self)} modules ran"
        return (
            '<div style="max-height:40em;overflow:auto"><table>'
            f'<caption style="text-align:left">{html.escape(caption)}</caption>'
            f"<thead>{cells(_HEADINGS, 'th')}</thead><tbody>{''.join(body)}</tbody></table></div>"
        )


_HEADINGS = ("layer", "kind", "parameters", "input", "output", "calls", "time", "memory")
_LEFT = (0, 1, 3, 4)


def _row(layer: LayerInfo) -> tuple[str, ...]:
    ran = layer.calls > 0
    return (
        "  " * layer.depth + (layer.leaf or "(model)"),
        layer.kind,
        f"{layer.parameters:,}" if layer.parameters else "",
        ", ".join(map(_size, layer.inputs)),
        "" if layer.shape is None else _size(layer.shape),
        f"{layer.calls}" if ran else "not run",
        f"{1000 * layer.seconds:.2f} ms" if ran else "",
        _bytes(layer.memory) if ran else "",
    )


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


class _Given(NamedTuple):
    """What some module gave: it is not kept alive, and may be changed in place, which ``version`` tells if it can."""

    tensor: weakref.ref[Tensor]
    version: int | None
    number: int


class _Watch:
    """What happened at each module."""

    def __init__(self) -> None:
        self.shapes: dict[nn.Module, Shape | None] = {}
        self.inputs: dict[nn.Module, tuple[Shape, ...]] = {}
        self.calls: dict[nn.Module, int] = {}
        self.seconds: dict[nn.Module, float] = {}
        self.memory: dict[nn.Module, int] = {}
        self.order: dict[nn.Module, int] = {}
        self.latest: dict[nn.Module, tuple[Shape | None, bool, bool, int]] = {}
        self.latest_order: dict[nn.Module, int] = {}
        self.output: dict[nn.Module, int] = {}
        """For each module a number that others have, too, whose last call gave the same."""
        self._given: list[_Given] = []
        self._count = 0
        self._began: list[tuple[nn.Module, float]] = []
        self._ours = threading.get_ident()

    def before(self, module: nn.Module, args: Any, kwargs: Any = None) -> None:
        if threading.get_ident() != self._ours:
            return
        if module not in self.inputs:
            self.inputs[module] = tuple(
                tuple(leaf.shape) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)
            )
        self._began.append((module, time.perf_counter()))

    def after(self, module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != self._ours:
            return
        tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        self._wait(tensors)
        # A call that raised something, which the model then caught, has left its beginning behind.
        while self._began:
            begun, at = self._began.pop()
            if begun is module:
                self.seconds[module] = self.seconds.get(module, 0.0) + time.perf_counter() - at
                break
        self.shapes.setdefault(module, tuple(tensors[0].shape) if tensors else None)
        self.order.setdefault(module, len(self.order))
        self.output[module] = self._number(tensors[0]) if tensors else -1
        self.latest_order[module] = self._count
        self._count += 1
        floating = bool(tensors) and tensors[0].is_floating_point()
        weighs = floating and adds_up_to_one(tensors[0])
        shape = tuple(tensors[0].shape) if tensors else None
        self.latest[module] = (shape, floating, weighs, len(tensors))
        self.calls[module] = self.calls.get(module, 0) + 1
        given = sum(t.numel() * t.element_size() for t in tensors)
        self.memory[module] = self.memory.get(module, 0) + given

    def _number(self, tensor: Tensor) -> int:
        """A number for a tensor as it is, which it keeps for as long as it is only handed on."""
        self._given = [one for one in self._given if one.tensor() is not None]
        version = None if tensor.is_inference() else tensor._version
        for one in self._given:
            if one.tensor() is tensor and one.version == version is not None:
                return one.number
        self._given.append(_Given(weakref.ref(tensor), version, self._count))
        return self._count

    def firsts(self) -> dict[nn.Module, nn.Module]:
        """For each module that gave a tensor, the one that gave it first."""
        first: dict[int, nn.Module] = {}
        for module in sorted(self.output, key=self.latest_order.__getitem__):
            first.setdefault(self.output[module], module)
        return {module: first[number] for module, number in self.output.items() if number >= 0}

    @staticmethod
    def _wait(tensors: list[Tensor]) -> None:
        for device in {t.device for t in tensors if t.is_cuda}:
            torch.cuda.synchronize(
                device
            )  # else a clock would only tell how long it takes to hand the work over


def adds_up_to_one(tensor: Tensor) -> bool:
    """Whether the rows of what may be weights of attention add up to 1, as no row of a feature map does."""
    if tensor.dim() != 4 or tensor.shape[-1] < 2 or not tensor.numel() or tensor.is_meta:
        return False
    rows = tensor.detach()[0].float()
    return bool((rows >= 0).all() and ((rows.sum(-1) - 1).abs() < 1e-2).all())


def map_layers(model: nn.Module, forward: Callable[[], Any]) -> LayerMap:
    """Run ``forward`` once, which must call ``model``, and list the model's modules, parents before children.

    Scripted and traced modules are left out.
    """
    model = module_of(model)
    watch = _Watch()
    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for module in model.modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # takes no hooks with keywords, and runs without Python
            handles.append(module.register_forward_pre_hook(watch.before, with_kwargs=True))
            handles.append(module.register_forward_hook(watch.after))
        with one_pass(model, False):
            forward()
    finally:
        for handle in handles:
            handle.remove()
    firsts = watch.firsts()
    names = {module: name for name, module in model.named_modules()}
    rows = [
        LayerInfo(
            name,
            type(module).__name__,
            name.count(".") + bool(name),
            sum(p.numel() for p in module.parameters()),
            watch.shapes.get(module),
            watch.calls.get(module, 0),
            watch.inputs.get(module, ()),
            watch.seconds.get(module, 0.0),
            watch.memory.get(module, 0),
            watch.order.get(module),
            *watch.latest.get(module, (None, False, False, 0)),
            names[firsts[module]] if firsts.get(module, module) is not module else None,
            watch.latest_order.get(module),
        )
        for name, module in model.named_modules()
        if not isinstance(module, torch.jit.ScriptModule)
    ]
    return LayerMap(rows, type(model).__name__)


def layers(model: nn.Module, *inputs: Any, **named: Any) -> LayerMap:
    """The map of a model: one forward pass, and for every module what it is and what it did.

    Args:
        model: the model.
        *inputs, **named: what to call it with.

    Returns:
        A sequence of :class:`LayerInfo` (path, kind, depth, parameters, shapes of inputs and output, calls, seconds and
        bytes), parents before children. ``found["blocks.3"]`` is a row by its path; in a terminal it prints as a tree,
        in a notebook as a table. Times are those of this one pass, children included; the first pass of a model is
        slower than later ones. Scripted and traced modules, which nothing can look into, are left out.

    Raises:
        InputTypeError: ``model`` is no module.
    """
    if not isinstance(module_of(model), nn.Module):
        raise InputTypeError(f"model must be a torch.nn.Module, but {describe(model)} came")
    return map_layers(model, lambda: model(*inputs, **named))
