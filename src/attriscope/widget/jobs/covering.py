"""A region of the picture covered, to see what that costs: asked for by the trait ``selection``, beside the map.

A map takes long and a region little, so a region never stops a map: the job that runs covers it between two batches of
its own (``if_due``), and a quiet one follows where none runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import Cancelled
from attriscope.widget.jobs.pipeline import Publish
from attriscope.widget.jobs.runner import JobRunner
from attriscope.widget.jobs.worker import Job
from attriscope.widget.messages import wire
from attriscope.widget.messages.covering import covered_message
from attriscope.widget.messages.region_types import RawCovered, RawReader, Region
from attriscope.widget.methods.labels import Labels
from attriscope.widget.model.covering import cover
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.explorer_state import ExplorerState
from attriscope.widget.state.part import LOCK
from attriscope.widget.state.selection import Selection
from attriscope.widget.state.table import ExplorerTraits


@dataclasses.dataclass(frozen=True)
class CoverRequest:
    """That the region on show is to be covered, for a selection whose map is not asked for again."""

    selection: Selection


def quiet(publish: Publish) -> Publish:
    """The same without a word of how the work goes on."""

    def publish_results(accept: Callable[[], None] | None = None, **traits: Any) -> None:
        publish(accept, **{name: traits[name] for name in traits if name not in ("message", "progress")})

    return publish_results


class Covering:
    """What covering the region on show costs, and what that answers.

    Args:
        explained: the model.
        labels: what things are called.
        state: what was requested, and what is on show.
        shown: the Explorer's traits.
    """

    def __init__(
        self, explained: ExplainedModel, labels: Labels, state: ExplorerState, shown: ExplorerTraits
    ) -> None:
        self._explained, self._labels, self._state, self._shown = explained, labels, state, shown
        self._answered: Any = (None, None)
        self._latest: tuple[Any, RawCovered] | None = None

    def mask(self) -> Tensor | None:
        """The pixels of the region, (H, W), where the inputs are; ``None`` without one."""
        return self._mask(self._shown.selection, self._shown.example)

    def _mask(self, region: Region | None, index: int) -> Tensor | None:
        return None if region is None else self._explained.example(index).stage.mask(region)

    def follow(self, jobs: JobRunner, from_page: bool) -> None:
        """Have the region covered that is on show now, if it is not, and nobody is about to."""
        with LOCK:
            selection = self._state.requested
            if selection is not None and self._due(selection) and not jobs.open:
                jobs.submit(CoverRequest(selection), from_page, quiet=True)

    def close(self, job: Job, jobs: JobRunner) -> None:
        """A job looks no more for what is asked for meanwhile: what it has not seen is done after it."""
        with LOCK:
            job.open = False
            if not job.is_set():
                self.follow(jobs, from_page=True)  # in the state of torch that the job had

    def _due(self, selection: Selection) -> bool:
        return self._answered != self._question(selection)

    def _question(self, selection: Selection) -> Any:
        region = self._shown.selection
        return region, None if region is None else selection.covering

    def run(self, publish: Publish, if_due: bool = False) -> None:
        """Say what the region costs, and what the map says it is worth. The model runs only for what is not known.

        Args:
            publish: sets the traits.
            if_due: only for a region that this has not been said of.
        """
        while True:
            with LOCK:
                selection = self._state.requested
                if selection is None or (if_due and not self._due(selection)):
                    return
                if self._explained.example(selection.example).edited != selection.edited:
                    return  # the model's row is still another one: the job that edits it is to come, and covers it
                question = self._question(selection)
                region = question[0]
            message = {} if region is None else self._said(selection, region)
            with LOCK:
                if self._state.requested is selection and self._question(selection) == question:
                    self._answered = question
                    publish(covered=message, **self._segments(region, selection))
                    return

    def _said(self, selection: Selection, region: Region) -> RawCovered:
        mask = self._mask(region, selection.example)
        assert mask is not None
        message = self._cost(selection, region, mask)
        worth = self._worth(selection, mask)
        about = self._shown.heat.get("request")
        return message if worth is None or about is None else {**message, "worth": worth, "map": about}

    def _cost(self, selection: Selection, region: Region, mask: Tensor) -> RawCovered:
        key = (region, selection.covering, self._explained.weights())
        if self._latest is None or self._latest[0] != key:
            request = selection.covering.request("covered")
            try:
                # A class of a segmentation and a box are found in what the model says of the picture.
                selection = self._explained.picking(selection)
                found = cover(self._explained, selection, mask)
                outputs = self._explained.outputs(selection, self._labels.names.binary)
                message = covered_message(found, self._labels.names, outputs, request, region)
                message = {**message, "readers": self._readers(selection, mask)}
            except Cancelled:
                raise
            except Exception as error:  # the map does not need it: who asked for the region is told there
                why = wire.short(f"{type(error).__name__}: {error}")
                message = {"request": request, "region": region, "pixels": int(mask.sum()), "message": why}
            self._latest = key, message
        return self._latest[1]

    def _readers(self, selection: Selection, mask: Tensor) -> list[RawReader]:
        """What reads the region. Nobody asked for it alone: a model that has something against it has none."""
        cache = self._explained.layer_cache
        if not self._explained.example(selection.example).stage.has_neighbours:  # layers do not lie over it
            return []
        if selection.place == "neuron":  # what reads it for the output is not what reads it for the neuron
            return []
        try:
            found = cache.readers(selection, mask)
        except Cancelled:
            raise
        except Exception:
            return []
        return [
            {
                "layer": one.layer,
                "channel": one.channel,
                "noun": cache.noun(one.layer),
                "contribution": one.contribution,
                "share": one.share,
            }
            for one in found
        ]

    def _worth(self, selection: Selection, mask: Tensor) -> float | None:
        """What the map adds up to there; ``None`` while there is none, and of one whose numbers do not say that."""
        parts = self._state.contributions
        if parts is None or not self._state.has_map(selection) or parts.shape != mask.shape:
            return None
        return wire.number(parts[mask.to(parts.device)].to("cpu", torch.float64).sum())

    def _segments(self, region: Region | None, selection: Selection) -> dict[str, Any]:
        """The segments of the picture, for the page to draw them, once somebody has picked one."""
        if region is None or region["kind"] != "segment" or self._shown.segments:
            return {}
        return {"segments": wire.segments_message(self._explained.example(selection.example).stage.segments)}
