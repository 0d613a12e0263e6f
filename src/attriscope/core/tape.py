"""Writes down what a forward pass computes, operation by operation, below autograd.

At that level every spelling is the same operation: module, function, tensor method, in place, the parts of
``nn.MultiheadAttention`` or an LSTM. The model is not touched, and other threads are not seen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attriscope.core.errors import OperationError
from attriscope.core.view_writes import ViewWrite


@functools.lru_cache(maxsize=4096)
def operation_of(node_name: str) -> str:
    """The operation a graph node belongs to: ``"Relu"`` for ``"ReluBackward0"``."""
    name = node_name.rsplit("::", 1)[-1]
    return re.sub(r"Backward\d*$", "", name)


def key_of(node: Any) -> Any:
    """What a table of rules calls a node's operation: a name, or the user's own class of ``autograd.Function``."""
    own = getattr(node, "_forward_cls", None)
    if own is None:
        return operation_of(node.name())
    made = "GeneratedBackwardFor_"  # of an operator with torch.library.register_autograd
    return own.__name__.removeprefix(made) if own.__name__.startswith(made) else own


@functools.lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Names of graph nodes and of operators, made alike: ``Softmax`` and ``_softmax`` both give ``softmax``."""
    return name.replace("_", "").lower()


@functools.lru_cache(maxsize=4096)
def _operator(function: Any) -> str:
    return plain(function._schema.name.split("::")[-1])


@functools.lru_cache(maxsize=4096)
def _written(function: Any) -> tuple[int, ...]:
    """Positions of the arguments that the operator writes into."""
    if not function._schema.is_mutable:
        return ()
    return tuple(
        i
        for i, a in enumerate(function._schema.arguments)
        if a.alias_info is not None and a.alias_info.is_write
    )


@functools.lru_cache(maxsize=4096)
def _random(function: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in function.tags


KEEPS = {
    "all": "every tensor",
    "numbers": "no tensor",
    "constants": "tensors that autograd does not follow",
    "factors": "every tensor if two of them are activations, else constants",
    "products": "every tensor unless what is multiplied with is a parameter or a number",
    "shifts": "every tensor if one operand is a number, all one number or a maximum, else nothing",
    "statistics": "every tensor if a flag asks for the input's own statistics or two are activations, else constants",
    "masked": "every tensor if one is the outcome of a comparison of activations, else nothing",
}


class Record:
    """One call of an operation in a forward pass.

    Attributes:
        function: the operator, to be called again if need be.
        arguments: its arguments by name; tensors are detached and hold the values from before the call. ``None``
            stands where a tensor was not kept.
        outputs: the tensors it gave; empty if they were not kept.
    """

    __slots__ = ("arguments", "function", "outputs")

    def __init__(self, function: Any, arguments: dict[str, Any], outputs: list[Tensor | None]) -> None:
        self.function = function
        self.arguments = arguments
        self.outputs = outputs


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in an argument."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)


def is_parameter(tensor: Tensor) -> bool:
    """A leaf that requires gradients, or a view of one."""
    root = tensor if tensor._base is None else tensor._base
    return isinstance(root, torch.nn.Parameter) or (root.is_leaf and root.requires_grad)


class Tape(TorchDispatchMode):
    """Records the wanted calls of this thread inside its ``with`` block.

    Args:
        keeps: what to keep of a call to an operation, by its plain name; see :data:`KEEPS`.
        deterministic: refuse random numbers: two passes are to be compared.
    """

    def __init__(self, keeps: Callable[[str], str | None], *, deterministic: bool = False) -> None:
        super().__init__()
        self._keeps = keeps
        self._deterministic = deterministic
        self._pending: tuple[Any, Any, Record | None] | None = None
        # For each storage, where its values are kept: written down before something overwrites them.
        self._kept: dict[int, list[tuple[Any, Any]]] = {}
        self._masks: dict[int, Tensor] = {}
        # Where shifts are kept: maxima, and what views and picks make of them; storages of one number everywhere.
        self._maxima: dict[int, Tensor] | None = {} if keeps("sub") == "shifts" else None
        self._uniform: dict[int, Tensor] = {}
        self.records: list[Record] = []
        self.of_node: dict[Any, Record] = {}
        self.into_view: dict[Any, ViewWrite] = {}

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._match_pending()
        self._kept.clear()
        self._masks.clear()
        self._maxima = None
        self._uniform.clear()

    def forget(self) -> None:
        """Let go of everything that was written down."""
        self.records.clear()
        self.of_node.clear()
        self.into_view.clear()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._match_pending()
        kwargs = kwargs or {}
        if self._deterministic and _random(function):
            self._refuse_random(function, args, kwargs)
        name = _operator(function)
        keep = self._keeps(name) if function.namespace == "aten" else "all"
        if name in _COMPARISONS or (name in _MASK_STEPS and args and id(args[0]) in self._masks):
            output = function(*args, **kwargs)
            if name in _MASK_STEPS or any(t.requires_grad for t in tensors_in(args)):
                self._masks[id(output)] = output
            return output
        shift = keep == "shifts"
        keep = self._resolved(keep, args)
        record = None
        if keep is not None:
            given = self._as_numbers(args) if shift else args
            record = Record(function, _arguments(function, given, kwargs, keep), [])
        for position in _written(function):
            if position < len(args):
                for tensor in tensors_in(args[position]):
                    self._save(tensor)
                    self._uniform.pop(_storage(tensor), None)
        if record is not None:
            written = {function._schema.arguments[i].name for i in _written(function)}
            self._watch(record.arguments, written)
        output = function(*args, **kwargs)
        if record is not None and keep == "all":
            record.outputs.extend(
                o.detach() if isinstance(o, Tensor) else None
                for o in (output if isinstance(output, tuple | list) else (output,))
            )
            self._watch(record.outputs, ())
        if self._maxima is not None:
            self._note_shift(name, args, output)
        self._pending = function, output, record
        return output

    def _as_numbers(self, args: Any) -> Any:
        """With one number in the place of a tensor that holds nothing else."""
        return tuple(a.flatten()[0] if self._is_uniform(a) and a.numel() else a for a in args)

    def _is_uniform(self, value: Any) -> bool:
        return isinstance(value, Tensor) and bool(self._uniform) and _storage(value) in self._uniform

    def _note_shift(self, name: str, args: Any, output: Any) -> None:
        maxima = self._maxima or {}
        if name in _MAXIMA or (name in _MAXIMUM_STEPS and args and id(args[0]) in maxima):
            self._maxima = maxima
            maxima.update((id(t), t) for t in tensors_in(output))
        elif name in _UNIFORM and output.numel():
            self._uniform[_storage(output)] = output

    def _resolved(self, keep: str | None, args: Any) -> str | None:
        if keep == "shifts":
            maxima = self._maxima or {}
            shifted = any(
                not isinstance(t, Tensor) or not t.dim() or id(t) in maxima or self._is_uniform(t)
                for t in args[:2]
            )
            return "all" if shifted else None
        if keep == "masked":
            return "all" if any(id(t) in self._masks for t in tensors_in(args)) else None
        if keep == "statistics":
            several = any(a is True for a in args) or _activations(args) > 1
            return "all" if several else "constants"
        if keep == "factors":
            return "all" if _activations(args) > 1 else "constants"
        if keep == "products":
            others = [t for t in tensors_in(args) if t.dim() and not is_parameter(t)]
            return "all" if len(others) > 1 else "constants"
        return keep

    def _match_pending(self) -> None:
        """Autograd has by now given the latest output its graph node."""
        if self._pending is None:
            return
        function, output, record = self._pending
        self._pending = None
        first = next((t for t in tensors_in(output) if t.requires_grad), None)
        if first is None:
            return
        into_view = first._base is not None and _written(function)
        # The view itself must not be asked: torch may be at work on its node, and waits for us.
        node = first._base.grad_fn if into_view else first.grad_fn  # type: ignore[union-attr]
        if into_view:
            # Writing into a view gives the base a node that hides what was written: remember it. A node that is known
            # is that of an earlier write: this one was without gradients.
            if node is None or node in self.into_view:
                return
            self.into_view[node] = ViewWrite.of(function, first)
            if record is None:
                return
        elif node is None:
            return
        elif isinstance(node, torch.autograd.function.BackwardCFunction):
            # A user's own function: what it saved, and what it gave, is all there is to know.
            saved = {f"saved_{i}": t.detach() for i, t in enumerate(node.saved_tensors) if t is not None}
            record = Record(type(node), saved, [o.detach() for o in tensors_in(output)])
            self._watch(record.arguments, ())
            self._watch(record.outputs, ())
        elif record is None or not _same_operation(node, function):
            return
        self.records.append(record)
        self.of_node[node] = record

    def _watch(self, slots: Any, written: Any) -> None:
        for key, value in list(slots.items() if isinstance(slots, dict) else enumerate(slots)):
            if isinstance(value, Tensor):
                if key in written:
                    slots[key] = value.clone()
                else:
                    self._kept.setdefault(value.untyped_storage().data_ptr(), []).append((slots, key))
            elif isinstance(value, list):
                self._watch(value, ())

    def _save(self, tensor: Tensor) -> None:
        for slots, key in self._kept.pop(tensor.untyped_storage().data_ptr(), ()):
            slots[key] = slots[key].clone()

    def _refuse_random(self, function: Any, args: Any, kwargs: Any) -> None:
        given = _arguments(function, args, kwargs, "numbers")
        made = _written(function) and is_parameter(args[0])  # a module, in the forward pass
        if made or given.get("generator") is not None:
            return
        chance = next((given[n] for n in ("dropout_p", "dropout", "train", "training") if n in given), True)
        if chance:
            raise OperationError(
                f"{function} draws random numbers, so the passes for the input and for the baseline cannot be "
                "compared: call model.eval() first. A model that draws in evaluation mode, too, must get its numbers "
                "as an argument, or from a generator that it seeds anew in each pass"
            )


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _same_operation(node: Any, function: Any) -> bool:
    # A call made without gradients, e.g. inside another operation, may find the node of an earlier one.
    name, operator = plain(operation_of(node.name())), _operator(function)
    return operator.startswith(name) or (function.namespace != "aten" and operator in name)


def _activations(args: Any) -> int:
    return sum(t.requires_grad and not is_parameter(t) for t in tensors_in(args))


_COMPARISONS = frozenset({"gt", "ge", "lt", "le"})
_MASK_STEPS = frozenset({"tocopy", "logicalnot", "bitwisenot"})

_MAXIMA = frozenset({"max", "amax", "scatterreduce", "segmentreduce"})
_UNIFORM = frozenset(
    {"oneslike", "zeroslike", "fulllike", "ones", "zeros", "full", "newones", "newzeros", "newfull"}
)
_MAXIMUM_STEPS = frozenset({
    "detach", "alias", "clone", "tocopy", "view", "unsafeview", "reshape", "unsqueeze",
    "squeeze", "expand", "transpose", "t", "permute", "slice", "select", "indexselect",
    "gather", "index", "clamp", "clampmin", "nantonum", "maskedfill", "where",
})  # fmt: skip


def _arguments(function: Any, args: Any, kwargs: Any, keep: str) -> dict[str, Any]:
    schema = function._schema.arguments
    given = dict(zip((a.name for a in schema), args, strict=False)) | kwargs
    return {a.name: _kept(given[a.name], keep) if a.name in given else a.default_value for a in schema}


def _kept(value: Any, keep: str) -> Any:
    if isinstance(value, Tensor):
        drop = keep == "numbers" or (keep == "constants" and value.requires_grad)
        return None if drop else value.detach()
    return [_kept(v, keep) for v in value] if isinstance(value, list | tuple) else value
