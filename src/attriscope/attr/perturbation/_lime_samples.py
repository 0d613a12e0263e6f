"""Lime's samples, the weights that they get, and the surrogate fitted to them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from attriscope.attr._features import Features
from attriscope.attr._random import device_of
from attriscope.attr.perturbation._game import Game
from attriscope.attr.perturbation._runner import OutputShape
from attriscope.attr.perturbation.similarity import ExponentialKernel, tensors_in
from attriscope.attr.perturbation.surrogate_models import LinearModel, SkLearnLinearModel, Solution
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, Inputs, TensorOrTuple, as_tensor, as_tuple, baseline_rows


def fit(model: Any, x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """A surrogate's representation after fitting it to samples (S, F), outputs (S,) and weights (S,), all float32."""
    if not hasattr(model, "representation"):
        # scikit-learn's own
        model.fit(*(t.detach().cpu().numpy() for t in (x, y)), sample_weight=weights.detach().cpu().numpy())
        return torch.as_tensor(model.coef_, dtype=torch.float32, device=x.device).reshape(1, -1)
    model.fit(_Loader(TensorDataset(x, y, weights), batch_size=len(x)))
    found = model.representation()
    return found.to(x.device) if isinstance(found, Tensor) else found


class _Loader(DataLoader[Any]):
    """Torch's, which draws a number on the default device for each pass; here always on the CPU."""

    def __iter__(self) -> Any:
        with torch.device("cpu"):
            return super().__iter__()


class Coefficients(Game):
    """A game whose numbers may be wanted as they are, and not in the shape of the inputs."""

    shaped = True

    def attributions(self, found: OutputShape) -> tuple[Tensor, ...]:
        """One number per feature, for each example or all together."""
        return self._formed(self.numbers(), found)

    def error(self, found: OutputShape) -> tuple[Tensor, ...] | None:
        """Their standard errors."""
        standard_errors = self.standard_errors()
        return None if standard_errors is None else self._formed(standard_errors, found)

    def _formed(self, numbers: Tensor, found: OutputShape) -> tuple[Tensor, ...]:
        if self.shaped:
            return self._to_elements(numbers, found)
        values = numbers.T.float().to(self.device)
        return (values if values.shape[1] != self.features.count else self.features.dense(values),)


@dataclasses.dataclass(frozen=True)
class LimeSetup:
    """The parts of a surrogate method that its user chooses; see :class:`attriscope.attr.LimeBase`."""

    model: Any
    similarity: Callable[..., Any]
    perturb: Callable[..., Any]


class LimeSamples(Coefficients):
    """Lime's samples, and the model fitted to them."""

    def __init__(
        self,
        setup: LimeSetup,
        examples: Examples,
        baselines: tuple[Tensor, ...],
        features: Features,
        samples: int,
        shaped: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(examples.plain, baselines, features)
        self._setup, self.shaped = setup, shaped
        self._custom = setup.perturb is not default_perturb_func
        # A user's own samples are drawn for each example, unless the output is one for all: a first step tells.
        self._asks = int(self._custom and examples.count > 1)
        self.steps = samples + self._asks
        self.checkpoints = (1,) if self._asks else ()
        self.ready = False
        self._whole = False
        self._kept: Solution | None = None
        self._values: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._points = torch.empty(0, device="cpu")  # (S, F), or (S, N, F) if the examples differ
        if not self._custom:
            chances = torch.full((samples, features.count), 0.5, device=device_of(generator))
            self._points = torch.bernoulli(chances, generator=generator).to(self.device)
        elif not self._asks:
            self._points = self._drawn(samples)

    def adapt(self, found: OutputShape) -> None:
        """Draw, now that it is known for whom."""
        self._points = self._drawn(self.steps - 1)

    def _drawn(self, samples: int) -> Tensor:
        """What the user's function draws, example by example."""
        series = []
        for example in self._separately():
            given, context = self._context(example)
            function = self._setup.perturb
            stream = function(given, **context) if inspect.isgeneratorfunction(function) else None
            drawn: list[Tensor] = []
            for _ in range(samples):
                point = function(given, **context) if stream is None else next(stream, None)
                if point is None:
                    raise InputError(f"perturb_func ended after {len(drawn)} of {samples} samples")
                drawn.append(point.reshape(1, -1))
            series.append(torch.cat(drawn).to(self.device))
        points = series[0] if len(series) == 1 else torch.stack(series, 1)
        if points.shape[-1] != self.features.count:
            raise InputError(
                f"perturb_func must give samples of shape (1, {self.features.count}), one number per feature, but "
                f"{points.shape[-1]} numbers came"
            )
        return points

    def _separately(self) -> list[slice]:
        count = self.examples.count
        return [slice(0, count)] if self._whole else [slice(i, i + 1) for i in range(count)]

    def _context(self, example: slice) -> tuple[TensorOrTuple, dict[str, Any]]:
        """An input as the user's functions get it, and the keyword arguments."""
        form = self.examples.form
        return form(self.examples.slices(example)), {
            "feature_mask": form(self.features.masks(example)),
            "baselines": form(tuple(baseline_rows(b, example) for b in self.baselines)),
            "num_interp_features": self.features.count,
        }

    def coalitions(self, steps: slice) -> Tensor:
        """Which features come from the inputs."""
        if self._asks and steps.start == 0:
            return torch.ones(1, self.features.count, dtype=torch.bool, device=self.device)
        return self._points[steps.start - self._asks : steps.stop - self._asks] != 0

    def take(self, steps: slice, values: Tensor) -> None:
        """Keep the outputs, and weigh the samples."""
        self._whole = values.shape[1] < self.examples.count
        if self._asks and steps.start == 0:
            return
        self._kept = None
        self._values.append(values.to(self.device))
        similarity = self._setup.similarity
        if not isinstance(similarity, ExponentialKernel):
            self._weights.append(self._similarities(steps))
        self.ready = True

    def _similarities(self, steps: slice) -> Tensor:
        """What the user's function says about each sample and example, (steps, examples)."""
        series = []
        for i, example in enumerate(self._separately()):
            given, context = self._context(example)
            keep = self.coalitions(steps)
            points = self._points[steps.start - self._asks : steps.stop - self._asks]
            if keep.dim() == 3:
                keep, points = keep[:, i], points[:, i]
            inputs = self.examples.slices(example)
            found = []
            for on, point in zip(keep, points, strict=True):
                perturbed = self.examples.form(self.features.mix(on[None], inputs, self.baselines, example))
                weight = self._setup.similarity(given, perturbed, point[None], **context)
                found.append(torch.as_tensor(weight, device=self.device).reshape(()))
            series.append(torch.stack(found))
        return torch.stack(series, 1)

    def _data(self) -> tuple[Tensor, Tensor, Tensor]:
        """Samples, outputs (S, M) and weights (S, M) so far."""
        y = torch.cat(self._values)
        points = self._points[: len(y)]
        similarity = self._setup.similarity
        if isinstance(similarity, ExponentialKernel):
            weights = similarity.weights(
                points != 0, self.examples, self.baselines, self.features, self._whole
            )
        else:
            weights = torch.cat(self._weights)
        return points, y, weights

    def _solution(self) -> Solution | None:
        """What a model of this library makes of the data; ``None`` for others. Kept until the next answers come."""
        model = self._setup.model
        if not isinstance(model, LinearModel) or isinstance(model, SkLearnLinearModel):
            return None
        if self._kept is None:
            self._kept = model.solve(*self._data())
            model.coefficients, model.intercepts = self._kept.coefficients[-1:], self._kept.intercepts[-1:]
        return self._kept

    def numbers(self) -> Tensor:
        """The coefficients, (F, M)."""
        solution, model = self._solution(), self._setup.model
        if solution is not None:
            return solution.coefficients.T
        x, y, weights = self._data()
        series = []
        for i in range(y.shape[1]):
            own = x if x.dim() == 2 else x[:, i]
            series.append(fit(model, own.float(), y[:, i].float(), weights[:, i].float()).reshape(-1))
        found_by_model = torch.stack(series, 1)
        if self.shaped and len(found_by_model) != self.features.count:
            raise InputError(
                f"the interpretable_model's representation has {len(found_by_model)} numbers for {self.features.count} "
                "features, so it cannot be put into the shape of the inputs; use return_input_shape=False"
            )
        return found_by_model

    def standard_errors(self) -> Tensor | None:
        """The standard errors of the coefficients, where the model has them."""
        solution = self._solution()
        errors = None if solution is None else solution.errors()
        return None if errors is None else errors.T


def default_perturb_func(original_inp: TensorOrTuple, **kwargs: Any) -> Tensor:
    """A sample (1, F) in which each feature is on with equal chance."""
    device = tensors_in(original_inp)[0].device
    chances = torch.full((1, kwargs["num_interp_features"]), 0.5, device="cpu")
    return torch.bernoulli(chances).to(device).long()


def default_from_interp_rep_transform(curr_sample: Tensor, original_inputs: Inputs, **kwargs: Any) -> Any:
    """The inputs with the features that are off in a sample (1, F) replaced by their baselines."""

    def mixed(x: Any, mask: Any, baseline: Any) -> Any:
        on = curr_sample[0].to(mask.device)[mask].to(x.device, torch.bool)
        return torch.where(on, x, as_tensor(baseline).to(x))

    masks, starts = kwargs["feature_mask"], kwargs["baselines"]
    if isinstance(original_inputs, Mapping):
        return {k: x if x is None else mixed(x, masks[k], starts[k]) for k, x in original_inputs.items()}
    several = zip(as_tuple(original_inputs), as_tuple(masks), as_tuple(starts), strict=True)
    found = tuple(x if x is None else mixed(x, mask, b) for x, mask, b in several)
    return found[0] if isinstance(original_inputs, Tensor) else found
