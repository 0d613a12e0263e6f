"""Changing what a layer holds, and looking at what the output does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from attriscope.attr._base import LayerAttribution, PerLayer, PerturbationAttribution
from attriscope.attr._streaming import streaming
from attriscope.attr.at import each_layer
from attriscope.attr.perturbation.feature_ablation import FeatureAblation
from attriscope.attr.perturbation.feature_permutation import FeaturePermutation
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Inputs, gather_examples


class LayerFeatureAblation(LayerAttribution, PerturbationAttribution):
    """How much the output falls when part of what a layer holds is replaced by a baseline.

    What comes before the layer is not computed again for each perturbation; see :class:`At`.

    Args:
        forward_func: the model, or any function that runs it.
        layer: a module of the model, its path, a :class:`Call` of it, or a list of these, each of which is ablated by
            itself.
        device_ids: accepted for compatibility; a ``DataParallel`` model is run as the module inside it.
    """

    @property
    def attributor(self) -> type[FeatureAblation]:
        """The method that is applied at the layer."""
        return FeatureAblation

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        layer_baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        layer_mask: Any = None,
        attribute_to_layer_input: bool = False,
        perturbations_per_eval: int | None = None,
    ) -> Iterator[PartialResult[PerLayer]]:
        """Ablate the layer feature by feature.

        Args:
            inputs: inputs of the model, of any type, N examples in dimension 0.
            layer_baselines: what stands in place of a feature: ``None`` (zero), a number, or a tensor of the shape that
                passes at the layer; a tuple of these if several tensors do.
            target, additional_forward_args, perturbations_per_eval: as for :meth:`FeatureAblation.attribute`.
            layer_mask: which elements belong together, as ``feature_mask`` of :meth:`FeatureAblation.attribute`; e.g.
                ``torch.arange(C).reshape(1, C, 1, 1)`` for whole channels.
            attribute_to_layer_input: ablate the layer's input instead of its output.

        Returns:
            For each layer a tensor of the shape that passes there, or a tuple if several tensors do; a list of these if
            ``layer`` was a list.

        Raises:
            LayerError: the layer did not run, runs several times (say which with :class:`Call`), or what passes there
                does not belong to examples.
            InputTypeError, InputError, TargetError, NonFiniteError: as for :meth:`FeatureAblation.attribute`.
        """
        yield from each_layer(
            self,
            self.attributor,
            self._site(attribute_to_layer_input),
            gather_examples(inputs, additional_forward_args),
            {
                "baselines": layer_baselines,
                "target": target,
                "feature_mask": layer_mask,
                "perturbations_per_eval": perturbations_per_eval,
            },
            single=not isinstance(self.layer, list),
        )


class LayerFeaturePermutation(LayerFeatureAblation):
    """How much the output falls when part of what a layer holds is shuffled between the examples.

    Args:
        forward_func, layer, device_ids: as for :class:`LayerFeatureAblation`.
    """

    @property
    def attributor(self) -> type[FeaturePermutation]:
        """The method that is applied at the layer."""
        return FeaturePermutation

    @streaming
    def attribute(  # type: ignore[override]
        self,
        inputs: Inputs,
        target: Any = None,
        additional_forward_args: Any = None,
        layer_mask: Any = None,
        perturbations_per_eval: int | None = None,
        *,
        n_repeats: int = 1,
        generator: torch.Generator | None = None,
    ) -> Iterator[PartialResult[PerLayer]]:
        """Shuffle what the layer puts out, feature by feature.

        Args:
            inputs, target, additional_forward_args, layer_mask, perturbations_per_eval: as for
                :meth:`LayerFeatureAblation.attribute`.
            n_repeats, generator: as for :meth:`FeaturePermutation.attribute`.

        Returns:
            As for :meth:`LayerFeatureAblation.attribute`.

        Raises:
            As for :meth:`LayerFeatureAblation.attribute`.
        """
        yield from each_layer(
            self,
            self.attributor,
            self._site(False),
            gather_examples(inputs, additional_forward_args),
            {
                "target": target,
                "feature_mask": layer_mask,
                "perturbations_per_eval": perturbations_per_eval,
                "n_repeats": n_repeats,
                "generator": generator,
            },
            single=not isinstance(self.layer, list),
        )
