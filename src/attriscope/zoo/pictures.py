"""Three photographs that anyone may use."""

from __future__ import annotations

from typing import Any

import numpy as np

from attriscope.zoo._packages import import_package, package_file

PICTURES = ("chelsea", "coffee", "camera")
"""The names that :func:`picture` knows."""


def picture(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A photograph, read from the folder of the installed scikit-image; nothing is downloaded.

    All three are in the public domain by CC0, so they may be shown and shipped anywhere.

    - ``"chelsea"``, 300 x 451: the face of a tabby cat, by Stefan van der Walt
    - ``"coffee"``, 400 x 600: an espresso on a wooden table, by Rachel Michetti
    - ``"camera"``, 512 x 512: a man with a camera on a tripod, grey, by Lav Varshney

    Args:
        name: one of :data:`PICTURES`.

    Returns:
        uint8 RGB ``(H, W, 3)``, values 0 to 255; the three channels of a grey picture are equal.

    Raises:
        ValueError: no such name.
        ImportError: scikit-image or Pillow is not installed.
        FileNotFoundError: the installed scikit-image carries no such file.
    """
    if name not in PICTURES:
        raise ValueError(f"there is no picture {name!r}; there are {', '.join(map(repr, PICTURES))}")
    purpose = f"picture({name!r})"
    file = package_file("skimage", "scikit-image", f"data/{name}.png", purpose)
    with import_package("PIL.Image", "pillow", purpose).open(file) as image:
        return np.array(image.convert("RGB"))
