"""Does the explanation depend on what the model has learned? Explain again with random parameters and compare.

How alike two maps are is measured in ``similarity``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attriscope.attr._features import exact_dtype
from attriscope.attr._random import Draws, check_count, check_generator
from attriscope.core.errors import InputError, LayerError
from attriscope.core.hooks import find_layer
from attriscope.core.inputs import Examples, describe, gather_examples
from attriscope.core.progress import Parts
from attriscope.metrics._arguments import check_choice
from attriscope.metrics._explanations import Explainer, copied_with_model, flattened
from attriscope.metrics._generators import draws_from, restores_generators
from attriscope.metrics.base import HIGHER, LOWER, Case, refuse_undefined, register
from attriscope.metrics.similarity import resolve_similarity

MODES = ("cascading", "independent", "complete")


@dataclasses.dataclass(frozen=True)
class Randomisation:
    """How alike explanations are to those of the trained model, for each stage of randomisation.

    Attributes:
        layers: the layer that each stage made random, (L,).
        scores: the similarity, (N, L). The lower, the more the explanation depends on the parameters.
        mode: how: see :func:`parameter_randomisation`.
        similarity: by which measure.
    """

    layers: tuple[str, ...]
    scores: Tensor
    mode: str = "cascading"
    similarity: str = "spearman"

    @property
    def mean(self) -> Tensor:
        """The similarity averaged over the stages, (N,)."""
        return self.scores.mean(1)

    @property
    def last(self) -> Tensor:
        """The similarity after the last stage, (N,): with all layers random, for ``"cascading"`` and ``"complete"``."""
        return self.scores[:, -1]

    def figure(self) -> Any:
        """Median and spread over the layers, as a matplotlib figure; see :func:`attriscope.plots.depth`."""
        from attriscope.plots import depth

        axes = depth(
            self.scores.T,
            self.layers,
            label="median, middle half and 90 % of the examples",
            use_pyplot=False,
            title=f"parameters made random, {self.mode}: lower is better",
            xlabel=f"similarity ({self.similarity}) to the trained model's explanation",
            ylabel="layer",
        )
        # On a scale of similarities, so that hardly any difference does not look like one.
        axes.set_xlim(min(-0.1, axes.get_xlim()[0]), 1.02)
        return axes.figure


def _complete_randomisation(function: Any, case: Case) -> Tensor:
    return function(
        case.method, case.model, case.inputs, mode="complete", generator=case.generator, **case.asked
    ).last


@register("randomisation", better=LOWER, call=_complete_randomisation)
@restores_generators
def parameter_randomisation(
    explanation: Any,
    model: nn.Module,
    inputs: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    mode: str = "cascading",
    layers: Sequence[Any] | None = None,
    similarity: Any = "spearman",
    absolute: bool = False,
    generator: torch.Generator | None = None,
) -> Randomisation:
    """Explain again after the model's parameters were made random, and compare (Adebayo et al. 2018, arXiv 1810.03292).

    An explanation that stays the same is one of the input, not of the model. All of it happens on a copy of the model:
    the model itself is not touched, and may be used meanwhile. The copy takes as much memory as the parameters.

    Args:
        explanation: a method that explains ``model``, such as ``Saliency(model)``, a pair of such a method and a dict
            of its options, or a function of (model, inputs, target). The method is copied together with the model.
        model: what the method explains, or a part of that.
        inputs: a tensor, tuple or dict of tensors, N examples in dimension 0.
        target, additional_forward_args: for the explanation.
        mode: ``"cascading"``: from the output to the input, one layer after the other becomes random and stays so;
            ``"independent"``: one layer at a time; ``"complete"``: all at once, in one stage.
        layers: the layers, modules or their paths, in the order of the stages; ``None``: all modules with parameters of
            their own, the last first, as they stand in the model.
        similarity: ``"spearman"`` (rank correlation), ``"pearson"``, ``"cosine"``, or a function of two tensors (N, D)
            that gives (N,). Where an explanation is constant the correlation counts as 0.
        absolute: compare the sizes of the attributions.
        generator: where random numbers come from; ``None`` is torch's global generator, of which one number is drawn.
            Modules are initialised by their own ``reset_parameters``, which also resets running statistics; parameters
            of modules without one are shuffled.

    Returns:
        A :class:`Randomisation`; N examples give what N calls with the same seed give.

    Raises:
        InputTypeError, InputError, LayerError: arguments that cannot be used; a method that explains something else.
        UndefinedMetricError: attributions are not finite, or those of the trained model all the same.
    """
    check_choice(mode, MODES, "mode")
    measure = resolve_similarity(similarity)
    examples = gather_examples(inputs, additional_forward_args).plain
    random = _RandomisedModel(explanation, model, layers, generator)
    stages = random.stages(mode)
    parts = Parts(len(stages) + 1)
    before = _explained(random.explainer, examples, target, parts, 0, absolute)
    refuse_undefined(before.amax(1) == before.amin(1), "the trained model's attributions are all the same")
    scores = []
    for i, stage in enumerate(stages):
        with random.layers(stage):
            after = _explained(random.explainer, examples, target, parts, i + 1, absolute)
        scores.append(measure(before, after))
    named = tuple(random.names[stage[-1]] for stage in stages) if mode != "complete" else ("all",)
    dtype = torch.get_default_dtype()
    return Randomisation(
        named, torch.stack(scores, 1).to(dtype), mode, str(getattr(similarity, "__name__", similarity))
    )


@register(
    "randomisation complexity",
    better=HIGHER,
    call=lambda function, case: function(
        case.method, case.model, case.inputs, generator=case.generator, **case.asked
    ),
)
@restores_generators
def randomisation_complexity(
    explanation: Any,
    model: nn.Module,
    inputs: Any,
    *,
    target: Any = None,
    additional_forward_args: Any = None,
    bins: int = 100,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The efficient parameter randomisation test (Hedström et al. 2024, arXiv 2401.06465): does the explanation of a
    random model hold less order?

    (H(random) - H(trained)) / H(trained), where H is the entropy of the histogram of an explanation's numbers. It takes
    one random model, and no similarity of maps. Large is good; below 0, the trained model's map is the more disorderly.

    Args:
        explanation, model, inputs, target, additional_forward_args, generator: as for :func:`parameter_randomisation`.
        bins: of the histogram, from an explanation's least number to its largest.

    Returns:
        A tensor (N,).

    Raises:
        as :func:`parameter_randomisation`; UndefinedMetricError if H(trained) is 0.
    """
    count = check_count(bins, "bins")
    examples = gather_examples(inputs, additional_forward_args).plain
    random = _RandomisedModel(explanation, model, None, generator)
    parts = Parts(2)
    before = histogram_entropy(_explained(random.explainer, examples, target, parts, 0, False), count)
    refuse_undefined(before == 0, "the trained model's attributions are all the same, so their entropy is 0")
    with random.layers(range(len(random.names))):
        after = histogram_entropy(_explained(random.explainer, examples, target, parts, 1, False), count)
    return ((after - before) / before).to(torch.get_default_dtype())


def histogram_entropy(values: Tensor, bins: int = 100) -> Tensor:
    """The entropy, in nats, of the histogram of each row of a tensor (N, D), over its own range: (N,)."""
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    span = torch.where(high > low, high - low, 1)
    place = ((values - low) / span * bins).long().clamp(max=bins - 1)
    counts = torch.zeros(len(values), bins, dtype=values.dtype, device=values.device)
    counts.scatter_add_(1, place, torch.ones_like(values))
    return torch.special.entr(counts / values.shape[1]).sum(1)


def _explained(
    explainer: Explainer, examples: Examples, target: Any, parts: Parts, number: int, absolute: bool
) -> Tensor:
    with parts.part(number, number + 1, examples.count):
        found = flattened(explainer.explain(examples, target))
    found = found.to(exact_dtype(found.device))
    return found.abs() if absolute else found


class _RandomisedModel:
    """A copy of a model whose layers can be made random, and the explanation that runs on it."""

    def __init__(
        self,
        explanation: Any,
        model: nn.Module,
        layers: Sequence[Any] | None,
        generator: torch.Generator | None,
    ) -> None:
        self._generator = check_generator(generator)
        self._draws: Draws | None = None
        self._model, self.explainer = copied_with_model(explanation, model)
        paths = {module: name for name, module in model.named_modules()}
        own = dict(self._model.named_modules())
        if layers is None:
            chosen = [
                m for m in reversed(list(model.modules())) if any(True for _ in m.parameters(recurse=False))
            ]
            if not chosen:
                raise InputError(
                    f"the model {type(model).__name__} has no parameters that could be made random"
                )
        else:
            if isinstance(layers, str | nn.Module) or not layers:
                raise InputError(f"layers must be a list of layers or paths, but {describe(layers)} came")
            chosen = [find_layer(model, layer) for layer in layers]
        self.names = tuple(paths[module] for module in chosen)
        self._modules = [own[name] for name in self.names]
        for name, module in zip(self.names, self._modules, strict=True):
            if not any(True for _ in module.parameters()):
                raise LayerError(f"the layer {name!r} has no parameters that could be made random")

    def stages(self, mode: str) -> list[range]:
        """Which layers are random in each stage."""
        count = len(self.names)
        if mode == "complete":
            return [range(count)]
        if mode == "independent":
            return [range(i, i + 1) for i in range(count)]
        return [range(i + 1) for i in range(count)]

    def layers(self, which: Sequence[int]) -> Any:
        """Inside the block these layers of the copy are random; each has the same random numbers in every stage."""
        if self._draws is None:  # not before it is needed: an error should leave generators as they are
            self._draws = draws_from(self._generator)
        return _randomised([(i, self._modules[i]) for i in which], self._draws)


@contextlib.contextmanager
def _randomised(modules: list[tuple[int, nn.Module]], draws: Draws) -> Iterator[None]:
    """Inside the block modules have random parameters and fresh running statistics."""
    both = (itertools.chain(module.parameters(), module.buffers()) for _, module in modules)
    tensors = {id(tensor): tensor for tensor in itertools.chain.from_iterable(both)}.values()
    saved = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        for number, module in modules:
            for i, part in enumerate(module.modules()):
                with torch.no_grad(), _SeededOperations(draws, number * 10_000 + i):
                    _reset(part)
        yield
    finally:
        with torch.no_grad():
            for tensor, before in saved:
                tensor.copy_(before)


def _reset(module: nn.Module) -> None:
    """Give a module's own parameters random values."""
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        shuffled = torch.rand(parameter.numel(), device=parameter.device).argsort()
        parameter.copy_(parameter.detach().flatten()[shuffled].reshape(parameter.shape))


class _SeededOperations(TorchDispatchMode):
    """Random numbers come from a generator of their own, in this thread only: the global one stays as it is."""

    def __init__(self, draws: Draws, number: int) -> None:
        super().__init__()
        self._draws, self._number = draws, number
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(self, function: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        # Operations that make tensors, such as rand, take a generator in a form of their own.
        form = {"default": "generator", "low": "low_generator"}.get(function._overloadname, "")
        if form in function.overloadpacket.overloads() and not _takes_generator(function):
            function = getattr(function.overloadpacket, form)
        if _takes_generator(function) and kwargs.get("generator") is None:
            kwargs["generator"] = self._generator(args, kwargs)
        return function(*args, **kwargs)

    def _generator(self, args: Any, kwargs: Any) -> torch.Generator:
        given = args[0].device if args and isinstance(args[0], Tensor) else kwargs.get("device")
        device = torch.device("cpu" if given is None else given)
        if device not in self._generators:
            self._generators[device] = self._draws.stream(self._number, device)
        return self._generators[device]


def _takes_generator(function: Any) -> bool:
    return any(argument.name == "generator" for argument in function._schema.arguments)
