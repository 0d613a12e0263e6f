"""The state that kernel and page share, in groups: one for each part of the page."""

from __future__ import annotations

import math
import os
import pathlib
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import anywidget
import traitlets
from ipywidgets.widgets.widget import JUPYTER_WIDGETS_ECHO, _remove_buffers

from attriscope.core.inputs import describe
from attriscope.widget.messages import wire

_STATIC = pathlib.Path(__file__).parents[1] / "static"

SIGNS = ("all", "positive", "negative", "absolute")
MODES = ("blended", "heat", "masked", "side")

# The longest reason that is worth showing.
_REASON = 500


class Number(traitlets.Float):
    """A float that is a number: NaN passes every bound, and JSON knows neither it nor infinity."""

    def validate(self, obj: Any, value: Any) -> Any:
        if isinstance(value, bool) or not _finite(value):
            self.error(obj, value, info=f"a number, but {describe(value)} came")
        return super().validate(obj, value)

    def error(self, obj: Any, value: Any, error: Any = None, info: str | None = None) -> NoReturn:
        raise traitlets.TraitError(f"{self.name} must be {info or f'a number, but {describe(value)} came'}")


def _finite(value: Any) -> bool:
    try:
        return value is None or math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


class OneOf(traitlets.Enum):
    """One of some names."""

    def error(self, obj: Any, value: Any, error: Any = None, info: str | None = None) -> NoReturn:
        raise traitlets.TraitError(
            f"{self.name} must be one of {', '.join(map(str, self.values or ()))}, but {describe(value)} came"
        )

    def validate(self, obj: Any, value: Any) -> Any:
        if not isinstance(value, str):  # a list would be looked for among the names, too
            self.error(obj, value)
        return super().validate(obj, value)


class Checked(traitlets.Any):
    """Anything that its validator lets pass; of ``None`` it is asked, too."""

    allow_none = False


def shared_trait(trait: Any, **metadata: Any) -> Any:
    """A trait that both sides write; of several in one message, those of a higher ``rank`` come later."""
    return trait.tag(sync=True, page=True, **metadata)


def kernel_trait() -> Any:
    """A trait that the kernel fills and the page only reads."""
    return traitlets.Dict().tag(sync=True)


def _bundled(name: str) -> Any:
    """Part of the page bundle.

    Given a path, anywidget keeps every widget alive for good, for the sake of reloading the file when it changes. So it
    gets the text, unless that is asked for.
    """
    path = _STATIC / name
    return path if os.environ.get("ANYWIDGET_HMR") == "1" else path.read_text(encoding="utf-8")


class Part(anywidget.AnyWidget):
    """Something that the page bundle draws; ``_part`` says what.

    Messages come and answers go on whatever thread: one lock guards each update of several traits. It is one for all
    widgets, because observers link them with each other: with a lock for each, two threads could wait for one another.
    """

    _esm = _bundled("widget.js")
    _css = _bundled("widget.css")
    _part = traitlets.Unicode("explorer").tag(sync=True)
    _live = traitlets.Bool(True, help="whether there is a kernel").tag(sync=True)

    _lock = threading.RLock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def set_state(self, sync_data: Any) -> None:
        """Take over what the page wishes for; what cannot be is refused, and the page is told what holds.

        Unlike the inherited one it does not hold notifications back, which is done by exchanging a method of the
        widget: what a cell sets at the same moment would go unnoticed.
        """
        if not isinstance(sync_data, Mapping):
            return
        traits = self.traits(page=True)
        wishes = {name: value for name, value in sync_data.items() if name in traits}
        with self._lock:
            if JUPYTER_WIDGETS_ECHO and wishes:  # the page waits for this before it believes anything else
                state, paths, buffers = _remove_buffers(dict(wishes))
                self._send({"method": "echo_update", "state": state, "buffer_paths": paths}, buffers=buffers)
            with self._lock_property(**wishes):
                for name in sorted(wishes, key=lambda name: traits[name].metadata.get("rank", 0)):
                    self._wish(name, wishes[name], traits[name])

    def _wish(self, name: str, value: Any, trait: Any) -> None:
        from_json = trait.metadata.get("from_json", self._trait_from_json)
        try:
            self.set_trait(name, from_json(value, self))
        except traitlets.TraitError as refused:
            self._refuse(name, value, refused)
        else:
            self._granted(name)
        if self.get_state(name)[name] != value:  # refused, or the same in other words
            self.send_state(name)

    def _refuse(self, name: str, value: Any, refused: traitlets.TraitError) -> None:
        """Say why a wish was not granted."""

    def _granted(self, name: str) -> None:
        """Nothing stands against this wish any more."""

    def notify_change(self, change: Any) -> None:
        """Tell the page, one thread at a time, and then whoever observes."""
        name = change["name"]
        if self.comm is not None and getattr(self.comm, "kernel", True) is not None and name in self.keys:
            with self._lock:
                if self._should_send_property(name, getattr(self, name)):
                    self.send_state(key=name)
        traitlets.HasTraits.notify_change(self, change)


class OverlayTraits(traitlets.HasTraits):
    """A picture with a map over it, and how it is coloured. All of it restyles on the page."""

    picture = kernel_trait()
    baseline_picture = kernel_trait()
    heat = kernel_trait()
    luts = kernel_trait()
    opacity = shared_trait(Number(0.6, min=0, max=1, help="0 shows the picture alone, 1 the map alone"))
    colormap = shared_trait(OneOf(wire.COLORMAPS, "auto", help="a colour map's name, or auto"))
    sign = shared_trait(OneOf(SIGNS, "all", help="which attributions are shown"))
    mode = shared_trait(OneOf(MODES, "blended", help="how map and picture are drawn"))
    outlier_percent = shared_trait(
        Number(1.0, min=0, max=99, help="percent of the largest values that the colour scale clips")
    )
    scale_limit = shared_trait(
        Number(
            None,
            allow_none=True,
            help="where the colour scale ends, held over several maps; None asks the map",
        )
    )

    @traitlets.default("luts")
    def _default_luts(self) -> dict[str, wire.Message]:
        return wire.color_tables()

    @traitlets.validate("scale_limit")
    def _valid_scale_limit(self, proposal: Any) -> float | None:
        value = proposal["value"]
        if value is not None and not value > 0:
            raise traitlets.TraitError(f"scale_limit must be a number above 0 or None, but {value!r} came")
        return None if value is None else float(value)


class PredictionTraits(traitlets.HasTraits):
    """The best classes, and the one that is explained."""

    predictions = kernel_trait()
    target = shared_trait(traitlets.Any(None, help="the explained output"))


class PathTraits(traitlets.HasTraits):
    """A position on the path from the baseline (0) to the input (1)."""

    path = kernel_trait()
    alpha = shared_trait(Number(1.0, min=0, max=1, help="position on the path: 0 baseline, 1 input"))


class LayerTraits(traitlets.HasTraits):
    """The model's modules, and the one that is picked."""

    layers: Any = traitlets.List().tag(sync=True)
    layer = shared_trait(traitlets.Unicode(None, allow_none=True, help="path of the picked layer, or None"))
    flow = kernel_trait()


class InsideTraits(traitlets.HasTraits):
    """What is inside the picked layer, and what becomes of the predictions without parts of it."""

    depth = kernel_trait()
    channels = kernel_trait()
    neuron_info = kernel_trait()
    what_if = kernel_trait()


def short(text: str) -> str:
    """A reason that fits on the page."""
    return text if len(text) <= _REASON else text[: _REASON - 3] + "..."
