"""Backward passes by rules of their own.

How: the forward pass runs as ever and autograd builds its graph. A :class:`~attriscope.core.tape.Tape` writes down the
values that rules need; hooks on the nodes of that graph then replace what autograd passes on. Tape and hooks belong to
one pass and one thread, so the model stays untouched and nothing has to be undone on it.

Why not hooks on modules: they miss functions, tensor methods and modules that run twice. Why not replacing functions
(``TorchFunctionMode``): fused ones (attention, LSTM) arrive as one call, and results written in place must be put back
by hand. In autograd's graph every spelling has become the same node, and what is unknown there has a name to refuse.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules._functions import BackwardHookFunction

from attriscope.core.errors import AnotherWayError, OperationError
from attriscope.core.graph import nodes_between, sources
from attriscope.core.half_precision import fitted, precision, widened
from attriscope.core.propagation_errors import FUSED, another_way, refusal, shapes
from attriscope.core.tape import Record, Tape, key_of, plain, tensors_in
from attriscope.core.view_writes import ViewWrite
from attriscope.core.way import Reading, Way

Passed = tuple[Tensor | None, ...]
Apply = Callable[["Step", Passed, Passed], Sequence[Tensor | None]]


@dataclasses.dataclass(frozen=True)
class Step:
    """One operation of the forward pass, as a rule sees it.

    Attributes:
        operation: its name in autograd's graph, ``"Relu"`` for ``ReluBackward0``.
        function: the operator, to be called again if need be.
        arguments: its arguments by name. Of a ``torch.autograd.Function``, the tensors it saved.
        outputs: what it gave.
        needs: for each input that autograd knows, in order, whether something has to be passed to it.
        sources: for each of these, the operation it comes from, looked up through views and factors.
        eps: differences below this are taken for none.
        reference: the same operation in the pass for the baseline; ``None`` for methods without one.
        propagation: what runs the rules.
        precision: the distance from 1 to the next number in the type of the first output, as it came.
    """

    operation: str
    function: Any
    arguments: dict[str, Any]
    outputs: tuple[Tensor, ...]
    needs: tuple[bool, ...]
    sources: tuple[str, ...]
    eps: float
    reference: Step | None
    propagation: Propagation
    precision: float = 0.0

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors among the arguments, in order."""
        return tuple(tensors_in(list(self.arguments.values())))

    @property
    def before(self) -> Step:
        """The reference, where there is one."""
        assert self.reference is not None
        return self.reference


@dataclasses.dataclass(frozen=True)
class Rule:
    """What is passed back through an operation.

    Attributes:
        apply: ``apply(step, gradients, incoming)`` gets what autograd would pass to each input (``None`` where nothing
            is needed) and what arrived at each output, and returns what to pass to each input. ``None``: autograd's.
        keep: which values of the forward pass it wants, one of :data:`~attriscope.core.tape.KEEPS`.
        sources: it wants :attr:`Step.sources`.
        several: it is only for where two or more inputs lead to what is read; else autograd's gradient is right.
    """

    apply: Apply | None = None
    keep: str | None = "all"
    sources: bool = False
    several: bool = False

    def __repr__(self) -> str:
        return "autograd's own" if self.apply is None else getattr(self.apply, "__name__", repr(self.apply))


class Rules(dict[Any, Rule]):
    """A method's rules: for each operation its rule.

    A key is the name of an operation in autograd's graph (``"Relu"`` for ``ReluBackward0``; error messages say it), or
    a class derived from ``torch.autograd.Function``, or the full name of one (``"package.module.Class"``). A plain
    function is taken for ``Rule(apply=function)``.
    """

    def __init__(self, *tables: dict[Any, Any], others: str = "refuse") -> None:
        super().__init__()
        self.others = others
        for table in tables:
            for key, rule in table.items():
                self[key] = rule

    def __setitem__(self, key: Any, rule: Any) -> None:
        super().__setitem__(key, rule if isinstance(rule, Rule) else Rule(rule))

    def extended(self, more: dict[Any, Any] | None) -> Rules:
        """These rules and some more."""
        if not more:
            return self
        rules = Rules(others=self.others)
        rules.update(self)
        for key, rule in more.items():
            rules[key] = rule
        return rules


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a method propagates: what :class:`~attriscope.core.subject.Subject` needs to know.

    Attributes:
        rules: the table.
        paired: rows come with baselines, which go through the model first.
        eps: see :attr:`Step.eps`.
        method: its name, for messages.
        around: a context in which the explained pass runs; called anew each time.
        report: called with a line for each rule that is put to work.
        reading: reads the graph first. Where it has hooks, these go in the place of rules (``None``: autograd's own).
        own: the rules that are the method's own, for ``reading``.
    """

    rules: Rules
    paired: bool = False
    eps: float = 1e-10
    method: str = "this method"
    around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    report: Callable[[str], None] | None = None
    reading: Callable[[Way], Reading] | None = None
    own: dict[Any, Rule] = dataclasses.field(default_factory=dict)

    def split(self, rows: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The rows that are explained and their baselines."""
        half = len(rows) // 2 if self.paired else len(rows)
        return rows[:half], rows[half:]


class Propagation:
    """One backward pass by rules; made anew for each."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        keeps = {plain(key): rule.keep for key, rule in scheme.rules.items() if isinstance(key, str)}
        # Operators of which a graph node has a shorter name.
        for name in ("logsigmoid", "cdist", "pdist", "nllloss", "nllloss2d"):
            keeps[f"{name}forward"] = keeps.get(name)
        self._records = any(keeps.values())
        self._keeps = keeps.get
        self._tape = self._new_tape()
        self._reference: list[Record] = []
        self.partial = False
        self._outer: dict[int, str] = {}

    def _new_tape(self) -> Tape:
        return Tape(self._keeps, deterministic=self.scheme.paired)

    @contextlib.contextmanager
    def reference(self) -> Iterator[None]:
        """The pass for the baselines runs in the block."""
        with self._new_tape() as tape:
            yield
        self._reference = tape.records

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """The pass for the inputs runs in the block."""
        with self._tape, self.scheme.around():
            yield

    def attach(self, ends: Iterable[Tensor], starts: Iterable[Tensor], partial: bool = False) -> None:
        """Put the rules between ``ends``, where the backward pass begins, and ``starts``, where it is read.

        Args:
            ends, starts: tensors of the explained pass.
            partial: what ends depend on is more than starts, as at a layer with others beside it.

        Raises:
            OperationError: an operation on the way has no rule; the two passes differ.
        """
        self.partial = partial
        try:
            self._attach(ends, starts)
        finally:
            # Nodes hold hooks and hooks hold this: without nodes here, all of it goes when the graph goes.
            self._tape.forget()
            self._reference = []

    def _attach(self, ends: Iterable[Tensor], starts: Iterable[Tensor]) -> None:
        ends, starts = list(ends), list(starts)
        found = [(node, needs, self._rule(node)) for node, needs in nodes_between(ends, starts)]
        records, in_views = self._pairs(), self._names_in_views()
        reading = self._read(found, (*ends, *starts))
        for node, needs, rule in found:
            if reading is not None and node in reading.hooks:
                hook = reading.hooks[node]
                if hook is not None:
                    node.register_hook(hook)
                continue
            if rule is None or rule.apply is None or (rule.several and sum(needs) < 2):
                continue
            key, write = in_views.get(node) or key_of(node), self._tape.into_view.get(node)
            pair = records.get(node)
            if pair is None and rule.keep not in (None, "masked"):
                raise OperationError(
                    f"{self.scheme.method}: the values of {key} were not seen in the forward pass. Does it run in "
                    "another thread, or was part of the graph made before the call?"
                )
            if (pair is None and rule.keep == "masked") or _nothing_differs(rule, pair, needs):
                continue
            if self.scheme.report is not None:
                self.scheme.report(
                    f"Applied {rule} on operation {key if isinstance(key, str) else key.__name__}"
                )
            origins = (
                ()
                if not rule.sources
                else sources(node, in_views)
                if reading is None
                else reading.sources(node)
            )
            hook = _Hook(rule.apply, str(key), pair, needs, origins, self)
            node.register_hook(hook if write is None else _HookInView(hook, write))

    def _read(self, found: list[tuple[Any, tuple[bool, ...], Rule | None]], marks: Any) -> Reading | None:
        scheme = self.scheme
        if scheme.reading is None:
            return None
        keys = [(node, key_of(node), needs, rule) for node, needs, rule in found]
        nodes = [
            (node, key if isinstance(key, str) and rule is scheme.own.get(key) else "", needs)
            for node, key, needs, rule in keys
        ]
        starts = frozenset(t.grad_fn for t in marks if t.grad_fn is not None)
        return scheme.reading(Way(nodes, self._tape.of_node, starts, self._outer))

    def _rule(self, node: Any) -> Rule | None:
        key, rules = key_of(node), self.scheme.rules
        rule = self._into_view(node) if key == "CopySlices" else rules.get(key)
        if rule is None and isinstance(key, type):  # of a package that need not be there
            rule = rules.get(f"{key.__module__}.{key.__qualname__}")
        own = isinstance(node, torch.autograd.function.BackwardCFunction)
        if key is BackwardHookFunction:
            return Rule(None, None)  # stands where a module has backward hooks, and does nothing
        if rule is None and (rules.others == "refuse" or own or key in FUSED):
            raise OperationError(refusal(key, self.scheme.method))
        return rule

    def _pairs(self) -> dict[Any, tuple[Record, Record | None]]:
        here, there = self._tape.records, self._reference
        if not self.scheme.paired:
            return {node: (record, None) for node, record in self._tape.of_node.items()}
        for one, other in zip(here, there, strict=False):
            if one.function != other.function or shapes(one) != shapes(other):
                raise AnotherWayError(another_way(self.scheme.method, one, other))
        if len(here) != len(there):
            longer = here if len(here) > len(there) else there
            raise AnotherWayError(another_way(self.scheme.method, longer[min(len(here), len(there))], None))
        twin = {id(one): other for one, other in zip(here, there, strict=True)}
        return {node: (record, twin[id(record)]) for node, record in self._tape.of_node.items()}

    def _into_view(self, node: Any) -> Rule | None:
        """The rule of what ``CopySlices`` hides."""
        write, rules = self._tape.into_view.get(node), self.scheme.rules
        key = None if write is None else self._key_in_view(write)
        rule = None if key is None else rules.get(key)
        if write is None or (rule is None and rules.others == "refuse"):
            done = "an operation" if write is None else str(write.function)
            raise OperationError(
                f"{self.scheme.method} has no rule for {done}, which writes in place into a part of a tensor. Compute "
                "the part first and assign it, as in h[:, 0] = f(h[:, 0])"
            )
        if rule is not None and rule.apply is not None and write.conjugated:
            raise OperationError(
                f"{self.scheme.method}: {write.function} writes in place into the conjugate of a tensor; write it out "
                "of place"
            )
        return rule if rule is not None else Rule(None, None)

    def _key_in_view(self, write: ViewWrite) -> str | None:
        """What the table calls the operation: its node in the graph, which is hidden, would be called so."""
        return self._by_plain_name.get(plain(write.function._schema.name.split("::")[-1]))

    def _names_in_views(self) -> dict[Any, str]:
        found = {node: self._key_in_view(write) for node, write in self._tape.into_view.items()}
        return {node: key for node, key in found.items() if key is not None}

    @functools.cached_property
    def _by_plain_name(self) -> dict[str, str]:
        return {plain(key): key for key in self.scheme.rules if isinstance(key, str)}

    def replay(
        self, function: Callable[..., Any], edges: Sequence[str], step: Step, incoming: Passed
    ) -> list[Tensor | None]:
        """Apply the rules to an operation written out in parts.

        Args:
            function: called with the operation's arguments by name; gives its output(s) by known operations.
            edges: the names of the arguments that autograd knows as inputs, in its order.
            step, incoming: as for a rule.
        """
        inner = Propagation(dataclasses.replace(self.scheme, around=contextlib.nullcontext))
        needed = [name for name, need in zip(edges, step.needs, strict=False) if need]
        with torch.enable_grad():
            if step.reference is not None:
                with inner.reference():
                    function(**_clones(_leaves(step.reference.arguments, needed)))
            given = _leaves(step.arguments, needed)
            with inner.recording():
                outputs = function(**_clones(given))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        ends = [(o, g) for o, g in zip(outputs, incoming, strict=False) if g is not None and o.requires_grad]
        leaves = [given[name] for name in needed]
        if step.sources:
            origins = (origin for origin, need in zip(step.sources, step.needs, strict=False) if need)
            inner._outer = {id(leaf): origin for leaf, origin in zip(leaves, origins, strict=True)}
        inner.attach([o for o, _ in ends], leaves, self.partial)
        found = iter(
            torch.autograd.grad([o for o, _ in ends], leaves, [g for _, g in ends], allow_unused=True)
        )
        return [next(found) if need else None for need in step.needs]


@dataclasses.dataclass(frozen=True)
class _Hook:
    """Stands between a node and autograd; half precision is widened, so that rules may subtract and divide."""

    apply: Apply
    operation: str
    records: tuple[Record, Record | None] | None
    needs: tuple[bool, ...]
    sources: tuple[str, ...]
    propagation: Propagation

    def __call__(self, gradients: Passed, incoming: Passed) -> Passed:
        passed = self.apply(self._step(), tuple(map(widened, gradients)), tuple(map(widened, incoming)))
        return tuple(
            old if new is None or old is None else fitted(new, old, not self.propagation.scheme.paired)
            for old, new in zip(gradients, passed, strict=True)
        )

    def _step(self) -> Step:
        here, there = self.records if self.records is not None else (Record(None, {}, []), None)
        return self._step_of(here, None if there is None else self._step_of(there, None))

    def _step_of(self, record: Record, reference: Step | None) -> Step:
        return Step(
            self.operation,
            record.function,
            {name: widened(value) for name, value in record.arguments.items()},
            tuple(widened(o) for o in record.outputs if o is not None),
            self.needs,
            self.sources,
            self.propagation.scheme.eps,
            reference,
            self.propagation,
            precision(record.outputs),
        )


@dataclasses.dataclass(frozen=True)
class _HookInView:
    """The same for a node that stands for a write into a part of a tensor: the rule sees this part alone."""

    hook: _Hook
    write: ViewWrite

    def __call__(self, gradients: Passed, incoming: Passed) -> Passed:
        arrived = incoming[0]
        assert arrived is not None
        arrived = self.write.part(self.write.laid_out(arrived))
        whole = None if gradients[0] is None else self.write.laid_out(gradients[0])
        part = None if whole is None else self.write.part(whole)
        passed = self.hook((part, *gradients[1:]), (arrived,))
        if part is not None and passed[0] is not None and passed[0] is not part:
            part.copy_(passed[0])
        return (whole, *passed[1:])


def _nothing_differs(rule: Rule, pair: tuple[Record, Record | None] | None, needs: tuple[bool, ...]) -> bool:
    """Of an operation on one activation and constants, whether the constants are in the same place in both passes."""
    if (
        pair is None
        or pair[1] is None
        or rule.keep not in ("constants", "factors", "products")
        or sum(needs) > 1
    ):
        return False
    here, there = (
        [t.data_ptr() for t in tensors_in(list(record.arguments.values()))] for record in pair if record
    )
    return not pair[0].outputs and here == there


def _leaves(arguments: dict[str, Any], needed: Sequence[str]) -> dict[str, Any]:
    return {n: v.detach().requires_grad_() if n in needed else v for n, v in arguments.items()}


def _clones(arguments: dict[str, Any]) -> dict[str, Any]:
    """Copies of what requires gradients: leaves are taken for parameters."""
    return {n: v.clone() if isinstance(v, Tensor) and v.requires_grad else v for n, v in arguments.items()}
