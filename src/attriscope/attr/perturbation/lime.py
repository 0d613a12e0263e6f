"""Lime: a simple model is fitted to what the network says near one input, and explained instead.

The simple models are in :mod:`attriscope.attr.linear`, how near a sample is in
:mod:`attriscope.attr.perturbation.similarity`.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._base import PerturbationAttribution
from attriscope.attr._features import resolve_features
from attriscope.attr._random import check_count, check_generator
from attriscope.attr._streaming import streaming
from attriscope.attr.perturbation._lime_samples import (
    LimeSamples,
    LimeSetup,
    default_from_interp_rep_transform,
    default_perturb_func,
    fit,
)
from attriscope.attr.perturbation._runner import Query, Runner, estimates
from attriscope.attr.perturbation.background import gather_setting
from attriscope.attr.perturbation.similarity import get_exp_kernel_similarity_function
from attriscope.attr.perturbation.surrogate_models import Lasso
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.frames import numbers_in
from attriscope.core.inputs import (
    Examples,
    Inputs,
    SameForm,
    as_tensor,
    describe,
    gather_examples,
)

_AT_ONCE = 1 << 22  # numbers in samples that are drawn before the model sees them


class LimeBase(PerturbationAttribution):
    """A surrogate model fitted to samples around an input; what samples are, and how near, is up to the caller.

    Ribeiro et al. 2016 (arXiv 1602.04938).

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``; one
            number per sample.
        interpretable_model: what is fitted: a model of :mod:`attriscope.attr.linear`, or any object with
            ``fit(dataloader)`` and ``representation()``, or with scikit-learn's ``fit`` and ``coef_``.
        similarity_func: called as ``similarity_func(inputs, perturbed_inputs, interpretable_sample, **kwargs)``; the
            weight of a sample.
        perturb_func: called as ``perturb_func(inputs, **kwargs)``; a random sample, or a generator function of samples.
        perturb_interpretable_space: whether samples are interpretable vectors (1, F), or perturbed inputs.
        from_interp_rep_transform: called as ``(sample, inputs, **kwargs)``; makes perturbed inputs of vectors.
        to_interp_rep_transform: called as ``(sample, inputs, **kwargs)``; makes vectors of perturbed inputs.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any,
        similarity_func: Callable[..., Any],
        perturb_func: Callable[..., Any],
        perturb_interpretable_space: bool,
        from_interp_rep_transform: Callable[..., Any] | None,
        to_interp_rep_transform: Callable[..., Any] | None,
    ) -> None:
        super().__init__(forward_func)
        if not hasattr(interpretable_model, "fit") or isinstance(interpretable_model, type):
            raise InputTypeError(
                "interpretable_model must be an object with a method fit, such as attriscope.attr.linear.Ridge(), but "
                f"{describe(interpretable_model)} came"
            )
        needed = from_interp_rep_transform if perturb_interpretable_space else to_interp_rep_transform
        if needed is None:
            which = "from_interp_rep_transform" if perturb_interpretable_space else "to_interp_rep_transform"
            raise InputTypeError(
                f"with perturb_interpretable_space={perturb_interpretable_space}, {which} must be a function, not None"
            )
        self.interpretable_model = interpretable_model
        self.similarity_func = similarity_func
        self.perturb_func = perturb_func
        self.perturb_interpretable_space = perturb_interpretable_space
        self.from_interp_rep_transform = from_interp_rep_transform
        self.to_interp_rep_transform = to_interp_rep_transform

    @property
    def multiplies_by_inputs(self) -> bool:
        """No: coefficients are what the surrogate model makes them."""
        return False

    @streaming
    def attribute(
        self,
        inputs: Inputs,
        target: Any = None,
        additional_forward_args: Any = None,
        n_samples: int = 50,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Iterator[PartialResult[Any]]:
        """Draw samples, run the model on them and fit the surrogate.

        Args:
            inputs: a tensor or tuple of tensors of any type. They are one input, even if there are several examples.
            target, additional_forward_args, show_progress: as for :meth:`FeatureAblation.attribute`.
            n_samples: how many samples are drawn. A generator may end before, with a warning.
            perturbations_per_eval: how many samples go through the model at a time; ``None`` (default) measures and
                chooses. Samples of differing shapes go one by one.
            **kwargs: handed on to the functions given at construction.

        Returns:
            The surrogate's representation: for linear models the coefficients, (1, F).

        Raises:
            InputError: the output is not one number per sample. Else as :meth:`FeatureAblation.attribute`.
        """
        inputs = numbers_in(inputs)
        examples = gather_examples(inputs, additional_forward_args)
        samples = check_count(n_samples, "n_samples")
        query = Query(
            self, examples, target, perturbations_per_eval, single=True, show_progress=show_progress
        )
        runner, draw = Runner(query, samples), self._sampler(inputs, examples, kwargs)
        numbers = sum(x.numel() for x in examples.tensors)
        at_once = max(1, min(samples, _AT_ONCE // max(numbers, 1)))
        points: list[Tensor] = []
        weights: list[Tensor] = []
        outputs: list[Tensor] = []

        def fitted() -> Any:
            count = sum(len(values) for values in outputs)
            x, y, w = (torch.cat(parts)[:count].float() for parts in (points, outputs, weights))
            return fit(self.interpretable_model, x, y, w.to(x.device))

        try:
            while len(points) < samples:
                first, drawn = len(points), list[tuple[Tensor, ...]]()
                for point, perturbed, weight in draw(min(at_once, samples - first)):
                    points.append(point)
                    drawn.append(perturbed)
                    weights.append(weight)
                if not drawn:
                    break
                rows, alike = _rows_of(drawn, first)
                for _, values in runner.ask(first, len(points), rows, together=alike):
                    if values.shape[1] != 1:
                        raise InputError(
                            "Number of outputs is not appropriate, must return one output per perturbed input, but "
                            f"{values.shape[1]} came; explain the examples one by one, or use Lime"
                        )
                    outputs.append(values[:, 0].to(points[0].device))
                    yield PartialResult(fitted, evaluations=runner.evaluations)
        finally:
            runner.close()
        if not outputs:
            raise InputError("perturb_func gave no sample")

    def _sampler(
        self, inputs: Inputs, examples: Examples, kwargs: dict[str, Any]
    ) -> Callable[[int], Iterator[tuple[Tensor, tuple[Tensor, ...], Tensor]]]:
        """Draws samples: the interpretable vector (1, F), the perturbed inputs, and the weight (1,)."""
        stream = (
            self.perturb_func(inputs, **kwargs) if inspect.isgeneratorfunction(self.perturb_func) else None
        )

        def draw(count: int) -> Iterator[tuple[Tensor, tuple[Tensor, ...], Tensor]]:
            for _ in range(count):
                with torch.no_grad():
                    sample = self.perturb_func(inputs, **kwargs) if stream is None else next(stream, None)
                    if sample is None:
                        warnings.warn(
                            "Generator completed prior to given n_samples iterations!", stacklevel=2
                        )
                        return
                    if self.perturb_interpretable_space:
                        assert self.from_interp_rep_transform is not None
                        point, perturbed = sample, self.from_interp_rep_transform(sample, inputs, **kwargs)
                    else:
                        assert self.to_interp_rep_transform is not None
                        point, perturbed = self.to_interp_rep_transform(sample, inputs, **kwargs), sample
                    weight = as_tensor(self.similarity_func(inputs, perturbed, point, **kwargs))
                yield point, examples.per_input(perturbed), weight.flatten()

        return draw


def _rows_of(
    drawn: list[tuple[Tensor, ...]], first: int
) -> tuple[Callable[[slice, slice], tuple[Tensor, ...]], bool]:
    """Makes rows of samples that are there, and says whether all have one shape."""

    def rows(steps: slice, part: slice) -> tuple[Tensor, ...]:
        chosen = drawn[steps.start - first : steps.stop - first]
        if len(chosen) == 1:
            return tuple(x.clone() for x in chosen[0])
        return tuple(torch.cat([x[part] for x in column]) for column in zip(*chosen, strict=True))

    return rows, len({tuple(x.shape for x in sample) for sample in drawn}) == 1


# --- Lime -----------------------------------------------------------------------------------------------------------


class Lime(LimeBase):
    """A linear model fitted to the outputs where random features are replaced by their baselines.

    LIME, Ribeiro et al. 2016 (arXiv 1602.04938). Samples near the input count more; the coefficients are the
    attributions. Each costs one row per example.

    Compared with Captum: all examples of a batch share their samples and are solved together, in torch, on the device
    of the inputs; with the same seed a single example gets Captum's samples. A user's own ``perturb_func`` or
    ``similarity_func`` is called for each sample and example, as in Captum.

    Args:
        forward_func: the model, or any function, called as ``forward_func(*inputs, *additional_forward_args)``. One
            number per example, or one for all examples together, which are then explained as one input.
        interpretable_model: as for :class:`LimeBase`; ``None`` is ``Lasso(alpha=0.01)``.
        similarity_func: as for :class:`LimeBase`; ``None`` is ``get_exp_kernel_similarity_function()``.
        perturb_func: as for :class:`LimeBase`, with samples (1, F) of 0 and 1; ``None`` draws each with equal chance.
            It gets ``feature_mask`` (numbered from 0 without gaps), ``baselines`` and ``num_interp_features`` by name.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any = None,
        similarity_func: Callable[..., Any] | None = None,
        perturb_func: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(
            forward_func,
            Lasso(alpha=0.01) if interpretable_model is None else interpretable_model,
            get_exp_kernel_similarity_function() if similarity_func is None else similarity_func,
            default_perturb_func if perturb_func is None else perturb_func,
            True,
            default_from_interp_rep_transform,
            None,
        )

    @streaming
    def attribute(  # type: ignore[override]
        self,
        inputs: SameForm,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        n_samples: int = 25,
        perturbations_per_eval: int | None = None,
        return_input_shape: bool = True,
        show_progress: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[PartialResult[SameForm | Tensor]]:
        """Fit a surrogate model to each example.

        Args:
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval, show_progress: as
                for :meth:`FeatureAblation.attribute`.
            n_samples: how many samples are drawn.
            return_input_shape: hand each feature's coefficient to all its elements (default); ``False`` returns the
                coefficients themselves.
            generator: where random numbers come from; ``None`` (default) is torch's global generator.

        Returns:
            float32 in the form of the inputs, of shape (N, *shape of one example); without ``return_input_shape`` a
            tensor (N, F), of which a column belongs to each number from the smallest to the largest in
            ``feature_mask``. If the output belongs to all examples together, the first dimension is 1.

        Raises:
            TargetError: the output is not one number per example, or for all of them. Else as
                :meth:`FeatureAblation.attribute`.
        """
        setting = gather_setting(inputs, additional_forward_args, baselines).one_each(self.get_name())
        examples, starts = setting.examples, setting.starts
        features = resolve_features(feature_mask, examples)
        samples, drawn_from = check_count(n_samples, "n_samples"), check_generator(generator)
        query = Query(
            self,
            examples,
            target,
            perturbations_per_eval,
            True,
            features.shared,
            show_progress,
            return_input_shape,
        )
        setup = LimeSetup(self.interpretable_model, self.similarity_func, self.perturb_func)
        plan = LimeSamples(setup, examples, starts, features, samples, return_input_shape, drawn_from)
        yield from estimates(query, plan)
