"""What the model says of every example, beside what is true of it where that is known.

Looked at when everything else is done: nobody waits for it.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import Cancelled, InputError, InputTypeError
from attriscope.core.inputs import describe
from attriscope.core.progress import current
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.messages.class_names import ClassNames
from attriscope.widget.messages.predictions import Outputs
from attriscope.widget.messages.types import ExamplePrediction
from attriscope.widget.messages.wire import number
from attriscope.widget.model.answer import largest
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.selection import Selection


def read_labels(given: Any, count: int, names: ClassNames) -> tuple[int, ...] | None:
    """The true class of each example.

    Args:
        given: indices or names of classes, as a list, tuple, array or tensor; ``None`` if they are not known.
        count: of the examples.
        names: of the classes.

    Raises:
        InputTypeError, InputError: it is something else, of another length, or names no class.
    """
    if given is None:
        return None
    values = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(values, str) or not isinstance(values, Sequence):
        values = [values] if count == 1 else values
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputTypeError(
            f"labels must be a list of classes, one for each example, but {describe(given)} came"
        )
    if len(values) != count:
        raise InputError(f"labels holds {len(values)} class(es), but there are {count} example(s)")
    return tuple(_index(value, names) for value in values)


def _index(value: Any, names: ClassNames) -> int:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 0:
        return int(value)
    found = names.indices(value) if isinstance(value, str) else []
    if len(found) != 1:
        raise InputError(f"labels must be indices or names of classes, but {describe(value)} is among them")
    return found[0]


def tell_of_examples(job: ExplanationJob, selection: Selection, labels: Sequence[int] | None) -> None:
    """Show what the model says of all examples, where there are several.

    Args:
        job: tells the page.
        selection: which example is on show.
        labels: the true class of each example, if they are known.
    """
    explained = job.explained
    answer = explained.answer(selection.example)
    if explained.examples.count == 1 or answer.told is None or answer.boxes is not None:
        if job.shown.example_predictions:  # of what the numbers were taken for before
            job.publish(example_predictions=[])
        return
    found = _survey(explained, labels, job.labels.names, job.outputs(selection))
    for predictions in job.reported("All examples", found):
        if job.shown.example_predictions != predictions:
            job.publish(example_predictions=predictions)


def _survey(
    explained: ExplainedModel, labels: Sequence[int] | None, names: ClassNames, outputs: Outputs
) -> Iterator[list[ExamplePrediction]]:
    """What is known of all examples, each time one more is.

    Args:
        explained: the model.
        labels: the true classes, if they are known.
        names: of the classes.
        outputs: what the model's numbers are.
    """
    found: list[ExamplePrediction] = []
    for index in range(explained.examples.count):
        scores = _asked(explained, index)
        truth = None if labels is None else labels[index]
        found = [*found, {} if scores is None else _prediction(scores, truth, names, outputs)]
        current().check()
        current().report(index + 1, explained.examples.count)
        yield found


def _asked(explained: ExplainedModel, index: int) -> Tensor | None:
    """What the model says of an example; ``None`` where it refuses it: nobody has asked for that one yet."""
    try:
        return explained.predict(index)
    except (Cancelled, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception:
        return None


def _prediction(scores: Tensor, truth: int | None, names: ClassNames, outputs: Outputs) -> ExamplePrediction:
    """What the model says of one example, of which it gives the scores (C,), or the share of the pixels of each class.

    Of a segmentation it is the class with the most pixels, and of classes beside the background: which it would be of a
    whole example nobody has said, so none is wrong.
    """
    if outputs.kind == "segmentation":
        best = largest(scores, names)
        return {
            "label": names.label(best),
            "amount": number(scores[best]),
            "kind": "probability",
            "pixels": True,
        }
    chances = outputs.probabilities(scores.double())
    if chances is not None and len(scores) == 1:
        return _of_two(float(chances[0]), truth, names)
    amounts = scores.double() if chances is None else chances
    best = int(scores.argmax())
    found: ExamplePrediction = {
        "label": names.label(best),
        "amount": number(amounts[best]),
        "kind": "score" if chances is None else "probability",
    }
    # A single number that is no probability is neither right nor wrong.
    if truth is None or truth >= len(scores) or len(scores) == 1:
        return found
    return {
        **found,
        "truth": names.label(truth),
        "truth_index": truth,
        "wrong": best != truth,
        "of_truth": number(amounts[truth]),
    }


def _of_two(chance: float, truth: int | None, names: ClassNames) -> ExamplePrediction:
    """The likelier of two classes, of which the model gives the chance of the second.

    Where nobody has said that there are two, neither by a name nor by what is true, it is the output that is told.
    """
    known = truth in (0, 1)
    said = int(chance >= 0.5)
    if not known and not names.only:
        return {"label": names.label(0), "amount": number(chance), "kind": "probability"}
    found: ExamplePrediction = {
        "label": names.of_binary(said),
        "amount": number(chance if said else 1 - chance),
        "kind": "probability",
    }
    if not known:
        return found
    return {
        **found,
        "truth": names.of_binary(int(truth or 0)),
        "wrong": said != truth,
        "of_truth": number(chance if truth else 1 - chance),
    }
