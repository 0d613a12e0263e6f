"""Several baselines, a contrast, a batch, a preview: what is shown answers what was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.attr import (
    DeepLift,
    DeepLiftShap,
    GradientShap,
    IntegratedGradients,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from attriscope.attr.baselines import blur, mean
from attriscope.core.errors import TargetError
from attriscope.widget.methods.catalogue import INPUT_METHODS
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Gate, Make, Masked, TwoLayers, from_page


def values(message: dict[str, Any]) -> Any:
    """A map as the page reads it."""
    return np.frombuffer(message["data"], "<f4").reshape(message["shape"])


# --- several baselines ----------------------------------------------------------------------------------------


def test_several_baselines_are_averaged(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1, baseline=["zero", "mean", "blur"]).wait()
    starts = [torch.zeros_like(image), mean(image), blur(image)]
    method = IntegratedGradients(model)
    wanted = torch.stack([method.attribute(image, s, target=1, n_steps=8) for s in starts]).mean(0)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["request"]["baseline"] == ["zero", "mean", "blur"]
    assert explorer.heat["title"].endswith("average over the baselines zero, mean colour, blurred")
    # The walk is the mean of the walks: of scores, and of what was attributed on the way.
    with torch.no_grad():
        ends = torch.stack([model(s)[0, 1] for s in starts]).mean().item()
    assert explorer.path["scores"][0] == pytest.approx(ends, abs=1e-5)
    assert explorer.path["totals"][-1] == pytest.approx(wanted.sum().item(), abs=1e-4)
    chances = torch.stack([model(s).softmax(1)[0] for s in starts]).mean(0)
    for row, item in zip(explorer.path["probabilities"], explorer.path["classes"], strict=True):
        assert row[0] == pytest.approx(chances[item["index"]].item(), abs=1e-5)


def test_averages_of_any_method_that_compares(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1, method="DeepLift", baseline=["zero", "mean"]).wait()
    both = [DeepLift(model).attribute(image, s, target=1) for s in (torch.zeros_like(image), mean(image))]
    torch.testing.assert_close(explorer.attributions, torch.stack(both).mean(0))
    explorer.method = "GradientShap"  # which takes a distribution
    explorer.settings = {"GradientShap": {"stdevs": 0.0}}
    explorer.wait()
    starts = torch.cat([torch.zeros_like(image), mean(image)])
    wanted = GradientShap(model).attribute(
        image, starts, n_samples=25, target=1, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(explorer.attributions, wanted)
    explorer.method = "DeepLiftShap"
    torch.testing.assert_close(
        explorer.wait().attributions, DeepLiftShap(model).attribute(image, starts, target=1)
    )


def test_coming_back_to_one_of_several_baselines_costs_nothing(make: Make, model: TwoLayers) -> None:
    explorer = make(target=1, baseline=["zero", "mean"]).wait()
    asked: list[Tensor] = []
    model.before = asked.append
    explorer.baseline = "mean"
    assert explorer.wait().heat["request"]["baseline"] == "mean"
    assert not asked


@pytest.mark.parametrize(
    "baseline", [["zero", "zero"], [], ["zero", "no"], ["zero"] * 10_000, ["zero", ["mean"]], [0.5, 0.7]]
)
def test_lists_of_baselines_that_make_no_sense(make: Make, baseline: Any) -> None:
    explorer = make(target=1).wait()
    with pytest.raises(ChoiceError) as caught:
        explorer.baseline = baseline
    assert len(str(caught.value)) < 500
    from_page(explorer, baseline=baseline)
    assert explorer.baseline == "zero"
    assert explorer.status == "idle"


def test_a_list_of_one_baseline_is_that_baseline(make: Make) -> None:
    explorer = make(target=1, baseline=["mean"]).wait()
    assert explorer.baseline == "mean"


# --- contrast -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(INPUT_METHODS))
def test_a_contrast_is_explained_by_every_method(make: Make, name: str) -> None:
    explorer = make(target=2, contrast=4, method=name, settings={"Lime": {"n_samples": 50}}).wait()
    assert (
        explorer.attributions.any() or name == "GuidedGradCam"
    )  # whose map is of one sign, here of the other one
    assert explorer.heat["title"].startswith(f"{INPUT_METHODS[name].title} for class 2 rather than class 4")
    assert explorer.heat["request"]["contrast"] == 4


def test_contrast_is_the_difference_of_two_outputs(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, contrast=4, method="Saliency").wait()
    of = [Saliency(model).attribute(image, target=t, abs=False) for t in (2, 4)]
    torch.testing.assert_close(explorer.attributions, of[0] - of[1])
    output = model(image)[0]
    assert explorer.path["scores"][-1] == pytest.approx((output[2] - output[4]).item(), abs=1e-5)
    assert explorer.path["target_label"] == "class 2 rather than class 4"
    assert explorer.path["request"]["contrast"] == 4


def test_contrast_and_target_are_never_the_same(make: Make) -> None:
    explorer = make(target=2).wait()
    with pytest.raises(ChoiceError, match="both are 2"):
        explorer.contrast = 2
    for nonsense in ("4", 4.0, True, [4], 17):
        with pytest.raises(ChoiceError, match="contrast"):
            explorer.contrast = nonsense
    explorer.contrast = 4
    from_page(explorer, target=4)  # a click on the class that was compared with
    assert (explorer.target, explorer.contrast) == (4, None)
    from_page(explorer, target=2, contrast=2)
    assert (explorer.target, explorer.contrast) == (2, None)
    assert explorer.refused["trait"] == "contrast"
    from_page(explorer, contrast=1, target=1)
    assert explorer.contrast != explorer.target
    explorer.wait()


def test_a_contrast_that_is_the_best_class_is_said(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(contrast=int(model(image).argmax()))
    with pytest.raises(ChoiceError, match="say which target"):
        explorer.wait()


def test_targets_are_refused_at_once_when_the_classes_are_known(make: Make) -> None:
    explorer = make(target=0).wait()
    with pytest.raises(ChoiceError, match="target 5 is out of range: the model has classes 0 to 4"):
        explorer.target = 5
    explorer.target = -1
    assert explorer.target == 4
    explorer.wait()


def test_a_class_that_there_is_no_name_for_is_refused_before_the_model_runs(make: Make) -> None:
    for index in (5, -6):
        with pytest.raises(ChoiceError, match=f"target {index} is out of range: class_names holds 5 name"):
            make(target=index, class_names=list("abcde"))
    with pytest.raises(ChoiceError, match="contrast 7 is out of range"):
        make(target=0, contrast=7, class_names=list("abcde"))
    make(target=5, class_names={0: "a"})  # some of the names: how many classes there are is not known yet


@pytest.mark.parametrize("choice", [{"target": 99}, {"target": 0, "contrast": 99}])
def test_a_class_that_the_model_does_not_have_is_said_by_the_page_and_by_wait(
    make: Make, model: TwoLayers, choice: dict[str, int]
) -> None:
    calls: list[Any] = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))
    explorer = make(**choice)
    with pytest.raises(
        TargetError, match=f"^{[*choice][-1]} 99 is out of range: the model has classes 0 to 4$"
    ):
        explorer.wait()
    hook.remove()
    assert explorer.message.endswith("99 is out of range: the model has classes 0 to 4")
    assert explorer.predictions["items"]  # from which to choose
    assert len(calls) <= 2  # to see what it says, and in the thread nothing is tried on


def test_a_class_counted_from_the_end_goes_by_its_own_index(make: Make) -> None:
    explorer = make(target=-1, class_names={4: "last"}).wait()
    assert (explorer.target, explorer.explain_predicted) == (4, False)
    assert "for last" in explorer.heat["title"]
    assert explorer.heat["request"]["target"] == 4


def test_of_two_names_for_one_output_the_second_is_its_own() -> None:
    model, image = nn.Sequential(nn.Flatten(), nn.Linear(192, 1), nn.Sigmoid()).eval(), torch.rand(1, 3, 8, 8)
    explorer = Explorer(model, image, class_names=["no", "yes"], target="Yes", n_steps=2).wait()
    assert explorer.target == 0
    assert "for yes" in explorer.heat["title"]
    refused = Explorer(model, image, class_names=["no", "yes"], target="no", n_steps=2)
    for _ in range(2):
        with pytest.raises(TargetError, match="one output tells of 'yes', so 'no' has none"):
            refused.wait()
        refused.target = None
        assert "for yes" in refused.wait().heat["title"]
        refused.target = "no"  # when it is known


# --- several examples -----------------------------------------------------------------------------------------


@pytest.fixture
def batch() -> Tensor:
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(8))


def test_each_example_has_its_own_answers(model: TwoLayers, batch: Tensor) -> None:
    explorer = Explorer(model, batch, n_steps=8, target=1).wait()
    for index in (0, 2, 1):
        from_page(explorer, example=index)
        explorer.wait()
        one = batch[index : index + 1]
        wanted = IntegratedGradients(model).attribute(one, target=1, n_steps=8)
        torch.testing.assert_close(explorer.attributions, wanted)
        assert explorer.heat["request"]["example"] == explorer.path["request"]["example"] == index
        assert explorer.predictions["items"][0]["score"] == pytest.approx(model(one).max().item())
        shown = np.frombuffer(explorer.picture["data"], np.uint8).reshape(8, 8, 3) / 255
        stretched = (one - one.min()) / (one.max() - one.min())
        np.testing.assert_allclose(shown, stretched[0].permute(1, 2, 0), atol=0.003)
    explorer.close()


def test_thumbnails_to_choose_from(model: TwoLayers) -> None:
    explorer = Explorer(model, torch.rand(3, 3, 40, 200), target=0, method="Saliency")
    assert [e["label"] for e in explorer.examples] == ["Example 1", "Example 2", "Example 3"]
    picture = explorer.examples[0]["picture"]
    assert picture["shape"] == [13, 64]
    assert len(picture["data"]) == 13 * 64 * 3
    explorer.close()


def test_one_example_needs_no_strip(make: Make) -> None:
    assert make(target=0).examples == []


def test_nothing_of_another_example_stands_over_a_picture(model: TwoLayers, batch: Tensor) -> None:
    explorer = Explorer(model, batch, n_steps=8, target=1).wait()
    seen: list[tuple[int, int]] = []
    send = explorer.send_state

    def note(key: Any = None) -> None:
        """What the page has after each message."""
        send(key)
        of = next(
            i for i in range(3) if explorer._explained.example(i).stage.shown["picture"] == explorer.picture
        )
        seen.extend((of, m["request"]["example"]) for m in (explorer.heat, explorer.path) if m)

    explorer.send_state = note
    for index in (1, 2, 0):
        explorer.example = index
        explorer.wait()
    assert {of for of, _ in seen} == {0, 1, 2}
    assert all(of == shown for of, shown in seen)
    explorer.close()


def test_arguments_with_one_entry_per_example_go_along(batch: Tensor) -> None:
    model = Masked().eval()
    mask, weights = torch.rand(3, 1, 8, 8), torch.rand(5)
    explorer = Explorer(
        model, batch, target=1, example=1, method="Saliency", additional_forward_args=(mask, weights)
    ).wait()
    wanted = Saliency(model).attribute(
        batch[1:2], target=1, abs=False, additional_forward_args=(mask[1:2], weights)
    )
    torch.testing.assert_close(explorer.attributions, wanted)
    explorer.close()


def test_a_baseline_for_each_example(model: TwoLayers, batch: Tensor) -> None:
    own = torch.rand(3, 3, 8, 8)
    explorer = Explorer(model, batch, target=1, example=2, baseline=own, n_steps=8).wait()
    wanted = IntegratedGradients(model).attribute(batch[2:], own[2:], target=1, n_steps=8)
    torch.testing.assert_close(explorer.attributions, wanted)
    explorer.close()


@pytest.mark.parametrize("example", [3, -1, 1.0, "1", None, True, 10**30])
def test_examples_that_are_not_there(model: TwoLayers, batch: Tensor, example: Any) -> None:
    explorer = Explorer(model, batch, n_steps=2, target=1)
    with pytest.raises(ChoiceError, match="example must be an int from 0 to 2"):
        explorer.example = example
    from_page(explorer, example=example)
    assert explorer.example == 0
    explorer.close()


# --- what is known while it is worked out ---------------------------------------------------------------------


def test_a_preview_comes_before_a_method_that_takes_long(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1, method="Saliency").wait()
    seen: list[Any] = []
    explorer.observe(lambda change: seen.append(change["new"]), "heat")
    before = explorer.attributions
    gate = Gate()
    calls: list[int] = []

    def hold_the_second_pass(x: Tensor) -> None:
        calls.append(1)
        if len(calls) > 1:
            gate(x)

    model.before = hold_the_second_pass
    explorer.baseline, explorer.method = "mean", "Occlusion"
    assert gate.reached.wait(20)
    preview = explorer.heat
    assert preview["preview"]
    assert not preview["final"]
    assert preview["title"].startswith("Preview of Occlusion for class 1")
    assert preview["request"]["method"] == "Occlusion"
    gradient = Saliency(model.eval())
    model.before = lambda x: None
    wanted = gradient.attribute(image, target=1, abs=False) * (image - mean(image))
    np.testing.assert_allclose(values(preview), wanted[0].sum(0), atol=1e-5)
    assert explorer.attributions is before  # a preview is no answer
    gate.open.set()
    explorer.wait()
    assert not explorer.heat["preview"]
    assert explorer.heat["final"]


@pytest.mark.parametrize("name", [name for name, offer in INPUT_METHODS.items() if offer.quick])
def test_quick_methods_need_no_preview(make: Make, name: str) -> None:
    explorer = make(target=1).wait()
    seen: list[bool] = []
    explorer.observe(lambda change: seen.append(change["new"]["preview"]), "heat")
    explorer.method = name
    explorer.wait()
    assert seen
    assert not any(seen)


def test_a_model_without_gradients_is_explained_without_a_preview(image: Tensor) -> None:
    class Opaque(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    model = Opaque().eval()
    explorer = Explorer(model, image, target=1, method="Occlusion", settings={"Occlusion": {"window": 4}})
    seen: list[bool] = []
    explorer.observe(lambda change: seen.append(change["new"].get("preview")), "heat")
    explorer.wait()
    wanted = Occlusion(model).attribute(image, sliding_window_shapes=(3, 4, 4), strides=(3, 2, 2), target=1)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["final"]
    assert not any(seen)
    assert (explorer.status, explorer.path) == ("idle", {})  # the map is right; only the path needs gradients
    assert explorer.message.startswith("No path: that needs gradients")
    explorer.close()


def test_the_error_on_show_is_that_of_the_estimate(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1, method="NoiseTunnel").wait()
    stdevs = explorer._registry.parameters["NoiseTunnel"]["stdevs"].default
    estimate = NoiseTunnel(Saliency(model)).estimate(
        image, nt_samples=20, stdevs=stdevs, target=1, abs=False, generator=torch.Generator().manual_seed(0)
    )
    error, shown = estimate.error.sum(1), estimate.attributions.sum(1)
    assert explorer.heat["error"] == pytest.approx(error.max().item(), rel=1e-4)
    relative = error.square().mean().sqrt() / shown.square().mean().sqrt()
    assert explorer.heat["relative_error"] == pytest.approx(relative.item(), rel=1e-4)
    assert explorer.heat["evaluations"] == estimate.evaluations == 20


def test_more_samples_make_the_error_smaller(make: Make) -> None:
    explorer = make(target=1, method="NoiseTunnel").wait()
    error = explorer.heat["error"]
    for _ in range(3):
        explorer.refine().wait()
    assert explorer.heat["error"] < error / 1.8


def test_a_layer_is_explained_whatever_the_method_and_the_settings(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    explorer = make(target=1, method="Occlusion", layer="first", contrast=0).wait()
    of = [LayerGradCam(model, "first").attribute(image, target=t) for t in (1, 0)]
    torch.testing.assert_close(explorer.attributions, of[0] - of[1], atol=1e-5, rtol=1e-4)
    assert explorer.heat["evaluations"] == 1
    assert not explorer.heat["refinable"]
