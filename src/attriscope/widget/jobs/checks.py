"""Three checks of the map on show: does it add up, does it stay, and is it of what the model has learned?

The Explorer holds a :class:`Checks`. The numbers are those of :mod:`attriscope.metrics`, the words and what they go by
stand here.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import Cancelled
from attriscope.core.progress import Parts
from attriscope.metrics import UndefinedMetricError, parameter_randomisation, sensitivity_average
from attriscope.metrics._model_outputs import outputs_of_rows
from attriscope.metrics.robustness import default_perturb_func
from attriscope.metrics.similarity import spearman
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.messages import wire
from attriscope.widget.messages.judgements import CheckedProperty, CheckName, RawChecks, Verdict
from attriscope.widget.methods.spec import SEED
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.model.explanation import explanation, remembering
from attriscope.widget.stages.stage import Words
from attriscope.widget.state.selection import Selection

# What the words go by: up to the first number a map is good, up to the second it is fair, and beyond it is poor.
BOUNDS: dict[CheckName, tuple[float, float]] = {
    "complete": (0.05, 0.2),
    "stable": (0.3, 0.7),
    "learned": (0.3, 0.7),
}
# Noise of this share of the input's range to both sides is not to be seen.
NOISE = 0.01
# Fewer values than these say nothing of how alike two maps are.
LEAST_VALUES = 10
# So many times noise is drawn: for methods of a pass or two, and for those that take longer.
DRAWS, DRAWS_OF_SLOW = 10, 4

_DOCS: dict[CheckName, str] = {
    "complete": (
        "Methods that promise completeness share out the change of the output from the baseline to {whole}. The "
        "gap is what is missing or too much, as a share of that change: good up to 5 %, poor beyond 20 %."
    ),
    "stable": (
        "{Whole} is explained again with uniform noise of 1 % of {range} to both sides, {draws} times. The "
        "relative change is the length of the change of the map over that of the map, on average: good up to 0.3, "
        "poor beyond 0.7."
    ),
    "learned": (
        "{Whole} is explained again on a copy of the model whose weights are all random. The similarity is "
        "Spearman's rank correlation of the sizes of the attributions, without values that are exactly zero in both "
        "maps, as where {whole} is the baseline: good up to 0.3, poor beyond 0.7."
    ),
}


@dataclasses.dataclass(frozen=True)
class Check:
    """One check of a map.

    Attributes:
        name: ``"complete"``, ``"stable"`` or ``"learned"``.
        verdict: ``"good"``, ``"fair"`` or ``"poor"``; ``"none"`` where there is nothing to be held to, or no number.
        value: what the verdict goes by, the lower the better: the gap as a share of what the map should add up to, the
            relative change of the map under noise, or its similarity to that of a model with random weights; ``None``
            if there is no such number.
        sentence: the same in words.
    """

    name: CheckName
    verdict: Verdict
    value: float | None
    sentence: str


@dataclasses.dataclass(frozen=True)
class CheckRequest:
    """That the map of a selection is to be checked.

    Attributes:
        selection: of the map.
        draws: how often noise is drawn.
    """

    selection: Selection
    draws: int


class Checks:
    """The latest checks, and of which weights they are.

    Args:
        explained: the model.

    Attributes:
        results: by name, those that are ready.
    """

    def __init__(self, explained: ExplainedModel) -> None:
        self.results: dict[str, Check] = {}
        self._weights: Any = None
        self._explained = explained

    def run(self, request: CheckRequest, job: ExplanationJob) -> None:
        """Do one check after the other, and show those that are done."""
        weights, selection = self._explained.weights(), request.selection
        heat = job.shown.heat
        asked = {**selection.request("checks"), "effort": selection.effort}
        title = job.labels.title(selection)
        words = self._explained.example(selection.example).stage.words

        def keep(results: dict[str, Check]) -> None:
            self.results, self._weights = results, weights

        def show(results: dict[str, Check], final: bool = False) -> None:
            message: RawChecks = {
                "title": title,
                "request": asked,
                "final": final,
                "outdated": False,
                "results": [_told(one, request.draws, words) for one in results.values()],
            }
            job.publish(functools.partial(keep, results), checks=message)

        what = "Checking the map"
        job.publish(functools.partial(keep, {}), checks={}, progress=0.0, message=what)
        known = job.state.input_attributions(selection, weights)
        steps = _Steps(request, self._explained, heat, self._adds_up(selection, job), known, show)
        for results in job.reported(what, steps.results(), every=True):
            show(results, final=len(results) == len(BOUNDS))

    @staticmethod
    def _adds_up(selection: Selection, job: ExplanationJob) -> bool:
        return job.registry.specs[selection.shown_method].adds_up

    def marked(self, message: RawChecks, weights: Any) -> RawChecks:
        """The checks on show, saying whether they are of other weights than these."""
        if self._weights is None or not message or message["outdated"] == (weights != self._weights):
            return message
        return {**message, "outdated": weights != self._weights}

    @property
    def known(self) -> bool:
        """Whether there are any."""
        return self._weights is not None

    def clear(self) -> None:
        """Let go of what was kept."""
        self.results, self._weights = {}, None


def _told(one: Check, draws: int, words: Words) -> CheckedProperty:
    whole = words.whole
    doc = _DOCS[one.name].format(
        draws=draws, whole=whole, Whole=whole[:1].upper() + whole[1:], range=words.noise_range
    )
    return {
        "name": one.name,
        "verdict": one.verdict,
        "value": one.value,
        "sentence": one.sentence,
        "doc": doc,
    }


class _Steps:
    """The checks of one map, one after the other: what costs nothing comes first.

    Args:
        request: of which map.
        explained: the model.
        heat: what is known of the map.
        adds_up: whether the method promises to add up, though it gives no delta.
        known: its attributions, where those are known.
        show: tells of a check that is still going on, beside those that are done.
    """

    def __init__(
        self,
        request: CheckRequest,
        explained: ExplainedModel,
        heat: Any,
        adds_up: bool,
        known: Tensor | None,
        show: Callable[[dict[str, Check]], None],
    ) -> None:
        self._explained, self._heat, self._adds_up = explained, heat, adds_up
        self._selection, self._draws, self._show = request.selection, request.draws, show
        example = explained.example(request.selection.example)
        self._examples, self._x, self._stage = example.examples, example.tensor, example.stage
        self._explain = remembering(
            explanation(explained, request.selection), explained.model, self._x, known
        )
        self._found: dict[str, Check] = {}
        self._asked: dict[str, Any] = (
            {"additional_forward_args": self._examples.arguments} if self._examples.arguments else {}
        )

    def results(self) -> Iterator[dict[str, Check]]:
        """What is known so far."""
        # How often the map is made, where it is not known: once and once again for "learned", once and once for each
        # noise.
        parts, last = Parts(3 + self._draws), 0
        steps: tuple[tuple[CheckName, Callable[[], Check], int], ...] = (
            ("complete", self._complete, 0),
            ("learned", self._learned, 2),
            ("stable", self._stable, 1 + self._draws),
        )
        for name, check, count in steps:
            if count == 0:
                done = _attempted(name, check)
            else:
                with parts.part(last, last + count, 0):
                    done = _attempted(name, check) if self._heat else _without_map(name)
            last += count
            self._found[name] = done
            yield self._so_far()

    def _so_far(self, *going_on: Check) -> dict[str, Check]:
        """What is known, in the usual order."""
        found = dict(self._found)
        found.update((one.name, one) for one in going_on)
        return {name: found[name] for name in BOUNDS if name in found}

    # --- the checks -------------------------------------------------------------------------------------------

    def _complete(self) -> Check:
        total, gap = self._heat.get("sum"), self._heat.get("gap")
        if total is None or (gap is None and not self._adds_up):
            return Check("complete", "none", None, "this method does not promise to add up.")
        wanted = self._change() if gap is None else total - gap
        off = abs(total - wanted) / abs(wanted) if wanted else (0.0 if total == 0 else None)
        whose = {
            "input": "{places} add up to {} of {}",
            "layer": "what the layer holds adds up to {} of {}",
            "neuron": "{places} add up to {} of the neuron's {}",
        }[self._selection.place]
        sums = whose.format(*_sums(total, wanted), places=self._stage.words.places)
        if off is None:
            return Check("complete", "none", None, f"{sums}, of which there is no share.")
        return Check("complete", _verdict("complete", off), off, f"{sums} ({_percent(off)} off).")

    def _change(self) -> float:
        """By how much the output changes from the baselines, on average, to the example."""
        example = self._explained.example(self._selection.example)
        starts = [one.value.expand_as(self._x) for one in example.baselines(self._selection)]
        rows = torch.cat([self._x, *starts])
        found = self._outputs(rows)
        return float(found[0] - found[1:].mean())

    def _outputs(self, rows: Tensor) -> Tensor:
        """The explained output for each of several pictures, (N,)."""
        return outputs_of_rows(
            self._explained.model,
            self._examples,
            self._selection.explained,
            len(rows),
            lambda steps, part: (rows[steps].clone(),),
        )[:, 0]

    def _learned(self) -> Check:
        likeness = _Likeness()
        found = parameter_randomisation(
            self._explain,
            self._explained.model,
            self._x,
            mode="complete",
            similarity=likeness,
            absolute=True,
            generator=torch.Generator().manual_seed(SEED),
            **self._asked,
        )
        if likeness.unknown:
            return Check("learned", "none", None, f"this could not be found out: {likeness.unknown}.")
        value = float(found.last)
        verdict = _verdict("learned", value)
        alike = f"(similarity {value:.2f}{likeness.over})".replace("-", "−")
        sentence = {
            "good": f"with random weights the map is another one {alike}.",
            "fair": f"with random weights part of the map is still there {alike}.",
            "poor": f"the map looks much the same when the model's weights are random {alike}: it shows "
            f"{self._stage.words.whole} rather than what was learned.",
        }[verdict]
        return Check("learned", verdict, value, sentence)

    def _stable(self) -> Check:
        noisy: list[Tensor] = []

        def noise(inputs: Tensor, radius: float, generator: torch.Generator | None = None) -> Tensor:
            (unit,) = default_perturb_func(torch.zeros_like(inputs), radius, generator=generator)
            found = inputs + unit * self._stage.noise_range
            noisy.append(found)
            return found

        first: list[tuple[Tensor, float]] = []  # the map itself, and its length
        changes: list[float] = []

        def explain(*given: Any, **more: Any) -> Tensor:
            found = self._explain(self._explained.model, *given, **more)
            if not first:
                first.append((found, _length(found)))
                return found
            map_on_show, length = first[0]
            if length > 0:  # else there is no such number, and the metric says so
                changes.append(_length(found - map_on_show) / length)
                if len(changes) < self._draws:
                    moved = self._moved(sum(changes) / len(changes))
                    so_far = f"{moved}, after {len(changes)} of {self._draws}."
                    self._show(self._so_far(Check("stable", "none", None, so_far)))
            return found

        value = float(
            sensitivity_average(
                explain,
                self._x,
                noise,
                perturb_radius=NOISE,
                n_perturb_samples=self._draws,
                max_examples_per_batch=1,
                generator=torch.Generator().manual_seed(SEED),
                **self._asked,
            )
        )
        sentence = self._moved(value)
        if self._selection.place != "neuron":
            outputs = self._outputs(torch.cat([self._x, *noisy]))
            moved = float((outputs[1:] - outputs[0]).abs().mean())
            sentence += f"; the output of {_plain(float(outputs[0]))} moves by {_plain(moved)}"
        return Check("stable", _verdict("stable", value), value, f"{sentence}.")

    @staticmethod
    def _moved(value: float) -> str:
        return f"noise nobody sees moves {_share(value)} this map (relative change {value:.2f})"


def _length(values: Tensor) -> float:
    """Of a map as one vector; half precision would overflow."""
    return float(values.to(torch.promote_types(values.dtype, torch.float32)).norm())


class _Likeness:
    """Spearman's correlation of two maps, (1, D) each, over the values that are not exactly zero in both: (1,).

    Where the picture is the baseline, or beyond what the output sees, a map is zero whatever the weights are. Such
    values share the lowest rank in both maps, and alone make them alike: it is a picture's dark background that would
    be found again then, not the map.

    Attributes:
        over: of how many values it was, for a sentence; empty if it was of all.
        unknown: why these values say nothing; empty if they do. The correlation is 0 then.
    """

    def __init__(self) -> None:
        self.over = self.unknown = ""

    def __call__(self, before: Tensor, after: Tensor) -> Tensor:
        counts = ((before != 0) | (after != 0))[0]
        before, after, every = before[:, counts], after[:, counts], before.shape[1]
        count = before.shape[1]
        if count < every:
            self.over = f", over the {count:,} of {every:,} values that are not zero in both maps"
        if count < min(LEAST_VALUES, every):
            self.unknown = (
                f"all but {count:,} of {every:,} values are zero in this map, and with random weights as well"
            )
        elif bool(before.amax() == before.amin()):
            self.unknown = "what is not zero in the map is all the same"
        return spearman(before, after) if not self.unknown else before.new_zeros(1)


def _attempted(name: CheckName, check: Callable[[], Check]) -> Check:
    """A check, or the reason why there is none."""
    try:
        return check()
    except (Cancelled, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # a map that is the same everywhere, a method of the user's own
        reason = str(error).partition(": ")[2] if isinstance(error, UndefinedMetricError) else str(error)
        return Check(name, "none", None, f"this could not be found out: {wire.short(reason or str(error))}")


def _without_map(name: CheckName) -> Check:
    return Check(name, "none", None, "this layer has no map over the picture that could be checked.")


def _verdict(name: CheckName, value: float) -> Verdict:
    good, fair = BOUNDS[name]
    return "good" if value <= good else "fair" if value <= fair else "poor"


# --- numbers in words ---------------------------------------------------------------------------------------------

_SHARES = (
    (0, "next to nothing of"), (1 / 10, "a tenth of"), (1 / 5, "a fifth of"), (1 / 4, "a quarter of"),
    (1 / 3, "a third of"), (1 / 2, "half of"), (2 / 3, "two thirds of"), (3 / 4, "three quarters of"),
    (4 / 5, "four fifths of"), (9 / 10, "nearly all of"), (1, "all of"),
)  # fmt: skip
_MORE = 1.1


def _share(value: float) -> str:
    """The nearest share that has a name."""
    if value >= _MORE:
        return "more than all of"
    return min(_SHARES, key=lambda share: abs(share[0] - value))[1]


def _plain(value: float, digits: int = 2) -> str:
    """So many significant digits, with a true minus sign."""
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", "−") if value else "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}".replace("-", "−")


def _signed(value: float, digits: int = 2) -> str:
    return ("+" if value > 0 else "") + _plain(value, digits)


def _sums(total: float, wanted: float) -> tuple[str, str]:
    """What a map adds up to and what it should, with as many digits as it takes to see how far off that is."""
    for digits in range(2, 7):
        sums = _signed(total, digits), _signed(wanted, digits)
        a, b = (float(text.replace("−", "-")) for text in sums)
        if not b or _percent(abs(a - b) / abs(b)) == _percent(abs(total - wanted) / abs(wanted)):
            break
    return sums


def _percent(share: float) -> str:
    if share < 0.001:
        return "less than 0.1 %"
    return (f"{share:.1%}" if share < 0.01 else f"{share:.0%}").replace("%", " %")
