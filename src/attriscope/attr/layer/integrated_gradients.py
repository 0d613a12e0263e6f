"""Layers on the path from a baseline to the input, and paths through a layer's own values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, overload

import torch
from torch import Tensor

from attriscope.attr._base import GradientAttribution, LayerAttribution, PerLayer, end_points
from attriscope.attr._streaming import partial_results, streaming
from attriscope.attr._sums import excess, narrowed, sum_per_example, total_dtype
from attriscope.attr.at import each_layer
from attriscope.attr.integrated_gradients import IntegratedGradients, add_weighted, gradients_along
from attriscope.attr.layer._token_paths import through_embeddings
from attriscope.attr.layer.activation import side_by_side
from attriscope.attr.quadrature import quadrature, stieltjes
from attriscope.core.arrangement import Places, as_they_were
from attriscope.core.batch_size import check_batch
from attriscope.core.complex_parts import as_complex, as_real
from attriscope.core.errors import LayerError
from attriscope.core.estimate import PartialResult
from attriscope.core.evaluate import Block
from attriscope.core.hooks import Layer, Layers
from attriscope.core.inputs import Inputs, gather_examples, resolve_baselines

_Point = tuple[Tensor, Tensor]
"""Values and gradients at a point of the path."""


class InternalInfluence(LayerAttribution, GradientAttribution):
    """The gradient at a layer, averaged along the straight line from a baseline to the input.

    Internal influence, Leino et al. 2018 (arXiv 1802.03788): how much the output reacts to the layer's units, on
    average over the inputs between baseline and input.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, in whatever relation, which all come from the same
            passes.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[PerLayer]]:
        """Average the layer's gradient.

        Args:
            inputs, baselines, target, additional_forward_args, n_steps, method, internal_batch_size: as for
                :meth:`IntegratedGradients.attribute`. Inputs may be token ids: then the path is the straight line
                between the vectors that the model's embeddings give for the baselines and for the inputs.
            attribute_to_layer_input: use the layer's input instead of its output.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            For each layer a tensor of the shape that passes there (float32 for half precision), or a tuple if several
            tensors do; a list of these if ``layer`` was a list. Detached.

        Raises:
            LayerError: the layer did not run, or what passes there does not belong to examples.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`IntegratedGradients.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        starts = resolve_baselines(baselines, examples)
        vectorised, examples, starts = through_embeddings(self, examples, starts)
        rule = quadrature(method, n_steps).spread
        batch = check_batch(internal_batch_size, "internal_batch_size")
        site = self._site(attribute_to_layer_input)
        totals: list[list[Tensor]] = []
        covered, evaluations, places = 0.0, 0, Places()

        def means() -> Any:
            # While the path is not covered, what is known stands for the rest.
            share = 1.0 if evaluations == n_steps * examples.count else covered
            return self._form(as_they_were(_results(totals, block, share), places))

        for block in gradients_along(
            vectorised, examples, starts, target, rule.nodes, batch, read=site, options=grad_kwargs
        ):
            totals = totals or _zeros(block, site, examples.count, len(rule.nodes))
            places = block.places
            for layer, gradients in zip(totals, block.gradients, strict=True):
                add_weighted(layer, gradients, block, rule)
            evaluations += block.rows
            if block.examples.stop == examples.count:
                covered = sum(rule.weights[: block.steps.stop])
                yield PartialResult(means, evaluations=evaluations)


class LayerConductance(LayerAttribution, GradientAttribution):
    """How much of the change of the output flows through each unit of a layer.

    Conductance, Dhamdhere et al. 2018 (arXiv 1805.12233), as a sum along the path (Shrikumar et al. 2018, arXiv
    1807.09946): the layer's gradient times the change of the layer's values from point to point. The attributions of
    each example, all units added up, come to ``f(input) - f(baseline)``.

    Compared with Captum: the gradient between two points is the mean of those at both, and the path goes from end to
    end, so the sum is right to a much smaller error with the same points; ``grad_kwargs`` are used; results are
    detached.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, in whatever relation, which all come from the same
            passes.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    @property
    def multiplies_by_inputs(self) -> bool:
        """Always: conductance is a contribution."""
        return True

    def has_convergence_delta(self) -> bool:
        """Yes: all that changes the output flows through the layer, if there is no way around it."""
        return True

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ...,
        return_convergence_delta: Literal[False] = ..., attribute_to_layer_input: bool = ..., grad_kwargs:
        dict[str, Any] | None = ...
    ) -> PerLayer: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ..., *,
        return_convergence_delta: Literal[True], attribute_to_layer_input: bool = ..., grad_kwargs: dict[str,
        Any] | None = ...
    ) -> tuple[PerLayer, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ...,
        return_convergence_delta: bool = ..., attribute_to_layer_input: bool = ..., grad_kwargs:
        dict[str, Any] | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[PerLayer | tuple[PerLayer, Tensor]]]:
        """Add the layer's changes up along the path.

        Args:
            inputs, baselines, target, additional_forward_args, internal_batch_size: as for
                :meth:`InternalInfluence.attribute`.
            n_steps: into how many pieces the path is cut; ``n_steps + 1`` points are evaluated per example, as in
                Captum.
            method: which gradient stands for a piece: the mean of those at both ends (``"gausslegendre"``, the default,
                ``"riemann_trapezoid"`` and ``"riemann_middle"``), or that at one end (``"riemann_left"``,
                ``"riemann_right"``). The points are evenly spaced.
            return_convergence_delta: also return the sum of the attributions minus ``f(inputs) - f(baselines)``.
            attribute_to_layer_input: use the layer's input instead of its output.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            For each layer a tensor of the shape that passes there (float32 for half precision), or a tuple if several
            tensors do; a list of these if ``layer`` was a list. Detached. With ``return_convergence_delta`` a pair with
            the deltas, of shape (N,), or (layers, N) for several layers.

            Points are evaluated from the baseline to the input, so what :meth:`stream` yields on the way is the
            conductance of the path so far.

        Raises:
            LayerError: the layer did not run, or what passes there does not belong to examples.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`IntegratedGradients.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        starts = resolve_baselines(baselines, examples)
        vectorised, examples, starts = through_embeddings(self, examples, starts)
        nodes, share = stieltjes(method, n_steps)
        batch = check_batch(internal_batch_size, "internal_batch_size")
        site = self._site(attribute_to_layer_input)
        totals: list[list[Tensor]] = []
        latest: list[list[_Point | None]] = []  # per layer and tensor
        first = last = torch.empty(0, device="cpu")
        ends: list[tuple[Tensor, Tensor]] = []
        evaluations, places = 0, Places()

        def sums() -> Any:
            return self._form(as_they_were(_results(totals, block), places))

        def delta() -> Tensor:
            found = [sum_per_example(layer) for layer in _results(totals, block)]
            change = last - first
            if evaluations < len(nodes) * examples.count:  # the end of the path was not reached yet
                if not ends:
                    ends.append(end_points(vectorised, examples, starts, target, batch))
                change = ends[0][1] - ends[0][0]
            gaps = excess(torch.stack(found), change)
            return gaps if len(site) > 1 else gaps[0]

        for block in gradients_along(
            vectorised, examples, starts, target, nodes, batch, read=site, options=grad_kwargs
        ):
            assert block.f is not None
            part, places = block.examples, block.places
            if not totals:
                totals = [
                    [as_real(t) for t in layer] for layer in _zeros(block, site, examples.count, len(nodes))
                ]
                latest = [[None for _ in layer] for layer in totals]
                of_all = 1 if block.whole_batch else examples.count
                first, last = (narrowed(totals[0][0].new_zeros(of_all), block.f) for _ in range(2))
            for i, layer in enumerate(totals):
                for j, total in enumerate(layer):
                    found = block.values[i][j], block.gradients[i][j]
                    here = as_real(block.grid(found[0])), as_real(block.grid(found[1]))
                    latest[i][j] = _add_conductance(
                        total, latest[i][j], here, part, share, first=block.steps.start == 0
                    )
            explained = slice(0, 1) if block.whole_batch else part
            if block.steps.start == 0:
                first[explained] = block.f[0].to(first.dtype)
            last[explained] = block.f[-1].to(last.dtype)
            evaluations += block.rows
            if part.stop == examples.count and block.steps.stop > 1:
                yield PartialResult(sums, delta, evaluations=evaluations)


def _add_conductance(
    total: Tensor, latest: _Point | None, here: _Point, part: slice, share: float, first: bool
) -> _Point:
    """Add what flows between the points of a block, and from the point before it, and return the last point.

    Args:
        total: of all N examples.
        latest: the last point so far, for all examples; ``None`` at the beginning.
        here: the block's points, (steps, examples, ...).
        part: its examples.
        share: how much the gradient at the end of a piece counts; that at its beginning counts for the rest.
        first: the block begins at the beginning of the path.
    """
    values, gradients = (t.to(total.dtype) for t in here)
    if not first:
        assert latest is not None
        rise = values[0] - latest[0][part]
        total[part] += torch.lerp(latest[1][part], gradients[0], share).mul_(rise)
    if len(values) > 1:
        between = torch.lerp(gradients[:-1], gradients[1:], share)
        total[part] += between.mul_(values[1:] - values[:-1]).sum(0)
    if values.shape[1] == total.shape[0]:
        return values[-1], gradients[-1]
    latest = latest or (torch.zeros_like(total), torch.zeros_like(total))
    latest[0][part], latest[1][part] = values[-1], gradients[-1]
    return latest


def _results(totals: list[list[Tensor]], block: Block, share: float = 1.0) -> list[tuple[Tensor, ...]]:
    """What was added up over this share of the path, as for all of it; in types for what the block holds."""
    return [
        tuple(_result(t / share, v) for t, v in zip(layer, values, strict=True))
        for layer, values in zip(totals, block.values, strict=True)
    ]


def _result(total: Tensor, values: Tensor) -> Tensor:
    apart = values.is_complex() and not total.is_complex()  # both parts in a last dimension
    return narrowed(as_complex(total) if apart else total, values)


def _zeros(block: Block, site: Layers, count: int, steps: int) -> list[list[Tensor]]:
    """Room for what is found at each layer in so many steps.

    Raises:
        LayerError: what passes at a layer does not belong to rows.
    """
    rows = (block.steps.stop - block.steps.start) * (block.examples.stop - block.examples.start)
    for i, layer in enumerate(block.values):
        for v in layer:
            if v.dim() == 0 or v.shape[0] != rows:
                raise LayerError(
                    f"at the {site.side} of layer {site.name(i)} passes a tensor of shape {tuple(v.shape)} for {rows} "
                    "row(s), and which of its numbers belong to an example cannot be told; if one dimension counts the "
                    "examples, say which: Call(layer, examples=1)"
                )
    return [
        [v.new_zeros(count, *v.shape[1:], dtype=total_dtype(v, steps)) for v in layer]
        for layer in block.values
    ]


class LayerIntegratedGradients(LayerAttribution, GradientAttribution):
    """Integrated gradients at a layer: along the line from what the layer holds for a baseline to what it holds.

    Sundararajan et al. 2017 (arXiv 1703.01365), with the layer's values in place of the input. With an embedding layer,
    this explains models of tokens. The attributions of each example add up to ``f(input) - f(baseline)``.

    Layers of a list that stand side by side, such as the embeddings of words and positions, are varied together, and
    the attributions of all add up to that difference. Of a list in which layers feed each other, each layer is
    explained by itself.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these; ``None`` for the model's inputs, which are then
            explained as by :class:`IntegratedGradients`. For inputs beside layers, see :class:`ModelInputWrapper`.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        multiply_by_inputs: ``False`` leaves out the factor (value - baseline's value).
    """

    def __init__(
        self,
        forward_func: Any,
        layer: Layer | list[Layer] | None,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs

    def _resolved(self, layer: Layer | list[Layer] | None) -> Layers:
        return Layers(()) if layer is None else super()._resolved(layer)

    def has_convergence_delta(self) -> bool:
        """Yes: the attributions should add up to the change of the output."""
        return True

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ...,
        return_convergence_delta: Literal[False] = ..., attribute_to_layer_input: bool = ..., grad_kwargs:
        dict[str, Any] | None = ...
    ) -> PerLayer: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ..., *,
        return_convergence_delta: Literal[True], attribute_to_layer_input: bool = ..., grad_kwargs: dict[str,
        Any] | None = ...
    ) -> tuple[PerLayer, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., n_steps: int = ..., method: str = ..., internal_batch_size: int | None = ...,
        return_convergence_delta: bool = ..., attribute_to_layer_input: bool = ..., grad_kwargs:
        dict[str, Any] | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[PerLayer | tuple[PerLayer, Tensor]]]:
        """Integrate the gradient from the layer's baseline to what it holds.

        Args:
            inputs: inputs of the model, of any type, N examples in dimension 0.
            baselines: in the form of the inputs, as for :meth:`IntegratedGradients.attribute`; what the layer makes of
                them is where the line begins.
            target, additional_forward_args, n_steps, method, internal_batch_size: as for
                :meth:`IntegratedGradients.attribute`.
            return_convergence_delta: also return the sum of the attributions minus ``f(inputs) - f(baselines)``.
            attribute_to_layer_input: vary the layer's input instead of its output.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            For each layer a tensor of the shape that passes there (float32 for half precision), or a tuple if several
            tensors do; a list of these if ``layer`` was a list. Detached. With ``return_convergence_delta`` a pair with
            the deltas, of shape (N,), or (layers, N) for a list of layers that feed each other.

        Raises:
            LayerError: the layer did not run, runs several times (say which with :class:`Call`), or what passes there
                does not belong to examples.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`IntegratedGradients.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        site = self._site(attribute_to_layer_input)
        given = {
            "baselines": baselines,
            "target": target,
            "n_steps": n_steps,
            "method": method,
            "internal_batch_size": internal_batch_size,
            "return_convergence_delta": return_convergence_delta,
        }

        def make(forward: Any) -> IntegratedGradients:
            inner = IntegratedGradients(forward, self.multiplies_by_inputs)
            inner.grad_kwargs = grad_kwargs
            return inner

        if not len(site):
            more = {"inputs": inputs, "additional_forward_args": additional_forward_args}
            yield from partial_results(make(self.forward_func), **given, **more)
            return
        yield from each_layer(
            self,
            make,
            site,
            examples,
            given,
            run_baselines=True,
            single=not isinstance(self.layer, list),
            together=side_by_side(self, site, examples),
        )
