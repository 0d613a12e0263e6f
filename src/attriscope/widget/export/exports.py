"""The ways in which one Explorer is taken out of its kernel: what notebooks keep, code, slides, files for browsers."""

from __future__ import annotations

import os
from typing import Any

from torch import nn

from attriscope.widget.export import download, html, slide
from attriscope.widget.export.saved import Bundle, SavedPicture, mark_of
from attriscope.widget.jobs.explorer_jobs import ExplorerJobs
from attriscope.widget.jobs.runner import JobRunner
from attriscope.widget.methods.labels import Labels
from attriscope.widget.model.explorer_code import STYLE


class Exports:
    """The ways out of an Explorer.

    Args:
        widget: the Explorer.
        runner: runs what it is asked for.
        jobs: knows what it has answered.
        labels: what things are called.
        model: what is explained.
    """

    def __init__(
        self, widget: Any, runner: JobRunner, jobs: ExplorerJobs, labels: Labels, model: nn.Module
    ) -> None:
        self._widget, self._jobs, self._labels, self._model = widget, jobs, labels, model
        self._picture = SavedPicture(widget, runner.wait)
        widget._saved_picture = mark_of(widget.model_id or "")
        widget.observe(jobs.write_code, list(STYLE))
        widget.on_msg(download.answering(widget, self._words))

    def display(self, bundle: Bundle | None) -> None:
        """See :meth:`SavedPicture.display`."""
        self._picture.display(bundle)

    def bundled(self, bundle: Bundle | None) -> Bundle | None:
        """See :meth:`SavedPicture.bundled`."""
        return self._picture.bundled(bundle)

    def write_slide(self, path: str | os.PathLike[str]) -> None:
        """See :func:`slide.write`."""
        slide.write(path, self._widget, self._words())

    def write_html(self, path: str | os.PathLike[str]) -> None:
        """See :func:`html.write`."""
        self._jobs.mark_outdated()
        html.write(self._widget, path)

    def close(self) -> None:
        """Nothing more goes out."""
        self._picture.close()

    def _words(self) -> slide.Words:
        return slide.words_of(self._widget, self._labels, self._jobs, self._model)
