"""What a notebook keeps of an Explorer, for whoever opens it without the widget: a saved one, nbconvert, GitHub.

A cell that shows the Explorer has two outputs. The first is the widget. The second is a picture (PNG) of what is on
show, kept up to date while a person works, and hidden by the page wherever the widget itself is drawn
(``js/src/controls/saved-picture.ts``). It is an output of its own for two reasons: updating the widget's would have
notebooks draw the widget anew, under the person's hands; and a notebook that its author opens again, without a kernel,
shows "model not found" in place of a widget, whatever else its output holds.

The picture is a PNG and nothing else, for that is what every viewer shows: GitHub strips frames and scripts from HTML
and prefers what is left of it, and Markdown wants files. Only where nobody watches the cells run (``nbconvert
--execute``, papermill, Quarto, Jupyter Book) the output also holds the page itself, in a frame, as HTML: what these
make is read in a browser, and their notebooks are seldom kept. In a notebook that a person saves, megabytes of it would
be kept for each Explorer and each version. Where frames are stripped from that HTML, the picture in it is what is left.
"""

from __future__ import annotations

import base64
import html as markup
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Any

from attriscope.widget.export import figure, html
from attriscope.widget.model.explorer_code import STYLE
from attriscope.widget.state.part import LOCK

# Seconds for which nothing has changed before the picture is drawn anew. The page is drawn by then.
_REST = 1.0
# Seconds that are waited for what the picture shall show: where a person waits for the cell, and where nobody does.
_PATIENCE, _PATIENCE_UNATTENDED = 1.5, 60.0
# A page of more letters is not put into a notebook. One picture of 224 x 224 with the maps of all layers has 3 million.
_PAGE_LETTERS = 4_000_000
# Before a PNG's first chunk of its own stand the signature and the header.
_PNG_HEADER = 33

Bundle = tuple[dict[str, Any], dict[str, Any]]


class SavedPicture:
    """The picture of an Explorer in notebooks that show it.

    Args:
        widget: the Explorer.
        wait: waits until it has worked out what was asked for, so many seconds at most.
    """

    def __init__(self, widget: Any, wait: Callable[[float], object]) -> None:
        self._widget, self._wait = widget, wait
        self._shell: Any = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def display(self, bundle: Bundle | None) -> None:
        """Show the widget in a cell of a Jupyter notebook, with a picture for those who open it later.

        Raises:
            NotImplementedError: it is no Jupyter notebook, or one whose page cannot hide the picture: then IPython
                shows the widget by its display data, see :meth:`bundled`.
        """
        shell = _shell()
        # Visual Studio Code has each output in a place of its own.
        if bundle is None or shell is None or "__vsc_ipynb_file__" in shell.user_ns:
            raise NotImplementedError("the picture goes into the widget's own output")
        self._shell = shell
        data, metadata = bundle
        shell.display_pub.publish(data, metadata)
        if _is_unattended(shell):
            self._wait(_PATIENCE_UNATTENDED)
            self._publish(self._of_the_end(), update=False)
            return
        # Filled when the page is drawn, which hides it: a picture now would be seen for a moment.
        self._publish({"text/plain": ""}, update=False)
        self._widget.observe(self._changed, list(_DRAWN))
        self._changed()

    def bundled(self, bundle: Bundle | None) -> Bundle | None:
        """A widget's display data with the picture, for hosts that take the one that they can show."""
        if bundle is None:
            return None
        self._wait(_PATIENCE)
        data, metadata = bundle
        return {**data, **self._picture()}, metadata

    def close(self) -> None:
        """The picture stays as it is."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._shell = None

    def _changed(self, change: Any = None) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._shell is None:
                return
            self._timer = threading.Timer(_REST, self._update)
            self._timer.daemon = True
            self._timer.start()

    def _update(self) -> None:
        if self._widget.status != "running":  # else there is a change to come
            self._publish(self._picture(), update=True)

    def _publish(self, data: dict[str, Any], update: bool) -> None:
        shell = self._shell
        if shell is not None and data:
            # One name for all cells that show it: they all show the same.
            transient = {"display_id": f"attriscope-{self._widget.model_id}"}
            shell.display_pub.publish(data, {}, transient=transient, update=update)

    def _picture(self) -> dict[str, Any]:
        """The picture as display data; empty if there is none."""
        png = saved_png(self._widget)
        return {} if png is None else {"image/png": base64.b64encode(png).decode("ascii")}

    def _of_the_end(self) -> dict[str, Any]:
        """The picture, and the page if that is not too large."""
        data = self._picture()
        page = html.page(self._widget) if data else ""
        if not 0 < len(page) <= _PAGE_LETTERS:
            return data
        # The page makes its frame as high as it is, and hides the picture before it: see page.html.
        framed = (
            f'<div><img alt="" style="max-width:100%" src="data:image/png;base64,{data["image/png"]}">'
            '<iframe title="Explorer" style="display:block;width:100%;height:0;border:0" '
            f'srcdoc="{markup.escape(page)}"></iframe></div>'
        )
        return {**data, "text/html": framed}


_DRAWN = (
    "heat",
    "path",
    "picture",
    "table",
    "pinned",
    "beside",
    "status",
    *(name for name in STYLE if name not in ("tab", "explain_predicted")),
)
"""What changes the picture: results, and how they are drawn."""


def _shell() -> Any:
    """IPython's shell in a Jupyter kernel; ``None`` elsewhere."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


def _is_unattended(shell: Any) -> bool:
    """Whether cells are run by a program: then the request says that nobody can be asked for input."""
    request = shell.kernel.get_parent("shell")
    return request.get("content", {}).get("allow_stdin", True) is False


def mark_of(model_id: str) -> str:
    """How the page tells the picture of one Explorer from all others: a part of its PNG in base 64.

    Names and classes do not survive where pictures are shown, but the pixels' address does: it begins with the PNG's
    first chunk, a text that names the Explorer, at a multiple of three bytes.
    """
    return base64.b64encode(_named(model_id)).decode("ascii")[: len(_named(model_id)) // 3 * 4]


def _named(model_id: str) -> bytes:
    """A chunk of text for a PNG."""
    body = b"tEXt" + b"attriscope\0" + model_id.encode("ascii", "replace")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def saved_png(widget: Any) -> bytes | None:
    """A small PNG of what is on show; ``None`` while there is no picture."""
    with LOCK:
        if not widget.picture and not widget.table:
            return None
        view = figure.shown(widget)
    png = figure.small_png(view)
    return png[:_PNG_HEADER] + _named(widget.model_id or "") + png[_PNG_HEADER:]
