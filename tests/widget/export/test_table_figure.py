"""Rows of tables outside the page: figures, slides, pages and stories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from attriscope import Story
from attriscope.widget.state.selection import ChoiceError
from widget.tables import COLUMNS, Tabular, heat_of, made_tables, table_rows, tabular  # noqa: F401 - fixtures


def test_figures_slides_and_pages_of_a_row(make: Any, tmp_path: Path) -> None:
    explorer = make(example=1).wait()
    axes = explorer.figure().axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == f"f(baseline) = {explorer.heat['output'] - explorer.heat['sum']:.3g}"
    assert labels[-1] == f"f(input) = {explorer.heat['output']:.3g}"
    widths = sorted(abs(bar.get_width()) for bar in axes.patches)
    np.testing.assert_allclose(widths, sorted(np.abs(heat_of(explorer)[0])), rtol=1e-4)
    assert explorer.snapshot()[:4] == b"\x89PNG"
    explorer.slide(tmp_path / "row.png")
    assert (tmp_path / "row.png").stat().st_size > 20_000
    explorer.to_html(tmp_path / "row.html")
    text = (tmp_path / "row.html").read_text()
    assert "cholesterol" in text
    assert "<b>bold" not in text
    explorer.alpha = 0.5
    axes = explorer.figure().axes[0]
    assert "accumulated to α = 0.50" in axes.get_title().replace("\n", " ")
    explorer.alpha = 1.0
    explorer.method = "Saliency"
    assert explorer.wait().figure().axes[0].get_xlabel().startswith("gradient of")


def test_a_figure_begins_at_the_baselines_output_whatever_the_method_adds_up_to(
    make: Any, model: Tabular, rows: Tensor
) -> None:
    explorer = make(method="FeatureAblation", target=1).wait()
    assert explorer.heat["gap"] is None
    start, end = (model(x)[0, 1].item() for x in (rows.mean(0, keepdim=True), rows[:1]))
    assert abs(explorer.heat["sum"] - (end - start)) > 0.01
    axes = explorer.figure().axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == f"f(baseline) = {start:.3g}"
    assert labels[-1] == f"f(input) = {end:.3g}"
    assert "not attributed" in labels
    explorer.target = lambda output: output[:, 0]
    assert "f(baseline)" not in str(explorer.wait().figure().axes[0].get_yticklabels())


def test_a_row_stands_in_a_story_and_is_not_pinned(make: Any, tmp_path: Path) -> None:
    explorer = make(example=3).wait()
    Story("Rows").add(explorer, "Why?").to_html(tmp_path / "story.html")
    assert "cholesterol" in (tmp_path / "story.html").read_text()
    with pytest.raises(ChoiceError, match="the rows of a table have none yet"):
        explorer.pin()
    assert explorer.pinned == []
