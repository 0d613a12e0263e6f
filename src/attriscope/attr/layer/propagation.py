"""Layers under backward passes with rules of their own: DeepLIFT and relevance propagation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, overload

from torch import Tensor

from attriscope.attr._base import GradientAttribution, LayerAttribution, PerLayer
from attriscope.attr._deep_lift_arguments import CustomAttribution, distribution
from attriscope.attr._streaming import streaming
from attriscope.attr.deep_lift import DeepLift, DeepLiftShap, compare, compare_all
from attriscope.attr.lrp import LRP, relevances
from attriscope.core.batch_size import check_batch
from attriscope.core.estimate import PartialResult
from attriscope.core.hooks import Layer
from attriscope.core.inputs import Inputs, gather_examples, resolve_baselines


class LayerDeepLift(LayerAttribution, GradientAttribution):
    """What the difference of a layer's values contributed to the difference of the output (arXiv 1704.02685).

    The rules are those of :class:`DeepLift`. The attributions of each example add up to ``f(input) - f(baseline)``, if
    there is no way around the layer.

    Args:
        model: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, which all come from one pass.
        multiply_by_inputs: ``False`` leaves out the difference of the values: multipliers instead of contributions.
        eps, rules: as for :class:`DeepLift`.
    """

    _method: type[DeepLift] = DeepLift

    def __init__(
        self,
        model: Any,
        layer: Layer | list[Layer],
        multiply_by_inputs: bool = True,
        eps: float = 1e-10,
        rules: dict[Any, Any] | None = None,
    ) -> None:
        super().__init__(model, layer)
        self.model = model
        self._inner = self._method(model, multiply_by_inputs, eps, rules)

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._inner.multiplies_by_inputs

    def has_convergence_delta(self) -> bool:
        """Yes: the attributions add up to the change of the output."""
        return True

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., return_convergence_delta: Literal[False] = ..., attribute_to_layer_input: bool = ...,
        custom_attribution_func: CustomAttribution | None = ..., grad_kwargs: dict[str, Any] | None = ...
    ) -> PerLayer: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., *, return_convergence_delta: Literal[True], attribute_to_layer_input: bool = ...,
        custom_attribution_func: CustomAttribution | None = ..., grad_kwargs: dict[str, Any] | None = ...
    ) -> tuple[PerLayer, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any = ..., target: Any = ..., additional_forward_args: Any =
        ..., return_convergence_delta: bool = ..., attribute_to_layer_input: bool = ...,
        custom_attribution_func: CustomAttribution | None = ..., grad_kwargs: dict[str, Any] | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        custom_attribution_func: CustomAttribution | None = None,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Iterator[PartialResult[PerLayer | tuple[PerLayer, Tensor]]]:
        """Compare what the layer holds for the inputs with what it holds for the baselines.

        Args:
            inputs, baselines, target, additional_forward_args: as for :meth:`DeepLift.attribute`; inputs may be of
                any type.
            return_convergence_delta: also return the sum of the attributions minus ``f(inputs) - f(baselines)``.
            attribute_to_layer_input: use the layer's input instead of its output.
            custom_attribution_func: as for :meth:`DeepLift.attribute`, with tuples of the layer's tensors.
            grad_kwargs: keyword arguments for :func:`torch.autograd.grad`.

        Returns:
            For each layer a tensor of the shape that passes there, or a tuple if several tensors do; a list of these if
            ``layer`` was a list. Detached. With ``return_convergence_delta`` a pair with the deltas, of shape (N,), or
            (layers, N) for several layers.

        Raises:
            LayerError: the layer did not run, or no floating point tensor passed there.
            OperationError, InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`DeepLift.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        starts = resolve_baselines(baselines, examples)
        site = self._site(attribute_to_layer_input)
        yield from compare(
            self._inner, examples, starts, target, custom_attribution_func, self._form, site, grad_kwargs
        )


class LayerDeepLiftShap(LayerDeepLift):
    """:class:`LayerDeepLift` averaged over a distribution of baselines (arXiv 1705.07874).

    Args:
        model, layer, multiply_by_inputs, eps, rules: as for :class:`LayerDeepLift`.
    """

    _method = DeepLiftShap

    @overload  # type: ignore[override]
    def attribute(
        self, inputs: Inputs, baselines: Any, target: Any = ...,
        additional_forward_args: Any = ..., return_convergence_delta: Literal[False] = ...,
        attribute_to_layer_input: bool = ..., custom_attribution_func: CustomAttribution | None = ...,
        internal_batch_size: int | None = ...
    ) -> PerLayer: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any, target: Any = ...,
        additional_forward_args: Any = ..., *, return_convergence_delta: Literal[True],
        attribute_to_layer_input: bool = ..., custom_attribution_func: CustomAttribution | None = ...,
        internal_batch_size: int | None = ...
    ) -> tuple[PerLayer, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any, target: Any = ...,
        additional_forward_args: Any = ..., return_convergence_delta: bool = ...,
        attribute_to_layer_input: bool = ..., custom_attribution_func: CustomAttribution | None = ...,
        internal_batch_size: int | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        baselines: Any,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        custom_attribution_func: CustomAttribution | None = None,
        internal_batch_size: int | None = None,
    ) -> Iterator[PartialResult[PerLayer | tuple[PerLayer, Tensor]]]:
        """Compare every input with every baseline, at the layer.

        Args:
            inputs, baselines, target, additional_forward_args, custom_attribution_func, internal_batch_size: as for
                :meth:`DeepLiftShap.attribute`.
            return_convergence_delta, attribute_to_layer_input: as for :meth:`LayerDeepLift.attribute`.

        Returns:
            As for :meth:`LayerDeepLift.attribute`, with deltas of shape (N * M,), or (layers, N * M).

        Raises:
            InputError, InputTypeError: also for fewer than two baselines.
            LayerError, OperationError, TargetError, NonFiniteError: as for :meth:`LayerDeepLift.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        starts = distribution(baselines, examples, inputs)
        batch = check_batch(internal_batch_size, "internal_batch_size")
        site = self._site(attribute_to_layer_input)
        yield from compare_all(
            self._inner, examples, starts, target, custom_attribution_func, self._form, batch, site
        )


class LayerLRP(LayerAttribution, GradientAttribution):
    """The relevance that reaches a layer (Bach et al. 2015, doi 10.1371/journal.pone.0130140).

    The rules are those of :class:`LRP`.

    Args:
        model: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, which all come from one pass, unless
            one lies within a function that is written out: then each has a pass of its own.
        rules: as for :class:`LRP`.
    """

    def __init__(self, model: Any, layer: Layer | list[Layer], rules: dict[Any, Any] | None = None) -> None:
        super().__init__(model, layer)
        self.model = model
        self._inner = LRP(model, rules)

    @property
    def multiplies_by_inputs(self) -> bool:
        """Always: relevance is a contribution."""
        return True

    def has_convergence_delta(self) -> bool:
        """Yes: relevance is conserved but for biases and epsilon."""
        return True

    @overload
    def attribute(
        self, inputs: Inputs, target: Any = ..., additional_forward_args: Any = ...,
        return_convergence_delta: Literal[False] = ..., attribute_to_layer_input: bool = ..., verbose: bool =
        ...
    ) -> PerLayer: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, target: Any = ..., additional_forward_args: Any = ..., *,
        return_convergence_delta: Literal[True], attribute_to_layer_input: bool = ..., verbose: bool = ...
    ) -> tuple[PerLayer, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, target: Any = ..., additional_forward_args: Any = ...,
        return_convergence_delta: bool = ..., attribute_to_layer_input: bool = ..., verbose: bool =
        ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        verbose: bool = False,
    ) -> Iterator[PartialResult[PerLayer | tuple[PerLayer, Tensor]]]:
        """Propagate the output's relevance to the layer.

        Args:
            inputs, target, additional_forward_args, verbose: as for :meth:`LRP.attribute`; inputs may be of any type.
            return_convergence_delta: also return the output minus the sum of the attributions (Captum's sign).
            attribute_to_layer_input: use the layer's input instead of its output.

        Returns:
            For each layer a tensor of the shape that passes there, or a tuple if several tensors do; a list of these if
            ``layer`` was a list. Detached. With ``return_convergence_delta`` a pair with the deltas, of shape (N,), or
            (layers, N) for several layers.

        Raises:
            LayerError: the layer did not run, or no floating point tensor passed there.
            OperationError, InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`LRP.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        yield from relevances(
            self._inner, examples, target, self._form, verbose, self._site(attribute_to_layer_input)
        )

    compute_convergence_delta = LRP.compute_convergence_delta  # type: ignore[assignment]
