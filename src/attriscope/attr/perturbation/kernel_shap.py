"""KernelSHAP: Shapley values from a sample of coalitions.

Which coalitions, and what the outputs say: :mod:`attriscope.attr.perturbation._paired_coalitions` and
:mod:`attriscope.attr.perturbation._kriging`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._features import Features, resolve_features
from attriscope.attr._random import check_count, check_generator
from attriscope.attr._streaming import streaming
from attriscope.attr.perturbation._game import Enumeration
from attriscope.attr.perturbation._lime_samples import Coefficients
from attriscope.attr.perturbation._paired_coalitions import PairedCoalitions
from attriscope.attr.perturbation._runner import Query, estimates
from attriscope.attr.perturbation.background import gather_setting
from attriscope.attr.perturbation.lime import Lime
from attriscope.attr.perturbation.similarity import tensors_in
from attriscope.attr.perturbation.surrogate_models import LinearRegression
from attriscope.core.errors import InputError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Examples, SameForm, TensorOrTuple

_END_WEIGHT = 1_000_000.0  # stands for infinity
# With fewer samples per feature than the first number, only one in so many has its complement sampled too: coalitions
# that have nothing to do with each other tell more about the linear part, which is then most of what can be told.
_UNPAIRED = ((3, 8), (4, 3))


class KernelShap(Lime):
    """Shapley values estimated from the outputs of randomly chosen coalitions of features.

    KernelSHAP, Lundberg and Lee 2017 (arXiv 1705.07874). Coalitions are drawn in pairs of complements (Covert and Lee
    2021, arXiv 2012.01536), without replacement and by leverage (Musco and Witter 2024, arXiv 2410.01917). Where these
    papers solve a regression, here the game's interactions are estimated too (Gaussian conditioning, see
    :mod:`attriscope.attr.perturbation._kriging`), which at equal cost is several times more accurate. It is not
    unbiased: from few samples interactions come out too small, which the standard error takes into account. The
    attributions of each example add up to ``f(inputs) - f(baselines)``; when ``n_samples`` reaches 2^F for F features
    they are exact.

    Captum draws single coalitions, with replacement, and keeps the sum only nearly; it fails for one feature.

    Args:
        forward_func: as for :class:`Lime`.
    """

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        super().__init__(
            forward_func,
            LinearRegression(),
            self.kernel_shap_similarity_kernel,
            self.kernel_shap_perturb_generator,
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
        """Estimate Shapley values.

        Args:
            inputs, baselines, target, additional_forward_args, feature_mask, perturbations_per_eval,
                return_input_shape, show_progress: as for :meth:`Lime.attribute`.
            n_samples: the number of rows per example, at least 2: two are the inputs and the baselines themselves. All
                examples share the coalitions. No more than 2^F rows are run.
            generator: where random numbers come from; ``None`` (default) is torch's global generator.

        Returns:
            As :meth:`Lime.attribute`.

        Raises:
            As :meth:`Lime.attribute`.
        """
        setting = gather_setting(inputs, additional_forward_args, baselines)
        examples, starts = setting.examples, setting.starts
        features = resolve_features(feature_mask, examples)
        samples, drawn_from = check_count(n_samples, "n_samples"), check_generator(generator)
        if samples < 2:
            raise InputError("n_samples must be at least 2, because inputs and baselines are run, but 1 came")
        if features.count == 0:
            raise InputError("the inputs have no elements, so there are no features to explain")
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
        plan = _plan(examples, starts, features, samples, return_input_shape, drawn_from)
        yield from estimates(query, setting.carried_out(plan))

    def kernel_shap_similarity_kernel(
        self, _: Any, __: Any, interpretable_sample: Tensor, **kwargs: Any
    ) -> Tensor:
        """Captum's weight of a sample (1, F) that :meth:`kernel_shap_perturb_generator` drew, for use with Lime."""
        chosen = int(interpretable_sample.sum())
        weight = _END_WEIGHT if chosen in (0, kwargs["num_interp_features"]) else 1.0
        return torch.tensor([weight], device="cpu")

    def kernel_shap_perturb_generator(self, original_inp: TensorOrTuple, **kwargs: Any) -> Iterator[Tensor]:
        """Captum's samples (1, F), for use with Lime: all, none, and then sizes k with weight 1 / (k (F - k))."""
        device, count = tensors_in(original_inp)[0].device, kwargs["num_interp_features"]
        yield torch.ones(1, count, device=device, dtype=torch.long)
        yield torch.zeros(1, count, device=device, dtype=torch.long)
        sizes = torch.arange(1, count, dtype=torch.float64, device="cpu")
        while count > 1:
            size = torch.multinomial(1 / (sizes * (count - sizes)), 1) + 1
            yield (torch.randperm(count, device="cpu") < size).long()[None].to(device)


def _plan(
    examples: Examples,
    baselines: tuple[Tensor, ...],
    features: Features,
    samples: int,
    shaped: bool,
    generator: torch.Generator | None,
) -> Coefficients:
    if features.count < 60 and 1 << features.count <= samples:
        plan: Coefficients = _AllCoalitions(examples, baselines, features)
    else:
        share = next((s for limit, s in _UNPAIRED if samples < limit * features.count), 2)
        pairs = (samples - 2) // share
        rows = samples if share > 2 else 2 + 2 * pairs
        plan = _SampledCoalitions(examples, baselines, features, rows, pairs, generator)
    plan.shaped = shaped
    return plan


class _AllCoalitions(Enumeration, Coefficients):
    """Every coalition."""


class _SampledCoalitions(PairedCoalitions, Coefficients):
    """Some coalitions."""
