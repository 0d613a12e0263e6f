"""``attribute`` is typed as what it returns: for type checkers, for ``inspect.signature`` and in truth."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import attr
from attriscope.attr import (
    IntegratedGradients,
    LayerConductance,
    NeuronGradient,
    NoiseTunnel,
    PartialResult,
    Saliency,
    streaming,
)

ROOT = Path(__file__).parents[2]
METHODS = [
    method
    for name in attr.__all__
    if isinstance(method := getattr(attr, name), type)
    and issubclass(method, attr.Attribution)
    and "attribute" in dir(method)
]


def test_a_type_checker_finds_the_types() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/attr/typed_calls.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found in 1 source file" in done.stdout


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_no_signature_speaks_of_partial_results(method: Any) -> None:
    annotation = inspect.signature(method.attribute).return_annotation
    assert annotation is not inspect.Signature.empty
    assert "PartialResult" not in str(annotation)
    assert "Iterator" not in str(annotation)
    hints = typing.get_type_hints(method.attribute)
    assert set(hints) == {*inspect.signature(method.attribute).parameters, "return"} - {"self"}


@pytest.mark.parametrize(
    ("method", "returns"),
    [
        (Saliency, "SameForm"),
        (IntegratedGradients, "SameForm | tuple[SameForm, Tensor]"),
        (LayerConductance, "PerLayer | tuple[PerLayer, Tensor]"),
        (NeuronGradient, "SameForm | list[SameForm]"),
        (NoiseTunnel, "Any"),
    ],
)
def test_signatures_say_what_is_returned(method: Any, returns: str) -> None:
    assert inspect.signature(method.attribute).return_annotation == returns
    assert method.attribute.__annotations__["return"] == returns


def plain(self: Any, inputs: Tensor) -> Iterator[PartialResult[Tensor]]:
    yield PartialResult(lambda: inputs)


def test_annotations_are_read_as_text_and_as_objects() -> None:
    def returned(annotation: Any) -> Any:
        def generator(inputs: Tensor) -> Any:
            yield PartialResult(lambda: inputs)

        generator.__annotations__["return"] = annotation
        return inspect.signature(streaming(generator)).return_annotation

    assert returned("Iterator[PartialResult[Tensor]]") == "Tensor"
    assert returned("abc.Iterator[attr.PartialResult[Tensor | tuple[Tensor, Tensor]]]") == (
        "Tensor | tuple[Tensor, Tensor]"
    )
    assert returned("Generator[PartialResult[list[Tensor]], None, None]") == "list[Tensor]"
    assert returned("Iterator[PartialResult]") == "Any"
    assert returned(Iterator[PartialResult[Tensor]]) is Tensor
    assert returned(Generator[PartialResult[Tensor | None], None, None]) == Tensor | None
    assert returned(Iterator[PartialResult]) is Any
    assert returned(inspect.Signature.empty) is inspect.Signature.empty


def test_parameters_stay_as_they_are_written() -> None:
    made = inspect.signature(streaming(plain))
    assert made.parameters == inspect.signature(plain).parameters
    assert list(inspect.signature(Saliency(torch.sin).attribute).parameters) == [
        "inputs", "target", "abs", "additional_forward_args",
    ]  # fmt: skip
