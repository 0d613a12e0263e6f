"""Explorers that are made, shown and closed, many times, and what is left of them in kernel and page."""

from __future__ import annotations

from playwright.sync_api import Page

from browser.notebook_page import execute

# Needs `model` and `images`, as in explorer_page.MOODY.
CYCLES = """
import gc, threading
from IPython.display import clear_output, display

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024

def cycle(times):
    from comm import get_comm_manager
    from ipywidgets.widgets.widget import _instances
    for _ in range(times):
        one = Explorer(model, images[:1], method="Saliency", n_steps=5)
        display(one)
        one.wait()
        one.close()
        clear_output()
    del one
    gc.collect()
    return {
        "threads": threading.active_count(),
        "workers": sum(thread.name.startswith("attriscope") for thread in threading.enumerate()),
        "widgets": len(_instances),
        "comms": len(get_comm_manager().comms),
        "explorers": sum(type(thing) is Explorer for thing in gc.get_objects()),
        "MB": resident(),
    }
"""


def page_size(page: Page) -> dict[str, float]:
    """How much the page holds, after its garbage is collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    counters = session.send("Memory.getDOMCounters")
    session.send("Performance.enable")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {
        "MB": metrics["JSHeapUsedSize"] / 2**20,
        "nodes": counters["nodes"],
        "listeners": counters["jsEventListeners"],
    }


def run_last_cell(page: Page, code: str) -> None:
    """Writes code into the notebook's last cell and runs that cell alone; does not wait for its end."""
    page.evaluate(
        """code => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = content.widgets.length - 1;
            content.activeCell.model.sharedModel.setSource(code);
        }""",
        code,
    )
    execute(page, "notebook:run-cell")
