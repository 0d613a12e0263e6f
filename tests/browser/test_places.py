"""Places in the picture by mouse: a detector's boxes, a pixel of a segmentation, a close look at a large picture.

Each number that the page tells is held against Python's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.explorer_page import (
    TWO_FRAMES,
    Shot,
    control,
    explorer_of,
    open_and_run,
    picture_of,
    quiet,
    set_slider,
    settled,
)
from browser.harness import Kernel, Server, wait_for

MODELS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import torch
from torch import nn
from attriscope import Explorer
from dense_models import Detector, Segmenter, boxes
torch.manual_seed(0)
"""
# Each quarter brighter than the one before it, so that the last one's box is the surest.
DETECTOR = (
    MODELS
    + """
X = 0.8 * torch.rand(1, 3, 24, 32)
for i, (rows, columns) in enumerate([(0, 0), (0, 16), (12, 0), (12, 16)]):
    X[:, :, rows:rows + 12, columns:columns + 16] += 0.05 * i
explorer = Explorer(Detector(), X, boxes=boxes, class_names={5: "cat", 6: "dog"}, method="InputXGradient")
"""
)
SEGMENTER = (
    MODELS
    + """
X = torch.rand(1, 3, 24, 32)
names = ["sky", "cat", "dog", "elk"]
explorer = Explorer(Segmenter(), X, class_names=names, method="InputXGradient")
"""
)
LARGE = (
    MODELS
    + """
class Weighted(nn.Module):
    def forward(self, x):
        down = torch.linspace(-1, 1, x.shape[2])[:, None]
        return 1e6 * torch.stack([(x * down).mean((1, 2, 3)), x.square().mean((1, 2, 3))], 1)

# Of one colour are two by two pixels: within them it matters not where exactly one looks.
X = torch.rand(1, 3, 1000, 1500).repeat_interleave(2, 2).repeat_interleave(2, 3)
explorer = Explorer(Weighted(), X, to_image=lambda x: x, method="InputXGradient", target=0, n_steps=2, detail=1)
"""
)
# A place in the middle of such a square, as shares of the picture.
NEAR = (930.9 / 3000, 840.9 / 2000)
COLOUR = """(canvas, [x, y]) => {
    const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
    return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
}"""


def point(root: Locator, x: float, y: float) -> None:
    """Moves the mouse over the picture, to shares of it."""
    box = picture_of(root).bounding_box()
    assert box is not None
    root.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


def click(root: Locator, x: float, y: float) -> None:
    point(root, x, y)
    root.page.mouse.down()
    root.page.mouse.up()


def reading(root: Locator) -> tuple[int, int, float]:
    """The pixel that is pointed at, and what the page says of it."""
    told = root.locator(".as-overlay .as-readout")
    expect(told).to_have_text(re.compile(r"^x \d+, y \d+: [+−]?[\d.e−]+$"))
    found = re.fullmatch(r"x (\d+), y (\d+): (\S+)", told.inner_text())
    assert found
    return int(found[1]), int(found[2]), float(found[3].replace("−", "-"))


def shares(root: Locator) -> dict[str, float]:
    """The predictions as they are listed, in per cent; a name that is there twice, by its first line."""
    listed: dict[str, float] = {}
    for row in root.get_by_role("listbox", name="Predictions").get_by_role("option").all():
        label, amount = row.locator(".as-name").inner_text(), row.locator(".as-number").first.inner_text()
        listed.setdefault(label, float(amount.removeprefix("<").removesuffix("%")))
    return listed


def chosen_target(kernel: Kernel, wanted: Any) -> None:
    wait_for(f"target {wanted}", lambda: kernel.value("explorer.target") == wanted, 20)


def test_a_box_of_a_detector_is_picked_in_the_picture(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [DETECTOR, "explorer"], "boxes.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        found = "Detector()(X)[0]"
        expect(root.locator(".as-found-box")).to_have_count(4)
        surest = kernel.value(f"{found}['scores'].argmax().item()")
        assert surest == 3
        chosen_target(kernel, surest)
        expect(root.locator(".as-found-box[data-explained]")).to_have_text("dog")
        in_order = kernel.value(f"{found}['scores'].sort(descending=True).values.tolist()")
        assert list(shares(root).values()) == pytest.approx([100 * in_order[0], 100 * in_order[1]], abs=0.06)

        # A click into the second quarter explains that box, whose corners are where the picture has them.
        box, stage = (
            root.locator(".as-found-box[data-explained]").bounding_box(),
            picture_of(root).bounding_box(),
        )
        assert box is not None
        assert stage is not None
        assert (box["x"] - stage["x"]) / stage["width"] == pytest.approx(16 / 32, abs=0.01)
        assert (box["y"] - stage["y"]) / stage["height"] == pytest.approx(12 / 24, abs=0.01)
        click(root, 0.75, 0.25)
        chosen_target(kernel, 1)
        kernel.run("explorer.wait(60); None")
        quiet(root)
        expect(root.locator(".as-found-box[data-explained]")).to_have_count(1)
        point(root, 0.8, 0.2)
        x, y, value = reading(root)
        by_hand = f"""
from attriscope import attr
target = attr.targets.box_score(boxes, Detector()(X), 1)
found_map = attr.InputXGradient(Detector()).attribute(X, target=target)[0].sum(0)
wanted = found_map[{y}, {x}].item()
"""
        kernel.run(by_hand)
        assert value == pytest.approx(kernel.value("wanted"), rel=6e-3)
        assert (
            kernel.value("abs(found_map[12:].abs().max().item())") == 0
        )  # the other quarters have no part in it
        shot(page, "a box")


def test_a_pixel_of_a_segmentation_is_picked_in_the_picture(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [SEGMENTER, "explorer"], "pixel.ipynb")
    root = explorer_of(page)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        kernel.run("classes = Segmenter()(X)['out'][0].argmax(0)")
        wanted = kernel.value(
            "{names[c]: 100 * (classes == c).float().mean().item() for c in range(4) if (classes == c).any()}"
        )
        listed = shares(root)
        for label, share in wanted.items():
            assert listed[label] == pytest.approx(share, abs=0.06), label

        picker = control(root, "button", "Explain a pixel")
        picker.click()
        expect(picker).to_have_attribute("aria-pressed", "true")
        click(root, 20.5 / 32, 9.5 / 24)
        predicted = kernel.value("classes[4, 10].item()")  # half as many rows and columns as the picture
        chosen_target(kernel, [predicted, 4, 10])
        expect(picker).to_have_attribute("aria-pressed", "false")
        kernel.run("explorer.wait(60); None")
        quiet(root)
        label = kernel.value(f"names[{predicted}]")
        expect(root.locator(".as-overlay .as-title")).to_contain_text(f"for {label} at row 4, column 10")
        point(root, 20.5 / 32, 9.5 / 24)
        x, y, value = reading(root)
        assert (x, y) == (20, 9)
        kernel.run(
            "from attriscope import attr\n"
            f"one = attr.InputXGradient(Segmenter()).attribute(X, target=({predicted}, 4, 10))[0].sum(0)"
        )
        assert value == pytest.approx(kernel.value("one[9, 20].item()"), rel=6e-3)
        shot(page, "a pixel")


def test_a_close_look_at_a_large_picture(page: Page, server: Server, shot: Shot) -> None:
    name = open_and_run(page, server, [LARGE, "explorer"], "large.ipynb")
    root = explorer_of(page)
    canvas = picture_of(root)
    with server.kernel(name) as kernel:
        settled(page, kernel)
        quiet(root)
        assert kernel.value("[list(explorer.picture['shape']), list(explorer.picture['full'])]") == [
            [683, 1024],
            [2000, 3000],
        ]
        total = kernel.value("explorer.attributions.sum().item()")
        told = root.locator(".as-notes").get_attribute("title") or ""
        found = re.search(r"sum ([−+]\S+)", told)
        assert found, told
        assert float(found[1].replace("−", "-")) == pytest.approx(total, rel=6e-3)

        # In by the wheel: what is in view then comes at its own size.
        point(root, *NEAR)
        page.keyboard.down("Control")
        for _ in range(10):
            page.mouse.wheel(0, -240)
        page.keyboard.up("Control")
        box = wait_for(
            "a close-up",
            lambda: kernel.value("explorer.close_up.get('box') and list(explorer.close_up['box'])"),
            20,
        )
        wait_for("the whole way", lambda: canvas.get_attribute("data-zoomed"), 10)
        x0, y0, x1, y1 = wait_for_rest(page, kernel, box)
        assert kernel.value("list(explorer.close_up['shape'])") == [y1 - y0, x1 - x0]
        x, y, value = reading(root)
        assert x0 < x < x1
        assert y0 < y < y1
        assert (x, y) == (930, 840)

        # Its numbers are those of the map as it travelled, and its colours those of the picture's own pixels.
        kernel.run(
            "import numpy as np\n"
            "rows, columns = explorer.heat['shape']\n"
            "heat = np.frombuffer(explorer.heat['data'], '<f4').reshape(rows, columns)"
        )
        cell = f"heat[int(({y} + 0.5) * rows / 2000), int(({x} + 0.5) * columns / 3000)]"
        assert value == pytest.approx(kernel.value(f"float({cell})"), rel=6e-3)
        shot(page, "close")
        set_slider(control(root, "slider", "Opacity"), 0)
        page.evaluate(TWO_FRAMES)
        _has_its_colours(root, kernel, x, y)
        _a_region_there(root, kernel)


def wait_for_rest(page: Page, kernel: Kernel, box: list[int]) -> list[int]:
    """The close-up that is there once none is asked for any more."""
    last: list[list[int]] = [box]

    def at_rest() -> bool:
        page.wait_for_timeout(500)  # twice as long as the page waits before it asks
        now = kernel.value("list(explorer.close_up['box'])")
        same = now == last[0] == kernel.value("list(explorer.view_box)")
        last[0] = now
        return bool(same)

    wait_for("the view at rest", at_rest, 20)
    page.evaluate(TWO_FRAMES)
    return last[0]


def _has_its_colours(root: Locator, kernel: Kernel, x: int, y: int) -> None:
    """The canvas has the colour of the very pixel under the mouse, as no average of its neighbours has."""
    canvas = picture_of(root)
    wanted = kernel.value(f"(X[0, :, {y}, {x}] * 255).round().int().tolist()")

    def is_near() -> bool:
        seen = canvas.evaluate(COLOUR, list(NEAR))
        return all(abs(a - b) <= 6 for a, b in zip(seen, wanted, strict=True))

    wait_for("the pixel's own colour", is_near, 10)


def _a_region_there(root: Locator, kernel: Kernel) -> None:
    """A box that is drawn in the close view is one in pixels of the picture, and worth what Python says."""
    box = control(root, "button", "Box")
    box.click()
    expect(box).to_have_attribute("aria-pressed", "true")
    root.page.evaluate(TWO_FRAMES)  # the picture has its place before the pointer goes there
    point(root, 0.2, 0.2)
    root.page.mouse.down()
    point(root, 0.6, 0.5)
    point(root, 0.8, 0.8)
    root.page.mouse.up()
    # The page knows at once; the kernel has a picture of 18 MB to look at before it hears of it.
    expect(root.locator(".as-covered")).to_be_visible()
    wait_for("the region", lambda: kernel.value("explorer.selection is not None"), 60)
    kernel.run("explorer.wait(60); None")
    sentence = root.locator(".as-covered-sentence")
    expect(sentence).to_contain_text(re.compile("costs|adds"))
    kernel.run(
        "top, left, bottom, right = explorer.selection['box']\n"
        "worth = explorer.attributions[0, :, top:bottom, left:right].sum().item()\n"
        "hidden = X.clone()\n"
        "hidden[0, :, top:bottom, left:right] = 0\n"
        "cost = (Weighted()(X) - Weighted()(hidden))[0, 0].item()"
    )
    assert kernel.value("(bottom - top) < 100 and (right - left) < 100")
    said = re.findall(r"worth ([−+\d.e]+);.* (costs|adds) ([\d.e−]+)", sentence.inner_text())
    worth, way, cost = said[0]
    assert float(worth.replace("−", "-")) == pytest.approx(kernel.value("worth"), rel=2e-2)
    sign = 1 if way == "costs" else -1
    assert sign * float(cost.replace("−", "-")) == pytest.approx(kernel.value("cost"), rel=2e-2, abs=1e-7)
