"""Attribution over a whole data set that comes batch by batch, to a metric of it.

The method inside explains a function of which features are there, see
:mod:`attriscope.attr.perturbation`; one call of that function is a pass through the data.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._base import Attribution
from attriscope.attr._features import Features, resolve_features
from attriscope.attr._streaming import partial_results, streaming
from attriscope.attr.perturbation.feature_ablation import FeatureAblation
from attriscope.attr.perturbation.feature_permutation import FeaturePermutation
from attriscope.attr.perturbation.lime import Lime
from attriscope.attr.perturbation.occlusion import Occlusion
from attriscope.attr.perturbation.shapley import ShapleyValueSampling
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.core.inputs import Examples, TensorOrTuple, describe, gather_examples, resolve_baselines
from attriscope.core.passes import kept_buffers

_HELD = 1 << 24  # numbers that the accumulated outputs of one pass may hold
_UNKNOWN = 1 << 16  # what an accumulator of a user's own type is taken to hold


class InputRole:
    """What happens to an entry of a batch.

    Attributes:
        need_attr: it goes to ``forward_func`` and is explained.
        need_forward: it goes to ``forward_func`` only.
        no_forward: it goes to ``reduce`` only, like a label.
    """

    need_attr = 0
    need_forward = 1
    no_forward = 2


class DataLoaderAttribution(Attribution):
    """Explains a metric of a whole data set by the features of its examples.

    A feature is switched off in all examples at once; the metric is computed from the outputs of all batches.

    Compared with Captum: besides :class:`FeatureAblation` the methods :class:`ShapleyValueSampling`,
    :class:`ShapleyValues`, :class:`KernelShap` and :class:`Lime` work, many perturbations share a pass through the
    data, and masks may have gaps.

    Args:
        attr_method: an instance of one of these.
    """

    def __init__(self, attr_method: Attribution) -> None:
        works = isinstance(attr_method, FeatureAblation | ShapleyValueSampling | Lime)
        if not works or isinstance(attr_method, FeaturePermutation | Occlusion):
            raise InputTypeError(
                "DataLoaderAttribution works with FeatureAblation, ShapleyValueSampling, ShapleyValues, KernelShap and "
                f"Lime, but {describe(attr_method)} of type {type(attr_method).__name__} came"
            )
        super().__init__(attr_method.forward_func)
        self.attr_method = attr_method

    @property
    def multiplies_by_inputs(self) -> bool:
        """As the method inside."""
        return self.attr_method.multiplies_by_inputs

    @streaming
    def attribute(
        self,
        dataloader: Iterable[Any],
        input_roles: tuple[int, ...] | None = None,
        baselines: Any = None,
        feature_mask: Any = None,
        reduce: Callable[[Any, Any, tuple[Any, ...]], Any] | None = None,
        to_metric: Callable[[Any], Tensor] | None = None,
        perturbations_per_pass: int | None = None,
        show_progress: bool = False,
        return_input_shape: bool = True,
        **kwargs: Any,
    ) -> Iterator[PartialResult[TensorOrTuple]]:
        """Explain the metric.

        Args:
            dataloader: gives batches: tensors, or lists or tuples of entries. It is gone through several times.
            input_roles: what each entry of a batch is, see :class:`InputRole`; ``None`` explains all.
            baselines: as for the method inside, for the explained entries, with first dimensions of 1.
            feature_mask: the same; ``None`` makes every element of an example a feature.
            reduce: called for each batch as ``reduce(accumulated, output, entries)``, beginning with ``None``;
                returns what was accumulated. ``None`` (default) joins the outputs along dimension 0.
            to_metric: turns what was accumulated over all batches into the explained tensor; ``None`` takes it as is.
            perturbations_per_pass: how many perturbed data sets go through the model in one pass through the data;
                ``None`` (default) takes as many as there are, as long as what they accumulate is small.
            show_progress: print a progress bar; its rows are perturbed data sets.
            return_input_shape: hand each feature's number to all its elements (default).
            **kwargs: further arguments of the method inside, such as ``n_samples``.

        Returns:
            A tensor (metric numbers, *shape of one example), or a tuple of these if batches are lists or tuples;
            without ``return_input_shape`` a tensor (metric numbers, F), of which a column belongs to each number from
            the smallest to the largest in ``feature_mask``.

        Raises:
            InputTypeError, InputError: no batches; roles, baselines or masks that do not fit; a metric that is no
                tensor.
        """
        check_batch(perturbations_per_pass, "perturbations_per_pass")
        data = _Data(dataloader, input_roles, baselines, feature_mask)
        metric = _Metric(self.forward_func, data, reduce, to_metric, perturbations_per_pass)
        method = copy.copy(self.attr_method)
        method.forward_func = metric
        present = torch.ones(1, data.features.count, device=data.examples.tensors[0].device)
        given = {"perturbations_per_eval": perturbations_per_pass, "show_progress": show_progress, **kwargs}

        def formed(values: Any) -> Any:
            numbers = values.reshape(-1, data.features.count)
            if not return_input_shape:
                return data.features.dense(numbers)
            return data.examples.form(
                data.features.to_elements(numbers, tuple(x.device for x in data.examples.tensors))
            )

        for result in partial_results(method, present, **given):
            yield _formed(result, formed)


def _formed(result: PartialResult, form: Callable[[Any], Any]) -> PartialResult:
    """The same for the data's features."""

    def error() -> Any:
        found = None if result.error is None else result.error()
        return None if found is None else form(found)

    return PartialResult(lambda: form(result.attributions()), None, error, result.evaluations)


class _Data:
    """What comes out of a data loader, and which features its examples have."""

    def __init__(self, loader: Iterable[Any], roles: Any, baselines: Any, mask: Any) -> None:
        self._loader = loader
        first = next(iter(loader), None)
        if first is None:
            raise InputError("dataloader gives no batches")
        entries, single = _entries(first)
        self.roles = (InputRole.need_attr,) * len(entries) if roles is None else tuple(roles)
        if len(self.roles) != len(entries):
            raise InputError(
                f"input_roles must have one entry for each of the {len(entries)} that a batch has, but "
                f"{describe(roles)} came"
            )
        if InputRole.need_attr not in self.roles or not set(self.roles) <= {0, 1, 2}:
            raise InputError(
                "input_roles must be InputRole.need_attr (0), need_forward (1) or no_forward (2), and need_attr at "
                f"least once, but {describe(roles)} came"
            )
        explained = gather_examples(tuple(self._explained(entries)))
        self.examples = Examples(explained.tensors, single)
        self._baselines = baselines
        self.features = self._resolved(mask)
        starts = resolve_baselines(baselines, self.examples, wide=True)
        if any(b.shape[0] != 1 for b in starts):
            raise InputError(
                "the first dimension of a baseline must be 1, so that it fits batches of any size, but "
                f"{describe(baselines)} came"
            )
        self.starts = starts

    def _explained(self, entries: tuple[Any, ...]) -> list[Any]:
        return [e for e, role in zip(entries, self.roles, strict=True) if role == InputRole.need_attr]

    def _resolved(self, mask: Any) -> Features:
        """Masks must fit a single example: batches may be of any size."""
        one = Examples(tuple(x[:1] for x in self.examples.tensors), self.examples.single)
        return resolve_features(mask, one)

    def batches(self) -> Iterator[tuple[Any, ...]]:
        """One pass through the data."""
        for batch in self._loader:
            entries, _ = _entries(batch)
            if len(entries) != len(self.roles):
                raise InputError(
                    f"a batch has {len(entries)} entries, but the first one had {len(self.roles)}"
                )
            yield entries

    def perturbed(self, entries: tuple[Any, ...], keep: Tensor) -> tuple[Any, ...]:
        """A batch in which only the features in ``keep`` (F,) come from the data."""
        inputs = tuple(self._explained(entries))
        changed = iter(self.features.mix(keep[None], inputs, self.starts, slice(0, inputs[0].shape[0])))
        return tuple(
            next(changed) if role == InputRole.need_attr else e
            for e, role in zip(entries, self.roles, strict=True)
        )


def _entries(batch: Any) -> tuple[tuple[Any, ...], bool]:
    """The entries of a batch, and whether it was a bare tensor."""
    if isinstance(batch, Tensor):
        return (batch,), True
    if isinstance(batch, list | tuple) and batch:
        return tuple(batch), False
    raise InputTypeError(
        f"dataloader must give tensors, or lists or tuples of entries, but {describe(batch)} of type "
        f"{type(batch).__name__} came"
    )


@dataclasses.dataclass(eq=False)
class _Metric:
    """The metric as a function of which features are there: rows of 0 and 1 (n, F) go in, (n, *metric) comes out."""

    forward: Callable[..., Any]
    data: _Data
    reduce: Callable[[Any, Any, tuple[Any, ...]], Any] | None
    to_metric: Callable[[Any], Tensor] | None
    per_pass: int | None
    held: int = 0  # numbers in an accumulator
    independent_rows: bool = True  # each is a pass through the data: none is spent on finding that out

    def __call__(self, rows: Tensor) -> Tensor:
        at_once = self.per_pass or (max(1, _HELD // self.held) if self.held else 1)
        with kept_buffers(self.forward):
            found = [metric for part in rows.split(at_once) for metric in self._pass(part)]
        return torch.stack(found)

    def _pass(self, rows: Tensor) -> list[Tensor]:
        kept: list[Any] = [None] * len(rows)
        for entries in self.data.batches():
            for i, row in enumerate(rows):
                perturbed = self.data.perturbed(entries, row != 0)
                given = (
                    e for e, r in zip(perturbed, self.data.roles, strict=True) if r != InputRole.no_forward
                )
                output = self.forward(*given)
                kept[i] = (
                    self._joined(kept[i], output)
                    if self.reduce is None
                    else self.reduce(kept[i], output, perturbed)
                )
        self.held = max(self.held, kept[0].numel() if isinstance(kept[0], Tensor) else _UNKNOWN, 1)
        metrics = [k if self.to_metric is None else self.to_metric(k) for k in kept]
        for metric in metrics:
            if not isinstance(metric, Tensor):
                raise InputTypeError(
                    "Accumulated metrics for attribution must be a Tensor; reduce and to_metric gave "
                    f"{describe(metric)} of type {type(metric).__name__}"
                )
        return metrics

    @staticmethod
    def _joined(accumulated: Tensor | None, output: Tensor) -> Tensor:
        return output if accumulated is None else torch.cat([accumulated, output])
