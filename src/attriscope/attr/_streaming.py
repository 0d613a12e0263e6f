"""How an attribution method runs: what happens between ``method.attribute(...)`` and the model, and back.

Each method is a generator of partial results, which :func:`streaming` turns into its ``attribute``. These are the
frames of one call, from the outside in, and where to read on:

1. ``attribute``, made by :func:`streaming` here: runs the generator to its end and works the last partial result out.
   :meth:`Attribution.stream` and :meth:`Attribution.estimate <attriscope.attr.Attribution.estimate>` run the same
   generator and work out more of them.
2. The generator, which is the method as it is written: checks its arguments (:mod:`attriscope.core.inputs`,
   :mod:`attriscope.core.target`), says how rows are made of the examples, and adds up what comes back.
3. :meth:`Evaluator.run <attriscope.core.evaluate.Evaluator.run>`: cuts the grid of steps x examples into batches,
   reports and stops, and hands each batch's answers back as a ``Block``.
4. :meth:`Subject.run <attriscope.core.subject.Subject.run>`: sends one batch through the model forward and, for
   gradients, back: picks the explained numbers out of the output, reads at layers
   (:mod:`attriscope.core.hooks`), and puts a method's own rules on the backward pass
   (:mod:`attriscope.core.propagation`).
5. ``forward_func``: the model, or where a layer is varied or a neuron explained, a part of it
   (:mod:`attriscope.core.section`).

Perturbation methods have one frame more, between 2 and 3: the
:class:`Runner <attriscope.attr.perturbation._runner.Runner>`, which learns from the first step what kind of output
there is. Layer and neuron methods, and :class:`At <attriscope.attr.at.At>`, run the generator of another method on a
section of the model.
"""

from __future__ import annotations

import collections
import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

from attriscope.core.estimate import PartialResult

P = ParamSpec("P")
R = TypeVar("R")

_WITH_DELTA = "return_convergence_delta"


def streaming(generator: Callable[P, Iterator[PartialResult[R]]]) -> Callable[P, R]:
    """Turns a generator of partial results into ``attribute``, which runs to the end and returns what Captum would.

    :meth:`Attribution.stream` and :meth:`Attribution.estimate` run the same generator, so one piece of code, with one
    signature, serves all three. It should yield after each batch: what was yielded is only worked out if somebody asks,
    before the generator goes on.

    The parameter of :class:`PartialResult` is what ``attribute`` returns: the attributions, or if there is a parameter
    ``return_convergence_delta`` and it is true, a pair of attributions and deltas. Type checkers and
    :func:`inspect.signature` find that as the return type.

    Example::

        from collections.abc import Callable, Iterator

        import torch
        from attriscope.attr import GradientAttribution, PartialResult, streaming

        class GradientPath(GradientAttribution):
            '''Integrated gradients from zero, point by point; more points until the sum is right.'''

            def has_convergence_delta(self) -> bool:
                return True

            @streaming
            def attribute(
                self,
                inputs: torch.Tensor,
                target: int | None = None,
                additional_forward_args: tuple[torch.Tensor, ...] | None = None,
                most: int = 64,
                return_convergence_delta: bool = False,
            ) -> Iterator[PartialResult[torch.Tensor | tuple[torch.Tensor, torch.Tensor]]]:
                total, model = torch.zeros_like(inputs), self.forward_func  # added to in place
                for done in range(1, most + 1):
                    position = (done * 0.6180339887) % 1  # spread over the path, however many there will be
                    (gradient,) = self.gradient_func(model, inputs * position, target, additional_forward_args)
                    total += gradient

                    def attributions(done: int = done) -> torch.Tensor:
                        return inputs * total / done

                    def delta(found: Callable[[], torch.Tensor] = attributions) -> torch.Tensor:
                        return self.compute_convergence_delta(found(), 0, inputs, target, additional_forward_args)

                    yield PartialResult(attributions, delta, evaluations=done * len(inputs))

        method = GradientPath(model)
        attributions, delta = method.attribute(x, target=1, return_convergence_delta=True)
        last = method.estimate(x, target=1, most=10_000, tolerance=0.01)
        print(last.stopped, last.evaluations, last.inaccuracy)
        for estimate in method.stream(x, target=1):
            ...
    """
    signature = inspect.signature(generator)
    signature = signature.replace(return_annotation=_returned(signature.return_annotation))

    @functools.wraps(generator)
    def attribute(*args: P.args, **kwargs: P.kwargs) -> R:
        last = last_of(generator(*args, **kwargs), generator.__qualname__)
        found: Any = last.attributions()
        if wants_delta(signature, args, kwargs):
            found = found, None if last.delta is None else last.delta()
        return cast(R, found)

    attribute.__signature__ = signature  # type: ignore[attr-defined]
    attribute.__annotations__ = {
        name: p.annotation for name, p in signature.parameters.items() if p.annotation is not p.empty
    }
    if signature.return_annotation is not signature.empty:
        attribute.__annotations__["return"] = signature.return_annotation
    attribute.partial_results = generator  # type: ignore[attr-defined]
    return attribute


def generator_of(method: Any) -> Callable[..., Iterator[PartialResult]] | None:
    """The generator behind ``method.attribute``, to be called with the method first; ``None`` if there is none."""
    return getattr(type(method).attribute, "partial_results", None)


def partial_results(method: Any, /, *args: Any, **kwargs: Any) -> Iterator[PartialResult]:
    """What ``method.attribute`` comes to, as it comes; of a method that does not stream, all at once."""
    generator = generator_of(method)
    if generator is not None:
        yield from generator(method, *args, **kwargs)
        return
    found = method.attribute(*args, **kwargs)
    delta = None
    if kwargs.get(_WITH_DELTA) and isinstance(found, tuple) and len(found) == 2:
        found, delta = found
    yield PartialResult(lambda: found, None if delta is None else lambda: delta)


def last_of(results: Iterable[PartialResult], name: str) -> PartialResult:
    """The last partial result of a generator.

    Raises:
        RuntimeError: there was none.
    """
    last = collections.deque(results, maxlen=1)
    if not last:
        raise RuntimeError(f"{name} yielded nothing")
    return last[0]


def wants_delta(signature: inspect.Signature, args: Any, kwargs: Any) -> bool:
    """Whether a call, with arguments that fit the signature, asks for a pair of attributions and deltas."""
    if _WITH_DELTA in kwargs:
        return bool(kwargs[_WITH_DELTA])
    parameter = signature.parameters.get(_WITH_DELTA)
    if parameter is None or parameter.kind is parameter.KEYWORD_ONLY:
        return False
    position = list(signature.parameters).index(_WITH_DELTA)
    return position < len(args) and bool(args[position])


def _returned(annotation: Any) -> Any:
    """What ``attribute`` returns, from the annotation of a generator of partial results."""
    if isinstance(annotation, str):  # as it is under "from __future__ import annotations"
        found = re.fullmatch(r"(?:\w+\.)*\w+\[\s*(?:\w+\.)*PartialResult\[(.*)\].*\]", annotation, re.DOTALL)
        return "Any" if found is None else found[1].strip()
    for yielded in typing.get_args(annotation)[:1]:
        if typing.get_origin(yielded) is PartialResult:
            return typing.get_args(yielded)[0]
    return annotation if annotation is inspect.Signature.empty else Any
