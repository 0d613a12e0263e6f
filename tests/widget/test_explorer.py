"""The Explorer from Python: its traits, its answers, its errors, and what happens when it is rushed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import Tensor, nn

from attriscope import Explorer, LayerPicker, Overlay, PathWalk, Predictions, attr
from attriscope.attr import InputXGradient, IntegratedGradients, LayerGradCam, Saliency
from attriscope.core.errors import InputError, TargetError
from attriscope.widget.methods.catalogue import INPUT_METHODS
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Gate, Make, TwoLayers, from_page


def test_first_answer_explains_the_best_class_by_integrated_gradients(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    explorer = make().wait()
    best = int(model(image).argmax())
    assert explorer.target == best
    assert (explorer.status, explorer.progress) == ("idle", 1.0)
    torch.testing.assert_close(
        explorer.attributions, IntegratedGradients(model).attribute(image, target=best, n_steps=8)
    )
    items = explorer.predictions["items"]
    torch.testing.assert_close(items[0]["probability"], model(image).softmax(1).max().item())
    assert [i["index"] for i in items] == model(image)[0].argsort(descending=True).tolist()


@pytest.mark.parametrize("method", [Saliency, InputXGradient])
def test_methods_give_what_the_library_gives(
    make: Make, model: TwoLayers, image: Tensor, method: Any
) -> None:
    explorer = make(target=2, method=method.__name__).wait()
    signed = {"abs": False} if method is Saliency else {}
    torch.testing.assert_close(explorer.attributions, method(model).attribute(image, target=2, **signed))
    assert explorer.heat["title"] == f"{INPUT_METHODS[method.__name__].title} for class 2"


@pytest.mark.parametrize("name", [name for name in INPUT_METHODS if name != "IntegratedGradients"])
def test_every_method_on_offer_gives_a_map_of_its_own(make: Make, image: Tensor, name: str) -> None:
    explorer = make(target=2, method=name, baseline="black").wait()
    assert explorer.attributions.shape[2:] == image.shape[2:]
    assert explorer.attributions.isfinite().all()
    assert explorer.attributions.any()
    heat = explorer.heat
    assert heat["final"]
    assert heat["title"].startswith(f"{INPUT_METHODS[name].title} for class 2")
    assert ("baseline black" in heat["title"]) == INPUT_METHODS[name].compares
    if heat["gap"] is not None and name not in ("GradientShap", "LRP"):
        assert abs(heat["gap"]) < 1e-3


@pytest.mark.parametrize("name", ["zero", "black", "white", "mean", "blur", "noise"])
def test_baselines(make: Make, model: TwoLayers, image: Tensor, name: str) -> None:
    explorer = make(target=1, baseline=name).wait()
    total = explorer.attributions.sum()
    with torch.no_grad():
        start = explorer._explained.example(0).stage.baseline(name)
        wanted = (model(image) - model(start))[0, 1]
    torch.testing.assert_close(total, wanted, atol=2e-2, rtol=5e-2)
    assert explorer.path["scores"][0] == pytest.approx(model(start)[0, 1].item(), abs=1e-5)


def test_a_baseline_of_ones_own(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1).wait()
    own = torch.full_like(image, 0.3)
    explorer.baseline = own
    explorer.wait()
    wanted = IntegratedGradients(model).attribute(image, own, target=1, n_steps=8)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["request"]["baseline"] == "custom"
    assert {"name": "custom", "label": "your own"} in explorer.baselines
    assert explorer.heat["title"].endswith(", your own baseline")  # in the word of the menu
    assert explorer.get_state()["baseline"] == "custom"

    explorer.baseline = own * 2  # the name on the page is the same, the answer must not be
    explorer.wait()
    wanted = IntegratedGradients(model).attribute(image, own * 2, target=1, n_steps=8)
    torch.testing.assert_close(explorer.attributions, wanted)

    from_page(explorer, baseline="zero")
    from_page(explorer, baseline="custom")
    explorer.wait()
    torch.testing.assert_close(explorer.attributions, wanted)


def test_layers_and_grad_cam(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1).wait()
    rows = {row["name"]: row for row in explorer.layers}
    assert rows["first"] == {
        "name": "first", "kind": "Conv2d", "depth": 1, "parameters": 168, "shape": [1, 6, 8, 8], "spatial": True,
        "pickable": True, "layout": "map", "order": 0, "same_as": None, "channels": 6,
    }  # fmt: skip
    assert rows["unused"]["shape"] is None
    explorer.layer = "first"
    explorer.wait()
    torch.testing.assert_close(
        explorer.attributions, LayerGradCam(model, model.first).attribute(image, target=1)
    )
    assert explorer.heat["title"] == "Grad-CAM at first for class 1"
    explorer.layer = None
    assert explorer.wait().attributions.shape == image.shape


def test_a_click_on_the_page_is_seen_in_python_and_answered(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    explorer = make(target=0).wait()
    seen: list[int] = []
    explorer.observe(lambda change: seen.append(change["new"]), "target")
    from_page(explorer, target=4)
    explorer.wait()
    assert seen == [4]
    wanted = IntegratedGradients(model).attribute(image, target=4, n_steps=8)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["request"]["target"] == 4


def test_nonsense_from_the_page_is_refused_and_the_page_is_put_right(make: Make) -> None:
    explorer = make(target=0).wait()
    for state in (
        {"method": "rm -rf"},
        {"sign": 3},
        {"opacity": "x"},
        {"baseline": "no"},
        {"layer": "no"},
        {"target": {}},
    ):
        before = explorer.get_state(list(state))
        from_page(explorer, **state)
        assert explorer.get_state(list(state)) == before, state
    explorer._handle_custom_msg(["what"], [])
    explorer._handle_custom_msg({"type": "unheard of"}, [])
    assert explorer.wait().status == "idle"


def test_restyling_asks_nothing_of_the_model(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    asked: list[Tensor] = []
    model.before = asked.append
    explorer.opacity, explorer.colormap, explorer.sign = 0.2, "viridis", "negative"
    explorer.outlier_percent, explorer.alpha = 5, 0.5
    explorer.wait()
    assert not asked


def test_coming_back_to_a_path_does_not_pay_for_it_again(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    asked: list[Tensor] = []
    model.before = asked.append
    explorer.layer = "first"
    explorer.wait()
    assert len(asked) == 2  # Grad-CAM itself, and the layer's channels; the path is known
    explorer.layer = None
    explorer.wait()
    assert len(asked) == 2


def test_trained_further_it_explains_the_new_weights(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=0).wait()
    with torch.no_grad():
        model.second.weight.mul_(2)
    explorer.layer = "first"
    explorer.wait()
    explorer.layer = None
    explorer.wait()
    wanted = IntegratedGradients(model).attribute(image, target=0, n_steps=8)
    torch.testing.assert_close(explorer.attributions, wanted)
    with torch.no_grad():
        model.second.weight.mul_(2)
    explorer.recompute()
    explorer.wait()
    torch.testing.assert_close(explorer.attributions, 2 * wanted)
    assert explorer.predictions["items"][0]["score"] == pytest.approx(model(image).max().item())


def test_the_latest_choice_wins_and_nothing_stale_is_shown(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    shown: list[Any] = []
    explorer.observe(lambda change: shown.append(change["new"]["request"]["target"]), "heat")
    gate = Gate()
    model.before = gate
    explorer.target = 1
    assert gate.reached.wait(20)
    explorer.target = 2
    explorer.target = 3
    explorer.target = 0  # back to what is on show: 1 must not come through either
    explorer.target = 3
    gate.open.set()
    explorer.wait()
    assert set(shown) == {3}
    assert explorer.heat["request"]["target"] == 3


def test_back_to_the_shown_choice_while_another_is_computed(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    gate = Gate()
    model.before = gate
    explorer.target = 1
    assert gate.reached.wait(20)
    explorer.target = 0
    gate.open.set()
    explorer.wait()
    assert explorer.heat["request"]["target"] == explorer.target == 0


def test_cancel(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    heat, gate = explorer.heat, Gate()
    model.before = gate
    explorer.target = 1
    assert gate.reached.wait(20)
    assert explorer.status == "running"
    explorer._handle_custom_msg({"type": "cancel"}, [])
    assert explorer.status == "cancelled"  # at once: the model is still in its batch
    gate.open.set()
    explorer.wait()
    assert explorer.status == "cancelled"
    assert explorer.heat is heat
    model.before = lambda x: None
    explorer.recompute()
    assert explorer.wait().heat["request"]["target"] == 1


def test_cells_use_the_model_meanwhile(make: Make, model: TwoLayers, image: Tensor) -> None:
    alone = model(image)
    explorer = make(target=0).wait()
    gate = Gate()
    model.before = gate
    explorer.layer = "first"
    assert gate.reached.wait(20)  # the job's hooks are on the model now
    model.before = lambda x: None
    assert model(image).equal(alone)
    gate.open.set()
    explorer.wait()


def test_a_model_that_raises_is_heard_and_the_explorer_goes_on(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()

    def refuse(x: Tensor) -> None:
        raise KeyError("<b>no such key</b>")

    model.before = refuse
    explorer.target = 1
    with pytest.raises(KeyError, match="no such key"):
        explorer.wait()
    assert explorer.status == "error"
    assert explorer.message == "KeyError: '<b>no such key</b>'"
    assert explorer.heat["request"]["target"] == 0  # what was on show stays, under its own name
    model.before = lambda x: None
    explorer.target = 2
    assert explorer.wait().error is None
    assert explorer.heat["request"]["target"] == 2


def test_a_target_out_of_range_is_said_and_can_be_mended(make: Make) -> None:
    explorer = make(target=17)
    with pytest.raises(TargetError, match=r"17 is out of range.*0 to 4"):
        explorer.wait()
    explorer.target = 4
    explorer.wait()


def test_model_and_input_are_left_as_they_were(make: Make, model: TwoLayers, image: Tensor) -> None:
    before, pixels = copy.deepcopy(model.state_dict()), image.clone()
    explorer = make(target=0, layer="second").wait()
    explorer.layer = None
    explorer.cancel()
    with pytest.raises(ChoiceError):
        explorer.layer = "third"
    explorer.wait()
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name])
    assert image.equal(pixels)
    assert not image.requires_grad
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_models_with_one_output_need_no_target() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(16, 1))
    x = torch.rand(1, 1, 6, 6)
    explorer = Explorer(net.eval(), x, n_steps=4).wait()
    assert explorer.target is None
    assert explorer.heat["title"] == "Integrated gradients, baseline zero"
    torch.testing.assert_close(explorer.attributions, IntegratedGradients(net).attribute(x, n_steps=4))


def test_targets_in_every_form_a_person_has(make: Make) -> None:
    explorer = make(target=np.int64(3))
    assert explorer.target == 3
    explorer.target = torch.tensor(2)
    assert explorer.target == 2
    explorer.target = (1,)
    assert explorer.target == 1
    explorer.wait()
    with pytest.raises(ChoiceError, match="'cat'"):
        explorer.target = "cat"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (torch.rand(3, 8, 8), r"\(3, 8, 8\).*inputs\[None\]"),
        (torch.rand(1001, 3, 2, 2), r"at most 1000.*1001 came.*inputs\[:1000\]"),
        (
            (torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)),
            r"shows pictures.*inputs\[0\], additional_forward_args=inputs\[1:\]",
        ),
        (
            (torch.rand(1, 2), torch.rand(1, 3, 8, 8)),
            r"shows pictures.* came$",
        ),  # of which the picture is not first
        ({"x": torch.rand(1, 3, 8, 8)}, "shows pictures"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "uint8"),
        ([1, 2], "list"),
    ],
)
def test_inputs_that_are_no_picture(model: TwoLayers, inputs: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Explorer(model, inputs)


def test_what_a_model_takes_besides_pictures_is_passed_along_as_the_error_says() -> None:
    class TwoInputs(TwoLayers):
        def forward(self, x: torch.Tensor, age: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * age

    inputs = torch.rand(1, 3, 8, 8), torch.rand(1, 1)
    with pytest.raises(InputError, match="additional_forward_args=inputs"):
        Explorer(TwoInputs().eval(), inputs)
    explorer = Explorer(TwoInputs().eval(), inputs[0], additional_forward_args=inputs[1:], n_steps=2).wait()
    assert explorer.heat["final"]
    explorer.close()


def test_choices_that_do_not_exist(make: Make) -> None:
    with pytest.raises(traitlets.TraitError, match=r"one of IntegratedGradients.*'Magic'"):
        make(method="Magic")
    with pytest.raises(traitlets.TraitError, match=r"one of zero.*'grey'"):
        make(baseline="grey")
    with pytest.raises(InputError, match=r"\(1, 3, 4, 4\)"):
        make(baseline=torch.zeros(1, 3, 4, 4))
    with pytest.raises(ChoiceError, match=r"'frist'.*'first'"):
        make(layer="frist")
    with pytest.raises(InputError, match="n_steps"):
        Explorer(TwoLayers().eval(), torch.rand(1, 3, 8, 8), n_steps=0)


def test_wait_times_out_and_can_be_taken_up_again(make: Make, model: TwoLayers) -> None:
    gate = Gate()
    model.before = gate
    explorer = make(target=0)
    with pytest.raises(TimeoutError, match=r"0\.05"):
        explorer.wait(0.05)
    gate.open.set()
    assert explorer.wait(20).attributions is not None


def test_repr_is_short(make: Make) -> None:
    explorer = make(target=0).wait()
    assert repr(explorer) == (
        "Explorer(method='IntegratedGradients', target=0, baseline='zero', layer=None, status='idle')"
    )


# --- the parts alone ------------------------------------------------------------------------------------------


def test_overlay_alone() -> None:
    overlay = Overlay(
        np.zeros((4, 6, 3), np.uint8), torch.arange(24.0).reshape(4, 6), title="mine", opacity=0.3
    )
    values = np.frombuffer(overlay.heat["data"], "<f4").reshape(4, 6)
    np.testing.assert_array_equal(values, np.arange(24.0).reshape(4, 6))
    assert (overlay._part, overlay.opacity, overlay.heat["title"]) == ("overlay", 0.3, "mine")


def test_predictions_alone() -> None:
    picker = Predictions(torch.tensor([[0.1, 2.0]]), ["a", "b"])
    assert picker.target == 1
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        Predictions(torch.zeros(2, 2))


def test_path_alone(model: TwoLayers, image: Tensor) -> None:
    path = PathWalk(model, image, 1, "black", n_steps=6)
    assert path.path["scores"][-1] == pytest.approx(model(image)[0, 1].item(), abs=1e-5)
    assert len(path.path["alphas"]) == 8


def test_layer_picker_alone_and_linked(make: Make, model: TwoLayers, image: Tensor) -> None:
    picker, explorer = LayerPicker(model, image), make(target=0)
    traitlets.link((picker, "layer"), (explorer, "layer"))
    picker.layer = "second"
    assert explorer.wait().heat["request"]["layer"] == "second"


def test_what_an_observer_chooses_while_a_job_runs_is_answered(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attriscope.widget.jobs.pipeline._UPDATE_SECONDS", 0.0)  # as if each row took long
    monkeypatch.setattr("attriscope.widget.jobs.runner._BATCH_SECONDS", 1e-9)
    explorer = make(target=0)
    explorer.wait()

    def turn(change: Any) -> None:
        heat = change["new"]
        if heat and heat["request"]["target"] == 1 and not heat["preview"] and not heat["final"]:
            explorer.target = 2  # on the worker's thread, in the middle of its job

    explorer.observe(turn, "heat")
    explorer.target = 1
    explorer.wait(20)
    assert explorer.status == "idle"
    assert explorer.heat["request"]["target"] == 2
    assert explorer.heat["final"]


def test_an_input_that_is_changed_in_place_later_is_not_the_one_on_show(make: Make, image: Tensor) -> None:
    explorer = make(target=1, baseline="mean").wait()
    before = image.clone()
    image.mul_(2).add_(1)
    found = explorer.recompute().wait().attributions
    wanted = attr.IntegratedGradients(explorer._explained.model).attribute(
        before, before.mean((2, 3), keepdim=True).expand_as(before), 1, n_steps=8
    )
    torch.testing.assert_close(found, wanted)
