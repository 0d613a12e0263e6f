"""Every tensor that the package makes says where: torch's default device need not be where the user's tensors are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.utils._device import _device_constructors

PACKAGE = Path(__file__).parents[2] / "src/attriscope"
# What torch makes on its default device.
MAKERS = {function.__name__.removeprefix("fft_") for function in _device_constructors()}
# Handed to a function that names the device.
ALLOWED = {("attr/baselines.py", "torch.rand"), ("attr/baselines.py", "torch.randn")}


def unplaced(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What makes tensors on the default device, with its line."""
    placed = set()
    for node in ast.walk(tree):  # a call comes before the function in it
        if isinstance(node, ast.Call):
            devices = [ast.unparse(k.value) for k in node.keywords if k.arg == "device"]
            if devices not in ([], ["None"]):
                placed.add(node.func)
        elif isinstance(node, ast.Attribute) and node.attr in MAKERS and node not in placed:
            name = ast.unparse(node)
            if name.startswith("torch."):
                yield node.lineno, name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            for name in {alias.name for alias in node.names} & MAKERS:
                yield node.lineno, f"{node.module}.{name}"


def test_every_tensor_has_a_place() -> None:
    """But for the zoo: its models go where torch puts new models."""
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        found = unplaced(ast.parse(path.read_text(encoding="utf-8"), file))
        if not file.startswith("zoo/"):
            wrong += [f"{file}:{line} {name}" for line, name in found if (file, name) not in ALLOWED]
    assert wrong == [], "these need device=: that of a neighbour, or 'cpu'"


@pytest.mark.parametrize(
    ("code", "places"),
    [
        ("torch.zeros(3)", False),
        ("torch.zeros(3, device=None)", False),
        ("torch.zeros(3, **options)", False),
        ("torch.tensor([torch.arange(3)], device='cpu')", False),
        ("draw(torch.rand)", False),
        ("torch.fft.fftfreq(3)", False),
        ("torch.nested.nested_tensor([x])", False),
        ("from torch import zeros", False),
        ("torch.zeros(3, device=x.device)", True),
        ("torch.zeros_like(x)", True),
        ("x.new_zeros(3)", True),
        ("torch.from_numpy(x)", True),
        ("torch.Generator()", True),
        ("from torch import Tensor", True),
    ],
)
def test_the_rule_itself(code: str, places: bool) -> None:
    assert (not list(unplaced(ast.parse(code)))) is places
