"""Makes the pictures of README and documentation anew: two still ones, and one that moves.

    python tests/browser/readme_pictures.py

Needs Chromium. The Explorer is that of the README, on three pictures, in JupyterLab; only the Explorer is photographed.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

# As in tests/conftest.py, for when this runs as a script: before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from browser.explorer_page import (
    explorer_of,
    explorers,
    open_and_run,
    picture_of,
    quiet,
    set_slider,
    show_tab,
)
from browser.harness import Server, find_chromium, launch
from browser.inside_page import depth_slider
from browser.notebook_page import wait_until_run

ROOT = Path(__file__).parents[2]
CELL = """
import torch
from attriscope import Explorer, zoo
images = [zoo.imagenet_preprocess(zoo.picture(name)) for name in ("chelsea", "coffee", "camera")]
explorer = Explorer(
    zoo.efficientnet_lite0(), torch.cat(images), labels=["Egyptian cat", "espresso", "tripod"],
    class_names=zoo.imagenet_class_names(), to_image=zoo.imagenet_to_image, baseline="blur",
)
"""
# The table of notebook 06, its columns as they came.
TABLE = """
import torch
from sklearn.datasets import load_breast_cancer
from attriscope import Explorer
data = load_breast_cancer()
order = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
rows = torch.tensor(data.data, dtype=torch.float32)[order]
labels = torch.tensor(data.target)[order]
mean, std = rows[:400].mean(0), rows[:400].std(0)
torch.manual_seed(0)
scale = torch.nn.Linear(30, 30)
with torch.no_grad():
    scale.weight.copy_(torch.diag(1 / std))
    scale.bias.copy_(-mean / std)
scale.requires_grad_(False)
model = torch.nn.Sequential(scale, torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01, weight_decay=1e-3)
for _ in range(150):
    loss = torch.nn.functional.cross_entropy(model(rows[:400]), labels[:400])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
explorer = Explorer(
    model.eval(), rows[400:], feature_names=list(data.feature_names), class_names=list(data.target_names),
    labels=labels[400:],
)
"""
WIDTH = 940
# The moving picture is smaller, so that it stays below three megabytes.
SCALE, QUALITY = 0.8, 60

Frames = list[tuple[Image.Image, int]]


def photograph(root: Locator) -> Image.Image:
    return Image.open(io.BytesIO(root.screenshot(animations="disabled"))).convert("RGB")


def film(page: Page, root: Locator) -> Frames:
    """What a person does in the first half minute."""
    frames: Frames = []

    def keep(milliseconds: int) -> None:
        page.wait_for_timeout(60)
        frames.append((photograph(root), milliseconds))

    keep(1200)
    detail = root.get_by_role("slider", name="Detail")
    finest, now = int(str(detail.get_attribute("max"))), int(detail.input_value())
    for step in [*range(now, finest + 1), *range(finest - 1, now - 1, -1)]:
        set_slider(detail, step)
        keep(120)
    path = root.get_by_role("slider", name="Path position")
    for step in range(0, 41, 2):
        set_slider(path, step / 40)
        keep(80)
    keep(600)
    root.get_by_role("button", name="Box", exact=False).first.click()
    box = picture_of(root).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.12 * box["width"], box["y"] + 0.34 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 0.62 * box["height"], steps=4)
    keep(200)
    page.mouse.up()
    quiet(root)
    page.wait_for_timeout(1500)
    keep(2200)
    show_tab(root, "Inside")
    depth = depth_slider(root)
    most = int(str(depth.get_attribute("max")))
    for step in range(0, most + 1, max(1, most // 24)):
        set_slider(depth, step)
        keep(110)
    set_slider(depth, int(0.62 * most))
    page.wait_for_timeout(700)
    quiet(root)
    page.wait_for_timeout(1500)
    keep(1500)
    root.locator(".as-top-switch").first.click()
    page.wait_for_timeout(1500)
    quiet(root)
    keep(2200)
    return frames


def photograph_table(page: Page, server: Server) -> None:
    """A row with all rows beside it."""
    cells = [TABLE + f"explorer.layout.width = '{WIDTH}px'\n", "explorer"]
    open_and_run(page, server, cells, "table.ipynb")
    root = explorers(page).first
    wait_until_run(page, 300)
    root.get_by_role("button", name="Explain all 169 rows").click()
    root.get_by_role("button", name="Explain again").wait_for(timeout=60_000)
    page.wait_for_timeout(1000)
    root.locator(".as-rows").scroll_into_view_if_needed()
    root.locator(".as-rows").evaluate("it => it.scrollIntoView({ block: 'end' })")
    root.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    photograph(root).quantize(256).save(ROOT / "notebooks" / "table.png", optimize=True)


def main() -> None:
    chromium = find_chromium()
    assert chromium, "needs Chromium on PATH, or its path in CHROMIUM"
    with Server("lab") as server, sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        context = browser.new_context(viewport={"width": 1700, "height": 1000}, device_scale_factor=2)
        page = context.new_page()
        open_and_run(
            page, server, [CELL + f"explorer.layout.width = '{WIDTH}px'\n", "explorer"], "readme.ipynb"
        )
        wait_until_run(page, 300)
        root = explorer_of(page)
        quiet(root)
        page.wait_for_timeout(2000)
        root.scroll_into_view_if_needed()
        photograph(root).quantize(256).save(ROOT / "notebooks" / "explorer.png", optimize=True)
        frames = film(page, root)
        photograph_table(page, server)
        browser.close()
    height = min(image.height for image, _ in frames)
    size = (int(WIDTH * SCALE), int(height / frames[0][0].width * WIDTH * SCALE))
    images = [
        image.crop((0, 0, image.width, height)).resize(size, Image.Resampling.LANCZOS) for image, _ in frames
    ]
    images[0].save(
        ROOT / "notebooks" / "explorer.webp",
        save_all=True,
        append_images=images[1:],
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
        quality=QUALITY,
        method=4,
    )


if __name__ == "__main__":
    main()
