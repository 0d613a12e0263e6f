"""Models that give something else than one row of scores, or cannot be looked into: each is explained, or says why."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _remove_buffers
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.core.errors import NonFiniteError, TargetError, TrainingModeWarning
from attriscope.widget.state.selection import ChoiceError
from widget.model.test_output_kind import Headed

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def headed(head: Callable[[Tensor], Any], classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return Headed(classes, head).eval()


@pytest.mark.parametrize("head", [lambda y: {"logits": y}, lambda y: (y,), lambda y: [y]])
def test_the_scores_are_taken_out_of_what_holds_them(head: Callable[[Tensor], Any]) -> None:
    plain, wrapped = headed(lambda y: y), headed(head)
    one, other = (Explorer(m, X, n_steps=4, ablated=[["body", 1]]).wait(60) for m in (plain, wrapped))
    assert one.predictions == other.predictions
    assert one.what_if == other.what_if
    assert one.path["probabilities"] == other.path["probabilities"]
    torch.testing.assert_close(one.attributions, other.attributions)


def margin(output: tuple[Tensor, Tensor]) -> Tensor:
    return output[0][:, 3] - output[1][:, 0]


def test_a_function_as_target() -> None:
    model = headed(lambda y: (y, 2 * y))
    with pytest.raises(TargetError, match="pass a function as target"):
        Explorer(model, X, n_steps=4).wait(60)
    explorer = Explorer(model, X, target=margin, n_steps=4).wait(60)
    assert explorer.target(model(X)).shape == (1,)
    assert explorer.get_state("target") == {"target": "margin"}  # the page has its name
    assert explorer.heat["title"] == "Integrated gradients for margin, baseline zero"
    assert explorer.heat["request"]["target"] == explorer.path["request"]["target"] == "margin"
    wanted = attr.IntegratedGradients(model).attribute(X, target=margin, n_steps=4)
    torch.testing.assert_close(explorer.attributions, wanted)
    space = {"model": model, "inputs": X, "target": margin}
    exec(explorer.code, space)
    torch.testing.assert_close(space["attributions"], wanted)
    # The page comes back to it by name; another function of the same name is another one.
    other = lambda output: output[1][:, 2]  # noqa: E731
    other.__name__ = "margin"
    explorer.target = other
    assert explorer.get_state("target") == {"target": "margin (2)"}
    explorer.set_state({"target": "margin"})
    assert explorer.target.function is margin
    explorer.set_state({"target": "nothing of the kind"})
    assert explorer.target.function is margin
    assert explorer.refused["trait"] == "target"
    with pytest.raises(ChoiceError, match="margin"):
        explorer.contrast = 1
    explorer.wait(60)


@pytest.mark.parametrize(
    "method", ["ShapleyValues", "ShapleyValueSampling", "KernelShap", "FeatureAblation", "Lime"]
)
def test_every_method_gives_a_map_of_a_model_with_one_output(method: str) -> None:
    model = headed(lambda y: y, 1)
    explorer = Explorer(model, X, method=method, n_steps=4).wait(120)
    assert explorer.attributions.shape == X.shape
    space = {"model": model, "inputs": X}
    exec(explorer.code, space)
    torch.testing.assert_close(space["attributions"], explorer.attributions)


def test_a_scripted_model_is_explained_without_layers() -> None:
    scripted = torch.jit.script(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    )
    explorer = Explorer(scripted, X, n_steps=4).wait(60)
    assert list(explorer.layers) == []
    assert explorer.status == "idle"
    wanted = attr.IntegratedGradients(scripted).attribute(X, target=explorer.target, n_steps=4)
    torch.testing.assert_close(explorer.attributions, wanted)


def test_a_part_that_is_scripted_is_no_layer() -> None:
    part = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    explorer = Explorer(nn.Sequential(part, nn.Flatten(), nn.Linear(144, 3)).eval(), X, n_steps=4).wait(60)
    assert [row["name"] for row in explorer.layers] == ["", "1", "2"]


def test_an_output_without_dimensions() -> None:
    model = headed(lambda y: y.sum())
    explorer = Explorer(model, X, n_steps=4).wait(60)
    assert [item["score"] for item in explorer.predictions["items"]] == [pytest.approx(float(model(X)))]
    assert explorer.attributions.sum() == pytest.approx(
        explorer.path["scores"][-1] - explorer.path["scores"][0], abs=1e-2
    )


def test_an_output_of_true_and_false_has_no_gradient_and_says_so() -> None:
    explorer = Explorer(headed(lambda y: y > 0), X, n_steps=4)
    with pytest.raises(ValueError, match="does not depend on the inputs in a way that autograd can follow"):
        explorer.wait(60)
    assert explorer.predictions["items"]


def test_numbers_of_numpy_are_numbers() -> None:
    explorer = Explorer(headed(lambda y: y), X, n_steps=4, alpha=np.float32(0.25)).wait(60)
    explorer.opacity = np.float64(0.5)
    assert (type(explorer.alpha), explorer.alpha, explorer.opacity) == (float, 0.25, 0.5)


def test_it_cannot_be_pickled_and_says_so() -> None:
    explorer = Explorer(headed(lambda y: y), X, n_steps=4).wait(60)
    with pytest.raises(TypeError, match="Explorer cannot be pickled"):
        pickle.dumps(explorer)


def test_closed_while_it_computes_it_is_cancelled() -> None:
    explorer = Explorer(headed(lambda y: y), torch.randn(1, 3, 64, 64), method="Occlusion")
    explorer.close()
    assert explorer.status == "cancelled"


def test_class_names_are_checked_at_once() -> None:
    with pytest.raises(TypeError, match="class_names"):
        Explorer(headed(lambda y: y), X, class_names={"a", "b", "c", "d"})


def is_json(explorer: Explorer) -> bool:
    """Whether everything that the page was sent is JSON: it knows neither NaN nor infinity."""
    state, _, _ = _remove_buffers(explorer.get_state())
    json.dumps(state, allow_nan=False)
    return True


class Dark(nn.Module):
    """The score of one class is minus infinity where the picture is black."""

    def __init__(self, dark: int) -> None:
        super().__init__()
        self.body, self.dark = headed(lambda y: y), dark

    def forward(self, x: Tensor) -> Tensor:
        scores = self.body(x)
        added = torch.zeros_like(scores)
        added[:, self.dark] = x.detach().abs().mean((1, 2, 3)).log()
        return scores + added


def test_another_class_may_be_no_number_on_the_way() -> None:
    explorer = Explorer(Dark(2).eval(), X, target=1, n_steps=4, ablated=[["body.body", 0]]).wait(60)
    assert is_json(explorer)
    classes = [one["index"] for one in explorer.path["classes"]]
    assert explorer.path["probabilities"][classes.index(2)][0] == 0
    assert explorer.path["probabilities"][classes.index(2)][-1] > 0
    explorer.output = "sigmoid"
    explorer.wait(60)
    assert is_json(explorer)


def test_a_path_on_which_the_output_is_no_number_is_refused_each_time() -> None:
    explorer = Explorer(Dark(1).eval(), X, target=1, n_steps=4)
    for _ in range(2):
        with pytest.raises(NonFiniteError, match="NaN or infinite"):
            explorer.wait(60)
        assert explorer.path == {}
        explorer.recompute()
    explorer.method = "Saliency"  # asks nothing of the baseline
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        explorer.wait(60)
    explorer.method = "InputXGradient"  # the path was gone already
    with pytest.raises(NonFiniteError, match="on the path from the baseline"):
        explorer.wait(60)
    assert explorer.heat["final"]
    assert explorer.path == {}
    assert is_json(explorer)


def test_the_gap_of_lrp_has_the_sign_of_the_others() -> None:
    explorer = Explorer(headed(lambda y: y), X, method="LRP", target=1, n_steps=4).wait(60)
    output = float(explorer._explained.model(X)[0, 1])
    assert explorer.heat["gap"] == pytest.approx(float(explorer.attributions.sum()) - output, abs=1e-6)
    assert abs(explorer.heat["gap"]) > 1e-3


def test_a_class_is_a_target_by_its_name() -> None:
    names = ["tiger cat", "Tabby", "lynx", "tabby"]
    explorer = Explorer(headed(lambda y: y), X, target="Lynx", class_names=names, n_steps=4)
    assert explorer.target == 2
    explorer.target = "tabby"
    assert explorer.target == 3
    for given, said in (
        ("TABBY", r"several classes, \[1, 3\]"),
        ("linx", "did you mean 'lynx'"),
        ("dog", "no class$"),
    ):
        with pytest.raises(ChoiceError, match=said):
            explorer.target = given
    explorer.wait(60)


def test_a_model_in_training_mode_is_told_of_on_the_page_whenever_it_is() -> None:
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Flatten(), nn.Linear(144, 3)
    ).eval()
    explorer = Explorer(model, X, n_steps=4).wait(60)
    assert explorer.message == ""
    model.train()
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrainingModeWarning)  # the page says it, once
        explorer.recompute().wait(60)
    assert explorer.message.startswith(
        "The model is explained in training mode, which changes what BatchNorm2d does"
    )
    model.eval()
    assert explorer.recompute().wait(60).message == ""


def test_looking_for_a_last_sigmoid_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2), nn.Sigmoid()
    )
    batch_norm = model[1]
    assert isinstance(batch_norm, nn.BatchNorm2d)
    before = batch_norm.running_mean.clone()
    with pytest.warns(TrainingModeWarning):
        explorer = Explorer(model.train(), X, n_steps=4)
    explorer.wait(60)
    assert explorer.predictions["output"] == "sigmoid"
    assert batch_norm.running_mean.equal(before)
    assert int(batch_norm.num_batches_tracked) == 0
