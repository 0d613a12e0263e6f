"""A row of a table in a file without a kernel: it can be asked about, but not edited."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.explorer_page import control, explorer_of, open_and_run
from browser.harness import Server
from browser.notebook_page import wait_until_run
from browser.test_table import number_in

TABLE = """
import torch
from attriscope import Explorer
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).eval()
explorer = Explorer(model, torch.randn(20, 3), feature_names=["age", "pressure", "dose"], target=1)
"""


def test_a_row_is_asked_about_and_not_edited(page: Page, browser: Browser, server: Server) -> None:
    write = "explorer.wait(); explorer.to_html('table.html')"
    name = open_and_run(page, server, [TABLE, write], "table-file.ipynb")
    wait_until_run(page)
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1000})
    opened = context.new_page()
    opened.goto((server.root / "table.html").as_uri())
    root = explorer_of(opened)
    expect(control(root, "textbox", "Value of age")).not_to_be_editable()
    root.locator(".as-column-pick", has_text="dose").click()
    sentence = root.locator(".as-covered-sentence")
    expect(sentence).to_contain_text("what covering it costs takes the kernel")
    with server.kernel(name) as kernel:
        wanted = kernel.value("explorer.attributions[0, 2].item()")
    assert number_in(sentence.locator("b").inner_text()) == pytest.approx(wanted, rel=6e-3)
    context.close()
