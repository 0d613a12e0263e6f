"""Expected gradients at a layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, overload

import torch
from torch import Tensor

from attriscope.attr._base import GradientAttribution, LayerAttribution, PerLayer
from attriscope.attr._random import Draws, check_count, check_stdevs
from attriscope.attr._random_paths import RandomPaths
from attriscope.attr._streaming import streaming
from attriscope.attr.gradient_shap import distribution_of, expected_gradients
from attriscope.attr.layer._token_paths import through_embeddings
from attriscope.core.estimate import PartialResult
from attriscope.core.hooks import Layer
from attriscope.core.inputs import Inputs, gather_examples


class LayerGradientShap(LayerAttribution, GradientAttribution):
    """Expected gradients at a layer: its gradient at random points between baselines and inputs, times how much its
    values change from the baseline to the input, averaged.

    Lundberg and Lee 2017 (arXiv 1705.07874), Erion et al. 2019 (arXiv 1906.10670). The points are those of
    :class:`GradientShap`, in the space of the inputs.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, or a list of these, which all come from the same passes.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
        multiply_by_inputs: ``False`` leaves out the change of the values.
    """

    def __init__(
        self,
        forward_func: Any,
        layer: Layer | list[Layer],
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs

    @property
    def multiplies_by_inputs(self) -> bool:
        """As chosen at construction."""
        return self._multiply_by_inputs

    def has_convergence_delta(self) -> bool:
        """Yes: each sample's attributions should add up to the change of the output, if what follows were linear."""
        return True

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any, n_samples: int = ..., stdevs: float | tuple[float, ...] =
        ..., target: Any = ..., additional_forward_args: Any = ..., return_convergence_delta: Literal[False] =
        ..., attribute_to_layer_input: bool = ..., *, generator: torch.Generator | None = ...
    ) -> PerLayer: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any, n_samples: int = ..., stdevs: float | tuple[float, ...] =
        ..., target: Any = ..., additional_forward_args: Any = ..., *, return_convergence_delta:
        Literal[True], attribute_to_layer_input: bool = ..., generator: torch.Generator | None = ...
    ) -> tuple[PerLayer, Tensor]: ...  # fmt: skip

    @overload
    def attribute(
        self, inputs: Inputs, baselines: Any, n_samples: int = ..., stdevs: float | tuple[float, ...] =
        ..., target: Any = ..., additional_forward_args: Any = ..., return_convergence_delta: bool = ...,
        attribute_to_layer_input: bool = ..., *, generator: torch.Generator | None = ...
    ) -> Any: ...  # fmt: skip

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        baselines: Any,
        n_samples: int = 5,
        stdevs: float | tuple[float, ...] = 0.0,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        attribute_to_layer_input: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[PartialResult[PerLayer | tuple[PerLayer, Tensor]]]:
        """Average the layer's gradients between inputs and baselines.

        Args:
            inputs, baselines, n_samples, stdevs, target, additional_forward_args, generator: as for
                :meth:`GradientShap.attribute`. Inputs may be token ids: then paths, and the noise of ``stdevs``, are in
                the space of the vectors that the model's embeddings give.
            return_convergence_delta: also return for each sample the sum of its attributions minus the difference of f
                at the two ends of its path.
            attribute_to_layer_input: use the layer's input instead of its output.

        Returns:
            For each layer a tensor of the shape that passes there (float32 for half precision), or a tuple if several
            tensors do; a list of these if ``layer`` was a list. Detached. With ``return_convergence_delta`` a pair with
            the deltas, of shape (N * n_samples,), or (layers, N * n_samples) for several layers.

        Raises:
            LayerError: the layer did not run, or what passes there does not belong to examples.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`GradientShap.attribute`.
        """
        examples = gather_examples(inputs, additional_forward_args)
        distribution = distribution_of(baselines, inputs, examples)
        explained, examples, distribution = through_embeddings(self, examples, distribution)
        samples = check_count(n_samples, "n_samples")
        deviations = check_stdevs(stdevs, examples)
        paths = RandomPaths(examples, distribution, samples, deviations, Draws(generator))
        yield from expected_gradients(
            explained,
            paths,
            target,
            self._form,
            return_convergence_delta,
            self._site(attribute_to_layer_input),
        )
