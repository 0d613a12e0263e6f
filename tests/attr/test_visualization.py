"""attr.visualization is loaded when it is asked for; what it draws is tested in tests/_drawing."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "statement",
    [
        "visualization = attriscope.attr.visualization",
        "from attriscope.attr import *",
    ],
)
def test_loaded_when_asked_for(statement: str) -> None:
    code = (
        "import sys, attriscope.attr\n"
        "assert 'matplotlib' not in sys.modules and 'IPython' not in sys.modules\n"
        f"{statement}\n"
        "visualization.visualize_image_attr([[1.0, 2.0]], use_pyplot=False)\n"
        "visualization.format_word_importances(['a'], [1.0])\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'IPython' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_other_names_are_no_attributes() -> None:
    import attriscope.attr

    with pytest.raises(AttributeError, match="'nonsense'"):
        _ = attriscope.attr.nonsense
