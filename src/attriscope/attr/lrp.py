"""Layer-wise relevance propagation: the output is handed down, layer by layer, to those who contributed.

Rules for operations are in :mod:`attriscope.attr.rules.lrp`, rules for single modules in
:mod:`attriscope.attr.lrp_rules`; how they get onto the backward pass is told in :mod:`attriscope.core.propagation`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, overload

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from attriscope.attr._base import GradientAttribution
from attriscope.attr._streaming import streaming
from attriscope.attr._sums import excess, join, sum_per_example
from attriscope.attr.rules.deep_lift import linear
from attriscope.attr.rules.lrp import LRP_RULES, OWN_RULES
from attriscope.attr.rules.modules import PropagationRule, in_single_precision
from attriscope.attr.rules.written_out import WrittenOut
from attriscope.core.arrangement import as_they_were
from attriscope.core.complex_parts import times
from attriscope.core.errors import InputTypeError, OperationError
from attriscope.core.estimate import PartialResult
from attriscope.core.half_precision import fitted, widened
from attriscope.core.hooks import Layers, module_of
from attriscope.core.inputs import (
    Examples,
    SameForm,
    as_tuple,
    describe,
    gather_examples,
    require_floating,
)
from attriscope.core.propagation import Rules, Scheme
from attriscope.core.way import Way


class LRP(GradientAttribution):
    """Relevance propagation (Bach et al. 2015, doi 10.1371/journal.pone.0130140; Montavon et al. 2019,
    doi 10.1007/978-3-030-28954-6_10).

    Every operation divides the relevance of its output among its inputs in proportion to their contributions; a
    function of one number hands all of it on. Where a product has a gate (sigmoid, softmax, the scale of a norm), the
    other factor takes all; other products share by halves. Biases keep their part, so the sum of the attributions is
    the output less what biases contributed. A number that is zero passes on the slope of a function, and holds nothing.

    Who wrote a function does not matter: activations, gates, products with gates, softmax, its logarithm, log-sum-exp
    (with or without the maximum subtracted) and norms that are written out in operations are found, and have the
    relevance of their fused forms. A number that is added inside a function that bends belongs to it; a tensor that is
    added is a bias. Not found: functions written with ``torch.stack`` or reshaping inside, and those in which a part is
    used elsewhere, too: of these, each operation follows its own rule.

    A module with a rule of its own, from :mod:`attriscope.attr.lrp_rules`, follows that::

        model.features[0].rule = GammaRule()

    It stays there (Captum takes it away after a call). Captum knows nine types of layers and refuses the rest; here
    every operation with a known contribution has a default, reused modules and functions included.

    Args:
        model: the model, or any function, called as ``model(*inputs, *additional_forward_args)``.
        rules: rules for this object only: for modules (``{module: PropagationRule}``), which go before ``module.rule``,
            and for operations; see :mod:`attriscope.attr.rules`.

    Raises:
        InputTypeError: a module's ``rule`` is not a :class:`~attriscope.attr.lrp_rules.PropagationRule`.
        OperationError: a scripted module has one.
    """

    rules: ClassVar[Rules] = LRP_RULES

    def __init__(self, model: Any, rules: dict[Any, Any] | None = None) -> None:
        super().__init__(model)
        self.model = model
        given = rules or {}
        self._more_rules = {k: r for k, r in given.items() if not isinstance(k, nn.Module)}
        self._own = {k: r for k, r in given.items() if isinstance(k, nn.Module)}
        self._module_rules()

    @property
    def multiplies_by_inputs(self) -> bool:
        """Always: relevance is a contribution."""
        return True

    def has_convergence_delta(self) -> bool:
        """Yes: relevance is conserved but for biases and epsilon."""
        return True

    def _module_rules(self) -> dict[nn.Module, PropagationRule]:
        model = module_of(self.forward_func)
        modules = model.modules() if isinstance(model, nn.Module) else iter(())
        found = {m: vars(m)["rule"] for m in modules if vars(m).get("rule") is not None} | self._own
        for module, rule in found.items():
            if not isinstance(rule, PropagationRule):
                raise InputTypeError(
                    f"Please select propagation rules inherited from class PropagationRule for module: {module}; they "
                    f"are in attriscope.attr.lrp_rules, but {describe(rule)} came"
                )
            if isinstance(module, torch.jit.ScriptModule):
                raise OperationError(
                    f"the rule {rule} cannot be used for a scripted module, which hides what passes there: give it to "
                    "the module that was scripted"
                )
        return found

    def _scheme(self, verbose: bool = False) -> Scheme:
        rules = self._module_rules()
        return Scheme(
            self.rules.extended({_OfModule: linear, **self._more_rules}),
            method=self.get_name(),
            around=lambda: rules_on_modules(rules, verbose),
            report=print if verbose else None,
            reading=WrittenOut,
            own=OWN_RULES,
        )

    @overload
    def attribute(
        self, inputs: SameForm, target: Any = ..., additional_forward_args: Any = ...,
        return_convergence_delta: Literal[False] = ..., verbose: bool = ...
    ) -> SameForm: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, target: Any = ..., additional_forward_args: Any = ..., *,
        return_convergence_delta: Literal[True], verbose: bool = ...
    ) -> tuple[SameForm, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: SameForm, target: Any = ..., additional_forward_args: Any = ...,
        return_convergence_delta: bool = ..., verbose: bool = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: SameForm,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        verbose: bool = False,
    ) -> Iterator[PartialResult[SameForm | tuple[SameForm, Tensor]]]:
        """Propagate the output's relevance to the inputs, in one forward and one backward pass.

        Args:
            inputs, target, additional_forward_args: as for :meth:`Saliency.attribute`.
            return_convergence_delta: also return the output minus the sum of the attributions (Captum's sign, which is
                the opposite of what other methods return).
            verbose: print which rule is used where.

        Returns:
            Relevances in the shape, type and form of the inputs, in the units of the output, detached; with
            ``return_convergence_delta`` a pair with the deltas, of shape (N,).

        Raises:
            OperationError: an operation on the way has no rule, or a module's rule does not fit it.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`Saliency.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        require_floating(examples, self.get_name())
        yield from relevances(self, examples, target, lambda found: examples.form(found[0]), verbose)

    def compute_convergence_delta(self, attributions: Any, output: Tensor) -> Tensor:  # type: ignore[override]
        """The output minus the sum of the attributions, of shape (N,).

        Args:
            attributions: a tensor, or a tuple with one per input.
            output: the explained numbers, N of them.
        """
        return -excess(sum_per_example(as_tuple(attributions)), output.flatten())


def relevances(
    method: LRP,
    examples: Examples,
    target: Any,
    form: Callable[[list[tuple[Tensor, ...]]], Any],
    verbose: bool = False,
    read: Layers | None = None,
) -> Iterator[PartialResult]:
    """The relevance that reaches the inputs, or layers.

    Args:
        method: whose model and rules these are.
        form: makes the result of what was found at each place.
        verbose: print which rule is used where.
        read: layers; ``None`` for the inputs.
    """
    cuts: list[bool] = []

    def reading(way: Way) -> WrittenOut:
        cuts.append(WrittenOut.cut(way))
        return WrittenOut(way)

    scheme = method._scheme(verbose)
    if read is None or len(read) == 1:
        found, output, places, evaluations = _one_pass(method, examples, target, scheme, read)
    else:
        several = dataclasses.replace(scheme, reading=reading)
        found, output, places, evaluations = _one_pass(method, examples, target, several, read)
        if any(cuts):  # each by itself: no layer's relevance depends on which others are asked for
            for i in range(len(read)):
                alone, _, _, more = _one_pass(method, examples, target, scheme, read[i])
                found[i] = alone[0]
                evaluations += more

    def delta() -> Tensor:
        gaps = [-excess(sum_per_example(tensors), output) for tensors in found]
        return gaps[0] if read is None or len(read) == 1 else torch.stack(gaps)

    arranged = as_they_were(found, places)
    yield PartialResult(lambda: form(arranged), delta, evaluations=evaluations)


def _one_pass(
    method: LRP, examples: Examples, target: Any, scheme: Scheme, read: Layers | None
) -> tuple[list[tuple[Tensor, ...]], Tensor, Any, int]:
    """The relevance at each place, the output, where the examples are, and how many rows were run."""
    evaluator = method._evaluator(
        examples, target, gradient=True, batch=examples.count, scheme=scheme, read=read
    )
    blocks = list(evaluator.run(1, lambda steps, part: examples.slices(part)))
    places = range(len(blocks[0].gradients))
    passed = [join([block.gradients[i] for block in blocks]) for i in places]
    values = [join([block.values[i] for block in blocks]) for i in places]
    found = [
        tuple(times(v, g) for v, g in zip(*pair, strict=True)) for pair in zip(values, passed, strict=True)
    ]
    output = torch.cat([block.f.flatten() for block in blocks if block.f is not None])
    return found, output, blocks[0].places, evaluator.evaluations


class _OfModule(torch.autograd.Function):
    """Stands for a module that has a rule: its output, and in the backward pass its rule."""

    @staticmethod
    def forward(
        ctx: Any, module: nn.Module, rule: PropagationRule, others: Any, output: Tensor, *inputs: Tensor
    ) -> Tensor:
        ctx.call = module, rule, others
        ctx.save_for_backward(output, *inputs)
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> Any:
        module, rule, others = ctx.call
        output, *inputs = ctx.saved_tensors
        passed = rule.passed(
            in_single_precision(module),
            tuple(map(widened, inputs)),
            others,
            widened(output),
            widened(incoming[0]),
        )
        fits = (None if p is None else fitted(p, x) for p, x in zip(passed, inputs, strict=True))
        return None, None, None, None, *fits


@contextlib.contextmanager
def rules_on_modules(rules: dict[nn.Module, PropagationRule], verbose: bool = False) -> Iterator[None]:
    """Inside the block, what these modules do in this thread is taken as one step that follows the module's rule."""
    ours = threading.get_ident()
    handles: list[torch.utils.hooks.RemovableHandle] = []
    given: dict[nn.Module, list[list[Any]]] = {module: [] for module in rules}  # to calls that have not ended

    def before(module: nn.Module, args: Any, kwargs: Any = None) -> Any:
        if threading.get_ident() != ours:
            return None
        leaves, tree = tree_flatten((args, kwargs))
        given[module].append(leaves)
        # Copies: a module that works in place is known by what it did to them.
        return tree_unflatten([x.clone() if isinstance(x, Tensor) else x for x in leaves], tree)

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if threading.get_ident() != ours:
            return None
        leaves, tree = tree_flatten((args, kwargs))
        places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        inputs = [leaves[i] for i in places]
        originals = given[module].pop()
        written = [i for i in places if leaves[i]._version]
        unfit = _unfit(inputs, [leaves[i] for i in written], output)
        if unfit:
            raise OperationError(f"the rule {rules[module]} cannot be used for {module}, which {unfit}")
        inputs = [originals[i].clone() if i in written else leaves[i] for i in places]

        def put(tensors: tuple[Tensor, ...]) -> Any:
            filled = list(leaves)
            for i, tensor in zip(places, tensors, strict=True):
                filled[i] = tensor
            return tree_unflatten(filled, tree)

        if verbose:
            print(f"Applied {rules[module]} on layer {module}")
        found = _OfModule.apply(module, rules[module], {"put": put}, output.detach(), *inputs)
        # What the module wrote into holds its output, whoever goes on with it.
        return originals[written[0]].copy_(found) if written else found

    try:
        for module in rules:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _unfit(inputs: list[Tensor], written: list[Tensor], output: Any) -> str:
    """What keeps a module from having a rule, given what it took, what it wrote into and what it gave."""
    if not isinstance(output, Tensor):
        return "gives something else than one tensor"
    if any(x.is_complex() for x in (output, *inputs)):
        return "has to do with complex numbers"
    if written and (len(written) > 1 or output is not written[0]):
        return "works in place on something else than what it gives"
    return ""
