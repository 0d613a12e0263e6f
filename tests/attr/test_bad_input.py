"""Everything issue 2 calls bad input: each method says what came and what would be right, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from attriscope.attr import Attribution, IntegratedGradients, LayerActivation, LayerGradCam, Saliency
from attriscope.core.errors import InputError
from methods import METHODS, Method, every_fixed_input_method, every_method, every_targeted_method
from models import Snapshot, assert_same, draw, pictures, spelled

X = draw(3, 2, 6, 5)


def refused(
    call: Callable[[], Any],
    kinds: tuple[type[Exception], ...],
    says: tuple[str, ...],
    model: Any,
    *watched: Any,
) -> None:
    """The call must fail as all of these kinds, say all of these words, and leave everything as it was."""
    tensors = tuple(t for t in watched if isinstance(t, torch.Tensor))
    before = Snapshot(model, tensors)
    with pytest.raises(AssertionError) as caught:
        call()
    before.check()
    assert isinstance(caught.value, InputError)
    for kind in kinds:
        assert isinstance(caught.value, kind), f"{caught.value!r} is no {kind.__name__}"
    for words in says:
        assert words in str(caught.value)


@every_method
def test_wrong_shape(method: Method) -> None:
    x = X[:, :1]
    model = pictures()
    refused(
        lambda: method.attribute(model, x, 0),
        (RuntimeError, ValueError),
        ("Pictures refused", "1, 6, 5), float64 on cpu", "expected input", "conv: Conv2d(2, 3"),
        model,
        x,
    )


@every_method
def test_wrong_device(method: Method) -> None:
    model, x = pictures(), X.to("meta")
    refused(
        lambda: method.attribute(model, x, 0),
        (RuntimeError,),
        ("float64 on meta", "The model is on cpu; move the inputs there with x.to('cpu')"),
        model,
    )
    away = pictures().to("meta")
    refused(lambda: method.attribute(away, X, 0), (RuntimeError,), ("on cpu", "x.to('meta')"), None, X)


@every_method
def test_wrong_dtype(method: Method) -> None:
    model, x = pictures(), X.float()
    refused(
        lambda: method.attribute(model, x, 0),
        (RuntimeError,),
        ("float32 on cpu", "x.to(torch.float64)"),
        model,
        x,
    )


@every_fixed_input_method
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_integer_inputs_of_gradient_methods(method: Method, dtype: torch.dtype) -> None:
    model, x = pictures(), (X > 0).to(dtype)
    says = (
        "needs gradients",
        str(dtype).removeprefix("torch."),
        "x.float()",
        "additional_forward_args",
        "embedding",
    )
    refused(lambda: method.attribute(model, x, 0), (TypeError,), says, model, x)
    refused(
        lambda: method.attribute(model, (X, x), 0), (TypeError,), ("input 1 is a tensor of shape",), model, x
    )


@every_targeted_method
@pytest.mark.parametrize(
    ("target", "kinds", "says"),
    [
        (4, (IndexError,), ("target 4", "index 4", "0 to 3")),
        (-5, (IndexError,), ("target -5", "0 to 3")),
        ([0, 1, 9], (IndexError,), ("[0, 1, 9]", "index 9")),
        (torch.tensor([0, 1, 4]), (IndexError,), ("a tensor of shape (3,), int64", "index 4")),
        (np.array([0, 1, 4]), (IndexError,), ("array([0, 1, 4])", "index 4")),
        ([0, 1], (IndexError,), ("[0, 1]", "2 entries for 3 example(s)")),
        ((0, 0), (IndexError,), ("2 index(es)", "1 are needed")),
        (None, (IndexError,), ("Target not provided when necessary",)),
        (lambda out: out, (IndexError,), ("target(output)", "one number per example")),
        ("cat", (TypeError,), ("'cat' of type str",)),
        (0.5, (TypeError,), ("0.5 of type float",)),
    ],
    ids=spelled,
)
def test_targets(
    method: Method, target: Any, kinds: tuple[type[Exception], ...], says: tuple[str, ...]
) -> None:
    if not method.gradient and (target is None or callable(target)):
        pytest.skip("effects on several numbers per example are explained, too")
    if "NoiseTunnel" in method.name and isinstance(target, np.ndarray):
        says = ("index 4",)  # it has made something else of the array
    model = pictures()
    refused(lambda: method.attribute(model, X, target), kinds, says, model, X)


@every_targeted_method
def test_outputs_that_are_no_tensors(method: Method) -> None:
    """The logits are found where they are called so; of several tensors, a function must pick one."""
    model = pictures()

    class Wraps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            found = self.net(x)
            return {"logits": found, "probabilities": found.softmax(1)} if named else {"a": found, "b": found}

    named = True
    torch.manual_seed(0)
    expected = method.attribute(model, X, 1)
    torch.manual_seed(0)
    assert_same(method.attribute(Wraps(), X, 1, layer="net.conv"), expected)
    named = False
    says = ("output is a dict of several tensors", "target=lambda output")
    refused(lambda: method.attribute(Wraps(), X, 1, layer="net.conv"), (IndexError,), says, model, X)
    found = method.attribute(Wraps(), X, lambda out: out["a"][:, 1], layer="net.conv")
    torch.testing.assert_close(found, method.attribute(model, X, 1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", [m for m in METHODS if m.path], ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("options", "kinds", "says"),
    [
        ({"baselines": draw(2, 2, 6, 5)}, (ValueError,), ("(2, 2, 6, 5)", "(3, 2, 6, 5)", "(1, 2, 6, 5)")),
        ({"baselines": draw(2, 6, 5)}, (ValueError,), ("shape (2, 6, 5)",)),
        ({"baselines": "black"}, (TypeError,), ("'black' of type str", "None, a number or a tensor")),
        ({"baselines": (0, 0)}, (ValueError,), ("2 came for 1 input(s)",)),
        ({"baselines": torch.zeros(1, 2, 6, 5, device="meta")}, (ValueError,), ("is on meta", "to('cpu')")),
        ({"baselines": float("nan")}, (ArithmeticError,), ("NaN", "baseline")),
        ({"n_steps": 0}, (ValueError,), ("n_steps must be at least", "0 came")),
        ({"n_steps": 2.5}, (TypeError,), ("n_steps must be an int", "2.5")),
        ({"method": "simpson"}, (ValueError,), ("'simpson'", "gausslegendre", "riemann_left")),
        ({"internal_batch_size": 0}, (ValueError,), ("internal_batch_size must be at least 1, but 0",)),
        ({"internal_batch_size": 1.5}, (TypeError,), ("positive int or None, but 1.5",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_of_paths(
    method: Method, options: dict[str, Any], kinds: tuple[type[Exception], ...], says: tuple[str, ...]
) -> None:
    model = pictures()
    refused(lambda: method.attribute(model, X, 0, **options), kinds, says, model, X)


@every_targeted_method
def test_nan_in_the_output(method: Method) -> None:
    model = pictures()
    x = X.clone()
    x[1, 0, 0, 0] = torch.nan
    refused(
        lambda: method.attribute(model, x, 0),
        (ArithmeticError, ValueError),
        ("NaN", "model(*inputs)"),
        model,
        x,
    )
    broken = pictures()
    broken.fc.bias.data[2] = torch.nan
    refused(lambda: method.attribute(broken, X, 2), (ArithmeticError,), ("NaN",), broken, X)
    method.attribute(broken, X, 1)  # another output is none of its business


def test_nan_only_on_the_way() -> None:
    """Input and baseline are fine, and a point between them is not."""

    def model(x: torch.Tensor) -> torch.Tensor:
        y = x.flatten(1).sum(1)
        return (y.abs() - 1).sqrt()

    x = torch.full((1, 2), 2.0)
    assert not model(x).isnan()
    assert not model(-x).isnan()
    refused(
        lambda: IntegratedGradients(model).attribute(x, -x),
        (ArithmeticError,),
        ("rows that this method sent",),
        None,
        x,
    )


@pytest.mark.parametrize("kind", [LayerActivation, LayerGradCam])
@pytest.mark.parametrize(
    ("layer", "kinds", "says"),
    [
        ("convolution", (LookupError,), ("no layer 'convolution'", "'conv'")),
        (torch.nn.Linear(2, 3), (LookupError,), ("Linear(in_features=2", "not part of the model Pictures")),
        (None, (TypeError,), ("None came",)),
        (0, (TypeError,), ("0 came",)),
        ([], (ValueError,), ("the list of layers is empty",)),
        (["conv", "nope"], (LookupError,), ("no layer 'nope'",)),
    ],
    ids=str,
)
def test_layers(kind: Any, layer: Any, kinds: tuple[type[Exception], ...], says: tuple[str, ...]) -> None:
    model = pictures()
    refused(lambda: kind(model, layer), kinds, says, model)


@pytest.mark.parametrize("model", [None, "resnet", 3, [pictures()]], ids=lambda m: type(m).__name__)
def test_models_that_are_none(model: Any) -> None:
    with pytest.raises(
        TypeError, match=f"(?s)must be a model or a function, but .* of type {type(model).__name__} came"
    ):
        Saliency(model)
    with pytest.raises(AssertionError):
        Attribution(model)


@every_method
@pytest.mark.parametrize(
    ("inputs", "kinds", "says"),
    [
        ([X], (TypeError,), ("of type list came; write tuple(inputs)",)),
        (X.numpy(), (TypeError,), ("of type ndarray",)),
        (None, (TypeError,), ("None of type NoneType",)),
        ((), (TypeError,), ("of type tuple",)),
        (torch.tensor(1.0), (ValueError,), ("without dimensions",)),
        (X[:0], (ValueError,), ("no examples", "(0, 2, 6, 5)")),
        ((X, X[:2]), (ValueError,), ("(3, 2, 6, 5), (2, 2, 6, 5)",)),
    ],
    ids=["list", "array", "None", "empty tuple", "0-d", "no examples", "different numbers"],
)
def test_inputs(
    method: Method, inputs: Any, kinds: tuple[type[Exception], ...], says: tuple[str, ...]
) -> None:
    model = pictures()
    if says == ("(3, 2, 6, 5), (2, 2, 6, 5)",) and method.name == "NeuronFeatureAblation":
        pytest.skip("inputs of different first dimensions go to the model as they are")
    refused(lambda: method.attribute(model, inputs, 0), kinds, says, model)
