"""FeatureAblation: linear and product models, hand-made masks, outputs of every kind, futures."""

from __future__ import annotations

import itertools
from typing import Any

import captum.attr
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.futures import Future

import attriscope.attr
from attriscope.attr import FeatureAblation, FeaturePermutation
from attriscope.core.errors import InputError, TargetError
from models import Recorder, draw, mlp, pair, seeded

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)
W = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
MASK = torch.tensor([[7, 7, -1, 3]])


def linear(x: Tensor) -> Tensor:
    return x @ W.to(x.dtype)


# --- ablation: closed forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 1, 2, 3, 5, 100])
def test_a_linear_model(batch: int | None) -> None:
    """Each feature's term, measured from the baseline."""
    found = FeatureAblation(linear).attribute(X, perturbations_per_eval=batch)
    torch.testing.assert_close(found, X * W)
    found = FeatureAblation(linear).attribute(X, baselines=X.flip(0), perturbations_per_eval=batch)
    torch.testing.assert_close(found, (X - X.flip(0)) * W)


def test_a_product() -> None:
    """Without a factor the product is the product of the others times its baseline."""
    found = FeatureAblation(lambda x: x.prod(1)).attribute(X, baselines=2.0)
    torch.testing.assert_close(found, X.prod(1, keepdim=True) * (1 - 2 / X))


def test_grouped_elements_get_the_effect_of_the_group() -> None:
    found = FeatureAblation(linear).attribute(X, feature_mask=MASK)
    group = (X * W)[:, :2].sum(1)
    torch.testing.assert_close(found, torch.stack([group, group, X[:, 2] * 0.5, X[:, 3] * 3], 1))


@given(st.data())
def test_each_example_its_own_mask(data: Any) -> None:
    count = data.draw(st.integers(1, 3))
    x = draw(count, 2, 3, seed=3)
    mask = torch.randint(-2, 3, x.shape, generator=seeded(data.draw(st.integers(0, 99))))
    baseline = draw(data.draw(st.sampled_from([1, count])), 2, 3, seed=4)
    batch = data.draw(st.sampled_from([None, 1, 2]))

    def f(x: Tensor) -> Tensor:
        return x.flatten(1).prod(1)

    found = FeatureAblation(f).attribute(x, baseline, feature_mask=mask, perturbations_per_eval=batch)
    for n, at in itertools.product(range(count), torch.ones(2, 3).nonzero().tolist()):
        without = torch.where(mask[n] == mask[(n, *at)], baseline.expand_as(x)[n], x[n])
        torch.testing.assert_close(found[(n, *at)], f(x[n : n + 1])[0] - f(without[None])[0])


def test_a_feature_of_several_inputs() -> None:
    x, y = draw(2, 4), draw(2, 2, 3, seed=1)
    masks = torch.tensor([[0, 0, 1, 2]]), torch.tensor([[[1, 1, 1], [5, 5, 5]]])
    model = pair()
    found = FeatureAblation(model).attribute((x, y), (1.0, 0.5), target=2, feature_mask=masks)
    whole = model(x, y)[:, 2]
    for name in (0, 1, 2, 5):
        off = model(torch.where(masks[0] == name, 1.0, x), torch.where(masks[1] == name, 0.5, y))[:, 2]
        for a, mask in zip(found, masks, strict=True):
            on = (mask == name).expand_as(a)
            torch.testing.assert_close(a[on], (whole - off).reshape(2, *[1] * (a.dim() - 1)).expand_as(a)[on])


def test_rows() -> None:
    """One for the inputs and one for each feature, of every example; an explicit number is the number of copies."""
    for batch, expected in ((1, [3] * 5), (2, [3, 6, 6]), (3, [3, 9, 3]), (9, [3, 12])):
        model = Recorder(linear)
        FeatureAblation(model).attribute(X, perturbations_per_eval=batch)
        assert model.rows == expected
    model = Recorder(linear)
    assert FeatureAblation(model).estimate(X, feature_mask=MASK).evaluations == sum(model.rows) == 12


def test_examples_may_be_more_than_a_batch() -> None:
    """The evaluator may cut the examples of a step."""
    x = draw(300, 3000)
    weights = draw(3000, seed=1)
    model = Recorder(lambda x: x @ weights)
    found = FeatureAblation(model).attribute(x, feature_mask=torch.arange(3000)[None] // 1500)
    halves = (x * weights).reshape(300, 2, 1500).sum(2)
    torch.testing.assert_close(found[:, ::1500], halves)
    assert any(rows < 300 for rows in model.rows)


# --- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_one_number_for_all_examples(count: int, batch: int | None) -> None:
    """A loss: a first dimension of 1, whatever form the number has."""
    x = X[:count]
    for form in (lambda y: y.sum(), lambda y: y.sum().reshape(1), lambda y: float(y.sum())):
        model = Recorder(lambda x, form=form: form(linear(x)))
        found = FeatureAblation(model).attribute(x, perturbations_per_eval=batch)
        torch.testing.assert_close(found, (x * W).sum(0, keepdim=True))
        assert sum(rows > count for rows in model.rows) <= 1  # at most one try of a larger batch
    found = FeatureAblation(lambda x: (x > 0).sum().item()).attribute(x, -9.0, perturbations_per_eval=batch)
    assert torch.equal(found, (x > 0).long().sum(0, keepdim=True))


@pytest.mark.parametrize("batch", [None, 1])
def test_some_numbers_for_all_examples(batch: int | None) -> None:
    def f(x: Tensor) -> Tensor:
        return torch.stack([linear(x).sum(), x.sum()])

    for x in (X, X[:1], X[:2]):  # 2 examples and 2 numbers look like one each
        found = FeatureAblation(f).attribute(x, perturbations_per_eval=batch)
        torch.testing.assert_close(found, torch.stack([(x * W).sum(0), x.sum(0)]))


def test_several_numbers_per_example() -> None:
    """All are explained, example by example."""
    model = mlp()
    each = torch.stack([FeatureAblation(model).attribute(X, target=k) for k in range(3)], 1)
    for batch in (None, 1, 2):
        found = FeatureAblation(model).attribute(X, perturbations_per_eval=batch)
        torch.testing.assert_close(found, each.flatten(0, 1), rtol=1e-12, atol=1e-14)
    mask = torch.tensor([[0, 0, 1, 2], [3, 2, 1, 0], [1, 1, 1, 1]])
    own = torch.stack([FeatureAblation(model).attribute(X, target=k, feature_mask=mask) for k in range(3)], 1)
    torch.testing.assert_close(FeatureAblation(model).attribute(X, feature_mask=mask), own.flatten(0, 1))


def test_part_of_an_output() -> None:
    """An index for some of the output's dimensions leaves the numbers of the others."""

    def f(x: Tensor) -> Tensor:
        return torch.stack([x, 2 * x], 1)  # (N, 2, 4)

    found = FeatureAblation(f).attribute(X, target=1)
    assert found.shape == (12, 4)
    torch.testing.assert_close(found.reshape(3, 4, 4), 2 * torch.diag_embed(X))
    torch.testing.assert_close(
        FeatureAblation(f).attribute(X, target=(slice(None), 2)).reshape(3, 2, 4)[:, 1, 2], 2 * X[:, 2]
    )
    with pytest.raises(TargetError, match="out of range"):
        FeatureAblation(f).attribute(X, target=2)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (lambda x: (x > 0).all(1), torch.int64),
        (lambda x: (x > 0).sum(1), torch.int64),
        (lambda x: (x > 0).sum(1).to(torch.uint8), torch.int64),
        (lambda x: x.sum(1).bfloat16(), torch.bfloat16),
        (lambda x: x.sum(1).float(), torch.float32),
        (lambda x: x.sum(1), torch.float64),
    ],
)
def test_results_have_the_outputs_type(output: Any, expected: torch.dtype) -> None:
    found = FeatureAblation(output).attribute(X.abs(), baselines=-1.0)
    assert found.dtype == expected
    assert (found > 0).all()


def test_integer_and_bool_inputs() -> None:
    tokens = torch.tensor([[3, 0, 5], [1, 1, 2]])
    found = FeatureAblation(lambda t: (t * t).sum(1)).attribute(tokens, baselines=1)
    assert torch.equal(found, tokens**2 - 1)
    flags = torch.tensor([[True, False, True]])
    found = FeatureAblation(lambda t: t.sum(1).float()).attribute(flags)
    assert found.tolist() == [[1, 0, 1]]


def test_an_input_without_elements() -> None:
    found = FeatureAblation(lambda x, y: x.sum(1) + y.sum(1)).attribute((X, torch.zeros(3, 0)))
    torch.testing.assert_close(found[0], X)
    assert found[1].shape == (3, 0)
    alone = FeatureAblation(lambda x: x.sum(1)).attribute(torch.zeros(3, 0))
    assert alone.shape == (3, 0)


def test_further_arguments_go_with_their_examples() -> None:
    x, y = draw(2, 4), draw(2, 2, 3, seed=1)
    per_example, weights, model = draw(2, 3, seed=2), draw(3, seed=3), pair()
    whole = FeatureAblation(model).attribute(
        (x, y), target=1, additional_forward_args=(per_example, weights, 2.0)
    )
    for n in range(2):
        one = slice(n, n + 1)
        alone = FeatureAblation(model).attribute(
            (x[one], y[one]), target=1, additional_forward_args=(per_example[one], weights, 2.0)
        )
        for a, b in zip(alone, whole, strict=True):
            torch.testing.assert_close(a, b[one])


# --- refusals -------------------------------------------------------------------------------------------------------


def total(x: Tensor) -> Tensor:
    return x.sum()


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: FeatureAblation(total).attribute(X, perturbations_per_eval=2), ValueError,
         "Cannot have perturbations_per_eval > 1 when function returns scalar"),
        (lambda: FeatureAblation(total).attribute(X[:1], perturbations_per_eval=2), ValueError,
         "Cannot have perturbations_per_eval > 1"),
        (lambda: FeatureAblation(lambda x: x.sum().reshape(1)).attribute(X[:1], perturbations_per_eval=2), ValueError,
         "dimension 0 grows with the batch, which it does not; set perturbations_per_eval to 1"),
        (lambda: FeatureAblation(lambda x: x.sum(0)[:2]).attribute(X[:2], perturbations_per_eval=2), ValueError,
         "forward_func's output should be a tensor whose dimension 0 grows"),
        (lambda: FeatureAblation(total).attribute(X, feature_mask=MASK.repeat(3, 1)), ValueError,
         "Cannot provide different masks for each example when function returns a scalar"),
        (lambda: FeatureAblation(linear).attribute(X, perturbations_per_eval=0), ValueError, "at least 1, but 0 came"),
        (lambda: FeatureAblation(linear).attribute(X, perturbations_per_eval=1.5), TypeError, "1.5 came"),
        (lambda: FeatureAblation(linear).attribute(X, baseline=0), TypeError, "does not know 'baseline'"),
        (lambda: FeatureAblation(lambda x: "no").attribute(X), IndexError,
         "output is a str, in which there is no tensor"),
        (lambda: FeatureAblation(mlp()).attribute(X, target=lambda y: "no"), IndexError, "a number, but is 'no'"),
        (lambda: FeatureAblation(lambda x: {"y": x, 1: x}).attribute(X, target=0), IndexError,
         "target=lambda output"),
        (lambda: FeatureAblation(mlp()).attribute(X, target=3), IndexError, "out of range"),
        (lambda: FeatureAblation(lambda x: linear(x) / 0 * 0).attribute(X), ArithmeticError, "NaN"),
        (lambda: FeatureAblation(later).attribute(X), TypeError, "use attribute_future"),
        (lambda: FeatureAblation(linear).attribute_future(X), TypeError, "forward_func that returns a torch.futures"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained(call: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_an_object_used_again_looks_again() -> None:
    """Captum remembers on the object that a first output grew with the batch, and then gives wrong numbers."""
    outputs = [linear, total]
    method = FeatureAblation(lambda x: outputs[0](x))
    method.attribute(X, perturbations_per_eval=2)
    outputs.pop(0)
    with pytest.raises(InputError, match="Cannot have perturbations_per_eval > 1"):
        method.attribute(X, perturbations_per_eval=2)


# --- futures --------------------------------------------------------------------------------------------------------


MLP = mlp()


def later(x: Tensor) -> Future[Tensor]:
    made: Future[Tensor] = Future()
    made.set_result(MLP(x))
    return made


@pytest.mark.parametrize("batch", [None, 2])
def test_futures(batch: int | None) -> None:
    found = FeatureAblation(later).attribute_future(
        X, 0.5, target=1, perturbations_per_eval=batch, feature_mask=MASK
    )
    expected = FeatureAblation(MLP).attribute(X, 0.5, target=1, feature_mask=MASK)
    torch.testing.assert_close(found.wait(), expected)
    torch.manual_seed(0)
    found = FeaturePermutation(later).attribute_future((X,), perturbations_per_eval=batch)
    torch.manual_seed(0)
    torch.testing.assert_close(found.wait(), FeaturePermutation(MLP).attribute((X,)))


def test_all_futures_are_asked_for_before_any_is_waited_for() -> None:
    open_: list[tuple[Future[Tensor], Tensor]] = []

    def pending(x: Tensor) -> Future[Tensor]:
        open_.append((Future(), x))
        return open_[-1][0]

    found = FeatureAblation(pending).attribute_future(X)
    assert len(open_) == 5
    assert not found.done()
    for future, x in reversed(open_):
        future.set_result(linear(x))
    torch.testing.assert_close(found.wait(), X * W)


def test_what_fails_later_fails_in_the_future() -> None:
    failing: Future[Tensor] = Future()
    found = FeatureAblation(lambda x: failing).attribute_future(X)
    failing.set_exception(ValueError("the server is gone"))
    with pytest.raises(Exception, match="the server is gone"):
        found.wait()


# --- on the way -----------------------------------------------------------------------------------------------------


def test_a_stream_knows_what_it_does_not_know_yet() -> None:
    final = FeatureAblation(linear).attribute(X)
    for i, estimate in enumerate(FeatureAblation(linear).stream(X, perturbations_per_eval=1)):
        assert torch.equal(estimate.attributions[:, :i], final[:, :i])
        assert estimate.attributions[:, i:].abs().sum() == 0
        assert estimate.error.isinf().sum() == 3 * (4 - i)
        assert estimate.evaluations == 3 * (i + 1)
    assert estimate.stopped == "complete"


def test_on_the_meta_device() -> None:
    """Masks need torch.unique, whose result has no size there; all else goes."""
    x = torch.zeros(2, 3, 4, device="meta")
    found = FeatureAblation(lambda x: x.flatten(1).sum(1)).attribute(x)
    assert found.shape == x.shape
    assert found.is_meta


def test_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    FeatureAblation(linear).attribute(X, show_progress=True, perturbations_per_eval=2)
    shown = capsys.readouterr().err
    assert shown.startswith("\rFeature Ablation attribution:")
    assert shown.endswith("100%, 15/15 rows, 0 s left\n")

    def broken(x: Tensor) -> Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        FeatureAblation(broken).attribute(X, show_progress=True)
    assert capsys.readouterr().err.endswith("\n")  # closed all the same


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FeatureAblation", {}),
        ("FeaturePermutation", {}),
        ("Occlusion", {"sliding_window_shapes": (1,)}),
        ("ShapleyValueSampling", {}),
        ("ShapleyValues", {}),
        ("Lime", {}),
        ("KernelShap", {}),
    ],
)
def test_the_bars_words_are_captums(
    name: str, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs look for them on stderr: the method's name, and that all is done."""
    words = []
    for library in (captum.attr, attriscope.attr):
        method = getattr(library, name)(linear)
        method.attribute(X, perturbations_per_eval=1, show_progress=True, **options)
        lines = capsys.readouterr().err.strip("\r\n").split("\r")
        words.append((lines[-1].split(":")[0], "attribution: 100%" in lines[-1]))
    assert words[0] == words[1] == (f"{method.get_name()} attribution", True)


def test_the_bar_of_a_data_loader(capsys: pytest.CaptureFixture[str]) -> None:
    attriscope.attr.DataLoaderAttribution(FeatureAblation(linear)).attribute([X, X], show_progress=True)
    assert "Feature Ablation attribution: 100%" in capsys.readouterr().err
