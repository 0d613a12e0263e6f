"""One line, one table: that its numbers are the metrics', and that it shows what it holds."""

from __future__ import annotations

import builtins
import math
import re
import threading
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attriscope
from attriscope.attr import (
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    LayerGradientXActivation,
    Saliency,
)
from attriscope.core.errors import Cancelled, InputError
from attriscope.metrics import (
    CATALOGUE,
    Metric,
    Table,
    deletion,
    edge_detector,
    entropy,
    evaluate,
    pointing_game,
    probabilities,
    random_attribution,
)
from models import Snapshot, draw, pair, pictures, seeded

X, TARGETS = draw(3, 2, 6, 5), torch.tensor([0, 3, 1])
MASKS = torch.rand(3, 6, 5, generator=seeded(4)) > 0.5


def methods(model: Any) -> dict[str, Any]:
    return {
        "saliency": Saliency(model),
        "gradients": (IntegratedGradients(model), {"n_steps": 5}),
        "cam": LayerGradCam(model, "conv"),
        "shap": (GradientShap(model), {"baselines": torch.zeros(1, 2, 6, 5).double(), "n_samples": 2}),
        "random": random_attribution,
        "edges": edge_detector,
    }


def evaluated(model: Any = None, **more: Any) -> Table:
    model = model or pictures()
    return evaluate(methods(model), model, X, TARGETS, **{"generator": seeded(0), "masks": MASKS, **more})


def test_numbers_are_the_metrics() -> None:
    model = pictures()
    table = evaluated(model, metrics=["deletion", "pointing game"])
    given = Saliency(model).attribute(X, target=TARGETS)
    torch.testing.assert_close(
        table.values["saliency", "deletion"], deletion(model, X, given, target=TARGETS).auc.double()
    )
    cam = LayerGradCam(model, "conv").attribute(X, target=TARGETS)
    assert cam.shape[2:] == (6, 5)
    torch.testing.assert_close(table.values["cam", "pointing game"], pointing_game(cam, MASKS).double())
    assert table.mean("saliency", "deletion") == pytest.approx(
        table.values["saliency", "deletion"].mean().item()
    )
    spread = table.values["saliency", "deletion"].std().item() / math.sqrt(3)
    assert table.error("saliency", "deletion") == pytest.approx(spread)


def test_small_maps_of_layers_are_enlarged() -> None:
    model = pictures()
    table = evaluate({"cam": LayerGradCam(model, "pool")}, model, X, TARGETS, ["deletion"])
    small = LayerGradCam(model, "pool").attribute(X, target=TARGETS)
    assert small.shape[2:] == (3, 2)
    large = LayerAttribution.interpolate(small, (6, 5), "bilinear")
    expected = deletion(model, X, large, target=TARGETS).auc
    torch.testing.assert_close(table.values["cam", "deletion"], expected.double())


@pytest.mark.parametrize(("layer", "size"), [("words", 1), ("words", 2), ("flat", 1)])
def test_layers_of_token_ids_count_by_token(layer: str, size: int) -> None:
    """Several numbers of a token are added up; one of each is what it is."""
    parts = {"words": nn.Embedding(4, size), "flat": nn.Flatten(), "sum": nn.Linear(3 * size, 1, bias=False)}
    model, ids = nn.Sequential(OrderedDict(parts)), torch.tensor([[3, 1, 2]])
    with torch.no_grad():
        parts["words"].weight.copy_(torch.arange(4.0)[:, None].expand(4, size))
        parts["sum"].weight.fill_(1)
    found = entropy(LayerGradientXActivation(model, layer), inputs=ids)
    torch.testing.assert_close(found, entropy(ids.float()))


def test_every_metric_of_the_catalogue() -> None:
    model = pictures()
    table = evaluated(model, metrics=list(CATALOGUE))
    assert set(table.metrics) == set(CATALOGUE)
    for key, values in table.values.items():
        assert values.shape == (3,), key
        assert torch.isfinite(values).all() or key in table.notes, key
    assert all(cost.seconds > 0 for cost in table.judging.values())
    assert table.mean("edges", "randomisation") == pytest.approx(1)


def test_costs() -> None:
    table = evaluated(metrics=["sparseness"])
    assert table.explaining["saliency"].rows == 3
    assert table.explaining["gradients"].rows == 3 * 5
    assert table.explaining["random"].rows == 0
    assert table.judging["saliency", "sparseness"].rows == 0


class Calling:
    """A method of the user's own, that asks the model by itself."""

    def __init__(self, model: Any, passes: int) -> None:
        self.model, self.passes = model, passes

    def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
        for _ in range(self.passes):
            self.model(inputs)
        return inputs.clone()


def test_rows_are_counted_where_a_method_reports_none() -> None:
    model = pictures()
    methods = {"calling": Calling(model, 4), "idle": Calling(model, 0)}
    table = evaluate(methods, model, X, TARGETS, ["sparseness"])
    assert table.explaining["calling"].rows == 3 * 4
    assert table.explaining["idle"].rows == 0


def test_rows_that_nobody_sees_are_no_zero() -> None:
    model = pictures()
    table = evaluate({"calling": Calling(model, 4)}, lambda x: model(x), X, TARGETS, ["sparseness"])
    assert table.explaining["calling"].rows is None
    assert str(table).splitlines()[-1].split()[-2] == "–"


def test_random_numbers_are_the_same_for_all_and_the_generators() -> None:
    """A method under two names gets the same numbers, however many others stand between."""
    model = pictures()
    both = {"one": Saliency(model), "between": random_attribution, "two": Saliency(model)}
    names = ["sensitivity", "road", "infidelity", "randomisation", "faithfulness correlation"]
    table = evaluate(both, model, X, TARGETS, names, generator=seeded(3))
    for name in names:
        assert torch.equal(table.values["one", name], table.values["two", name]), name
    again = evaluate(both, model, X, TARGETS, names, generator=seeded(3))
    assert all(torch.equal(table.values[key], again.values[key]) for key in table.values)


def test_probabilities_may_be_judged() -> None:
    model = pictures()
    table = evaluate(
        {"saliency": Saliency(model)}, probabilities(model), X, TARGETS, ["deletion", "randomisation"]
    )
    assert 0 < table.mean("saliency", "deletion") < 1


def test_several_inputs_and_tables() -> None:
    model, inputs = pair(), (draw(3, 4), draw(3, 2, 3, seed=1))
    table = evaluate(
        {
            "gradients": IntegratedGradients(model),
            "times": InputXGradient(model),
            "random": random_attribution,
        },
        model,
        inputs,
        [0, 1, 2],
        ["deletion", "insertion", "completeness gap", "sensitivity", "randomisation", "entropy"],
        additional_forward_args=(draw(3, 3, seed=2),),
        generator=seeded(0),
    )
    assert table.best("completeness gap") == ("gradients",)
    assert table.mean("gradients", "completeness gap") < 1e-6


def test_functions_have_no_parameters_to_randomise() -> None:
    """By default a model that is a plain function is asked all the rest."""
    forward = lambda x: x.square().flatten(1)  # noqa: E731
    table = evaluate({"saliency": Saliency(forward)}, forward, draw(2, 5), 3)
    assert list(table.metrics) == ["deletion", "insertion", "sensitivity", "sparseness"]
    with pytest.raises(TypeError, match=r"'saliency', randomisation: the model must be a torch.nn.Module"):
        evaluate({"saliency": Saliency(forward)}, forward, draw(2, 5), 3, ["randomisation"])


def test_metrics_of_ones_own_by_any_name() -> None:
    model = pictures()
    own = Metric(lambda case: case.attributions.flatten(1).amax(1) + len(case.targets), "higher")
    table = evaluate({"saliency": Saliency(model)}, model, X, TARGETS, {"largest": own, "area": "deletion"})
    expected = Saliency(model).attribute(X, target=TARGETS).flatten(1).amax(1) + 3
    assert torch.equal(table.values["saliency", "largest"], expected)
    assert table.metrics["area"].better == "lower"


def test_who_loses_to_a_control() -> None:
    """By lower and higher alike, with the difference and its error over the same examples."""
    values = {
        ("a", "up"): torch.tensor([1.0, 2, 3, 4]).double(),
        ("control", "up"): torch.tensor([2.0, 3, 5, 4]).double(),
        ("a", "down"): torch.tensor([1.0, 1, 1, 1]).double(),
        ("control", "down"): torch.tensor([2.0, 2, 2, 2]).double(),
    }
    up, down = (Metric(lambda case: case.attributions, better) for better in ("higher", "lower"))
    table = Table(("a", "control"), {"up": up, "down": down}, values, {}, {}, {})
    (loss,) = table.worse_than("control")
    assert (loss.method, loss.metric, loss.difference) == ("a", "up", 1)
    assert loss.error == pytest.approx(torch.tensor([1.0, 1, 2, 0]).std().item() / 2)
    assert table.best("down") == ("a",)
    assert table.against("control").splitlines() == [
        "up ↑  worse than control: a by 1.00 ± 0.408",
        "down ↓  worse than control: none",
    ]
    assert table.against("control", clear=3).splitlines()[0].endswith("none; no clear difference: a")
    with pytest.raises(InputError, match="no 'b' by 'up'"):
        table.worse_than("b")
    # Wherever the control stands.
    assert Table(("control", "a"), {"up": up, "down": down}, values, {}, {}, {}).worse_than("control") == [
        loss
    ]


def test_what_is_undefined_is_said() -> None:
    """One map of three is even: its order is undefined, and the mean is that of the others."""
    model = pictures()
    maps = Saliency(model).attribute(X, target=TARGETS).detach().clone()
    maps[1] = 1

    def partly(model: Any, inputs: Tensor, target: Any) -> Tensor:
        return maps[: len(inputs)]

    table = evaluate({"partly": partly}, model, X, TARGETS.numpy(), ["deletion", "sparseness"])
    values = table.values["partly", "deletion"]
    assert values.isnan().tolist() == [False, True, False]
    assert table.mean("partly", "deletion") == pytest.approx(values[[0, 2]].mean().item())
    assert "undefined for 1 of 3 examples: all features have the same attribution" in str(table)
    assert "undefined for 1 of 3 examples" in table._repr_html_()
    assert ("partly", "sparseness") not in table.notes
    maps[0], maps[1] = 1, torch.rand(maps[1].shape, generator=torch.Generator().manual_seed(0)).to(maps)
    first = evaluate({"partly": partly}, model, X, TARGETS, ["deletion"]).values["partly", "deletion"]
    assert first.isnan().tolist() == [True, False, False]  # those after it have their values
    none = evaluate(
        {"even": lambda model, inputs, target: torch.ones_like(inputs)}, model, X, TARGETS, ["deletion"]
    )
    assert "undefined for 3 of 3" in str(none)
    assert none.best("deletion") == ()
    assert "undefined" in [text.get_text() for text in none.figure().axes[0].texts]


def test_progress_cancel_and_the_state_of_the_world() -> None:
    model, reports, stop = pictures(), [], threading.Event()
    watch = Snapshot(model, (X,))
    with attriscope.control(progress=lambda done, total: reports.append((done, total))):
        evaluated(model)
    assert reports[-1][0] == reports[-1][1]
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    watch.check()

    def halfway(done: int, total: int) -> None:
        if done > total / 2:
            stop.set()

    with pytest.raises(Cancelled), attriscope.control(progress=halfway, cancel=stop):
        evaluated(model)
    watch.check()


# --- how it is shown ------------------------------------------------------------------------------------------------


def test_text() -> None:
    table = evaluated()
    lines = str(table).splitlines()
    assert len(lines) == 7
    assert repr(table) == str(table)
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        "deletion ↓", "insertion ↑", "sensitivity ↓", "randomisation ↓", "sparseness ↑", "localisation ↑", "rows",
        "seconds",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == list(table.methods)


def test_html_is_text_whatever_the_names() -> None:
    model = pictures()
    evil = "<script>alert(1)</script>"
    image = '"><img src=x onerror=alert(1)>'
    table = evaluate(
        {evil: Saliency(model), "even": lambda model, inputs, target: torch.ones_like(inputs)},
        model,
        X,
        TARGETS,
        {image: Metric(lambda case: case.attributions.flatten(1).sum(1), "higher"), "deletion": "deletion"},
    )
    page = table._repr_html_()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;img src=x onerror=alert(1)&gt; ↑" in page
    assert "font-weight:bold" in page
    assert "#" not in re.sub(r"&#x?\w+;", "", page)  # no colours of its own: readable on light and on dark
    assert table.figure().axes[0].get_title().startswith('"><img')


def test_the_figure_holds_the_numbers() -> None:
    table = evaluated(metrics=["deletion", "sparseness"])
    axes = table.figure().axes
    assert [ax.get_title() for ax in axes] == ["deletion ↓", "sparseness ↑"]
    assert table.figure()._repr_png_().startswith(b"\x89PNG")
    shown = [line.get_xdata()[0] for line in axes[0].lines if line.get_marker() == "o"]
    assert shown == pytest.approx([table.mean(method, "deletion") for method in table.methods])
    assert [label.get_text() for label in axes[0].get_yticklabels()] == list(table.methods)


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    table = evaluated(metrics=["deletion"])
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["deletion ↓", "rows", "seconds"]
    assert frame.loc["saliency", "deletion ↓"] == table.mean("saliency", "deletion")


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    table, real = evaluated(metrics=["sparseness"]), builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match="pip install pandas"):
        table.to_pandas()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": {}}, "dict of methods"),
        ({"methods": [Saliency]}, "dict of methods"),
        ({"methods": {"saliency": Saliency}}, "must be"),
        ({"methods": {"given": X}}, "'given' must be a method"),
        ({"methods": {3: random_attribution}}, "must be strings"),
        ({"metrics": ["delete"]}, "no metric 'delete'"),
        ({"metrics": "deletion"}, "list of names"),
        ({"metrics": {"own": lambda case: 1}}, "Metric"),
        ({"metrics": ["pointing game"]}, r"'saliency', pointing game: .*masks="),
        ({"metrics": {"own": Metric(lambda case: torch.zeros(2), "lower")}}, "one number per example"),
        ({"metrics": {"own": Metric(lambda case: torch.full((3,), torch.nan), "lower")}}, "NaN"),
        ({"targets": [0, 1]}, "2 entries for 3"),
        ({"targets": 9}, "'saliency', explaining: .*out of range"),
        ({"masks": MASKS[:2], "metrics": ["localisation"]}, "masks have shape"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    model = pictures()
    given = {
        "methods": {"saliency": Saliency(model)},
        "model": model,
        "inputs": X,
        "targets": TARGETS,
        **change,
    }
    watch = Snapshot(model, (X,))
    with pytest.raises(AssertionError, match=message):
        evaluate(**given, generator=seeded(0))
    watch.check()


def test_a_direction_must_be_one() -> None:
    with pytest.raises(InputError, match="'higher' or 'lower'"):
        Metric(lambda case: case.attributions, "up")
