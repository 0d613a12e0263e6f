"""`%pip install` of the wheel inside a running kernel, then the Explorer in the next cell."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.environments import offer_kernel
from browser.harness import Server, notebook
from browser.notebook_page import run_all, wait_until_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def kernel_without_attriscope(server: Server, folder: Path) -> str:
    """A kernel that has everything this environment has, except this package: as before the installation."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    (ours,) = {path for path in sys.path if path.endswith("site-packages")}
    # A folder that a .pth file names is searched, but the .pth files in it, such as that of an editable
    # installation, are not read.
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    (Path(theirs) / "parent.pth").write_text(ours + "\n")
    missing = subprocess.run([python, "-c", "import attriscope"], capture_output=True, text=True)
    assert "No module named 'attriscope'" in missing.stderr
    offer_kernel(server, "fresh", python)
    return "fresh"


def test_pip_install_in_a_running_kernel(page: Page, server: Server, wheel: Path, tmp_path: Path) -> None:
    made = notebook(
        [
            "import torch",
            f"%pip install --quiet --no-deps --no-index --force-reinstall {wheel}",
            "from attriscope import Explorer, zoo\nimport attriscope\nattriscope.__file__",
            "explorer = Explorer(zoo.small_cnn(), zoo.small_pictures()[0][:1], n_steps=5)\nexplorer",
            "explorer.wait().attributions.shape",
        ]
    )
    made.metadata["kernelspec"] = {
        "name": kernel_without_attriscope(server, tmp_path / "env"),
        "display_name": "Fresh",
    }
    name = server.add(made, "install.ipynb")
    page.goto(server.url(name))
    run_all(page)
    wait_until_run(page, timeout=180)
    expect(page.locator(".as-root[data-ready] canvas[data-drawn]").first).to_be_visible(timeout=60_000)
    with server.kernel(name) as kernel:
        assert str(tmp_path) in kernel.run("print(attriscope.__file__)")
