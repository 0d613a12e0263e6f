"""Checks of the map on show: the numbers of attriscope.metrics, in words, and a model that stays as it is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr, metrics
from attriscope.metrics.robustness import default_perturb_func
from attriscope.widget.jobs.checks import (
    BOUNDS,
    DRAWS,
    NOISE,
    Check,
)
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import (
    Gate,
    Make,
    Mirror,
    TwoLayers,
    assert_consistent,
    from_page,
    third_of_a_batch,
    without_bytes,
)


def ask(explorer: Explorer) -> None:
    """What the page's button does."""
    explorer._handle_custom_msg({"type": "check"}, [])


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def told(explorer: Explorer) -> dict[str, Any]:
    return {one["name"]: one for one in explorer.checks["results"]}


def radius_of(image: Tensor) -> float:
    return NOISE * float(image.amax() - image.amin())


def where_not_zero(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's correlation without the values that are zero in both of two maps, (1, D) each."""
    places = [i for i in range(a.shape[1]) if float(a[0, i]) or float(b[0, i])]
    ranks = [
        torch.tensor([sum(float(y < x) + float(y == x) / 2 for y in m) for x in m])
        for m in (a[0, places], b[0, places])
    ]
    return torch.corrcoef(torch.stack(ranks))[0, 1:]


def test_the_numbers_are_those_of_the_metrics(make: Make, model: TwoLayers, image: Tensor) -> None:
    baseline = torch.full_like(image, 0.25)
    explorer = make(target=2, method="DeepLift", baseline=baseline).check().wait()
    found = explorer.check_results
    method, options = attr.DeepLift(model), {"baselines": baseline}
    gap = metrics.completeness_gap(
        model, image, method.attribute(image, baseline, 2), baselines=baseline, target=2, relative=True
    )
    assert found["complete"].value == pytest.approx(float(gap), abs=1e-6)
    moved = metrics.sensitivity_average(
        (method, options), image, perturb_radius=radius_of(image), n_perturb_samples=DRAWS,
        max_examples_per_batch=1, generator=seeded(), target=2,
    )  # fmt: skip
    assert found["stable"].value == pytest.approx(float(moved), rel=1e-5)
    alike = metrics.parameter_randomisation(
        (method, options), model, image, target=2, mode="complete", absolute=True, generator=seeded()
    )
    assert found["learned"].value == pytest.approx(float(alike.last), abs=1e-6)
    assert explorer.check().wait().check_results == found  # the same seed, the same numbers


def test_a_check_of_a_layer_is_one_of_its_map(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, layer="act", layer_method="LayerGradCam").check(draws=3).wait()
    found = explorer.check_results
    method = attr.LayerGradCam(model, "act")
    moved = metrics.sensitivity_average(
        method, image, perturb_radius=radius_of(image), n_perturb_samples=3, generator=seeded(), target=2
    )
    assert found["stable"].value == pytest.approx(float(moved), rel=1e-4)
    alike = metrics.parameter_randomisation(
        method, model, image, target=2, mode="complete", absolute=True, generator=seeded()
    )
    assert found["learned"].value == pytest.approx(float(alike.last), abs=1e-6)
    assert found["complete"].verdict == "none"
    assert "does not promise" in found["complete"].sentence


def test_a_check_of_a_neuron_explains_the_neuron(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=2, layer="act", neuron=4, neuron_method="NeuronIntegratedGradients")
    found = explorer.check(draws=2).wait().check_results
    assert found["complete"].value == pytest.approx(0, abs=1e-3)
    assert "of the neuron's" in found["complete"].sentence
    method = attr.NeuronIntegratedGradients(model, "act")
    every = (4, slice(None), slice(None))
    alike = metrics.parameter_randomisation(
        lambda m, x, target=None: attr.NeuronIntegratedGradients(m, "act").attribute(x, every),
        model, image, mode="complete", similarity=where_not_zero, absolute=True, generator=seeded(),
    )  # fmt: skip
    assert method.attribute(image, every).shape == image.shape
    assert found["learned"].value == pytest.approx(float(alike.last), abs=1e-5)
    assert (
        "output" not in found["stable"].sentence
    )  # the noise moves the neuron, which is not what the model says


@pytest.mark.parametrize("method", ["ShapleyValues", "KernelShap", "IntegratedGradients", "LRP"])
def test_what_promises_to_add_up_is_held_to_it(
    make: Make, model: TwoLayers, image: Tensor, method: str
) -> None:
    explorer = make(target=2, method=method, baseline=["zero", "white"]).check(draws=1).wait()
    complete = explorer.check_results["complete"]
    wanted = model(image)[0, 2].detach()
    if method != "LRP":  # which shares out the output itself
        ends = torch.cat([torch.zeros_like(image), explorer._explained.example(0).stage.baseline("white")])
        wanted = wanted - model(ends)[:, 2].mean().detach()
    total = explorer.heat["sum"]
    assert complete.value == pytest.approx(abs(total - float(wanted)) / abs(float(wanted)), abs=2e-4)
    assert complete.verdict in ("good", "fair")
    sums = [float(number.replace("−", "-")) for number in re.findall(r"[+−][\d.]+", complete.sentence)]
    assert sums == pytest.approx([total, float(wanted)], rel=0.06)


@pytest.mark.parametrize("method", ["Saliency", "Occlusion", "GuidedBackprop"])
def test_what_promises_nothing_is_held_to_nothing(make: Make, method: str) -> None:
    complete = make(target=2, method=method).check(draws=1).wait().check_results["complete"]
    assert (complete.verdict, complete.value) == ("none", None)


def test_a_method_that_only_sees_the_picture_is_found_out(make: Make) -> None:
    class Edges(attr.Attribution):
        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            return metrics.edge_detector(None, inputs)

    explorer = make(target=2, methods=[Edges], method="Edges").check().wait()
    learned = explorer.check_results["learned"]
    assert learned.value == pytest.approx(1.0)
    assert learned.verdict == "poor"
    assert "rather than what was learned" in learned.sentence
    assert "similarity 1.00" in learned.sentence


def test_a_dark_background_is_not_what_two_maps_have_in_common(
    explore: Any, model: TwoLayers, image: Tensor
) -> None:
    image = image.clone()
    image[:, :, :3] = image[:, :, 5:] = 0
    explorer = explore(model, image, target=2, method="InputXGradient").check(draws=1).wait()
    learned = explorer.check_results["learned"]
    method = attr.InputXGradient(model)
    options = {"target": 2, "mode": "complete", "absolute": True}
    plain = metrics.parameter_randomisation(method, model, image, **options, generator=seeded())
    alike = metrics.parameter_randomisation(
        method, model, image, similarity=where_not_zero, **options, generator=seeded()
    )
    assert learned.value == pytest.approx(float(alike.last), abs=1e-5)
    assert float(plain.last) > BOUNDS["learned"][1] > learned.value + 0.2
    assert learned.verdict != "poor"
    assert "over the 48 of 192 values that are not zero in both maps" in learned.sentence
    assert "zero in both maps" in told(explorer)["learned"]["doc"]


class Given(attr.Attribution):
    """The same map for all pictures and models."""

    map: Tensor

    def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
        return self.map


@pytest.mark.parametrize(("count", "known"), [(9, False), (10, True)])
def test_too_few_values_are_no_evidence(make: Make, image: Tensor, count: int, known: bool) -> None:
    class Few(Given):
        map = torch.zeros_like(image).flatten().index_add(0, torch.arange(count), torch.rand(count) + 1)
        map = map.reshape(image.shape)

    learned = make(target=2, methods=[Few], method="Few").check(draws=1).wait().check_results["learned"]
    if known:
        assert (learned.verdict, learned.value) == ("poor", pytest.approx(1.0))
        assert "over the 10 of 192 values" in learned.sentence
    else:
        assert (learned.verdict, learned.value) == ("none", None)
        assert "all but 9 of 192 values are zero" in learned.sentence


def test_what_is_the_same_wherever_it_is_something_has_no_ranks(make: Make, image: Tensor) -> None:
    class Mask(Given):
        map = (image > 0.5).float()

    learned = make(target=2, methods=[Mask], method="Mask").check(draws=1).wait().check_results["learned"]
    assert (learned.verdict, learned.value) == ("none", None)
    assert "all the same" in learned.sentence


def test_the_words_go_by_the_numbers(make: Make) -> None:
    class Noisy(attr.Attribution):
        """Sees nothing but the last digits of the picture."""

        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            return torch.frac(inputs * 1000)

    stable = make(target=2, methods=[Noisy], method="Noisy").check().wait().check_results["stable"]
    assert stable.value is not None
    assert stable.value > BOUNDS["stable"][0]
    assert stable.verdict == ("fair" if stable.value <= BOUNDS["stable"][1] else "poor")
    assert f"relative change {stable.value:.2f}" in stable.sentence


def test_a_check_that_fails_says_why_and_the_others_stand(make: Make) -> None:
    class Fussy(attr.Attribution):
        calls = 0

        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            Fussy.calls += 1
            if Fussy.calls in (2, 3):
                raise ValueError("not this one")
            return inputs

    class Flat(attr.Attribution):
        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            return torch.ones_like(inputs)

    explorer = make(target=2, methods=[Fussy, Flat], method="Fussy").check().wait()
    found = explorer.check_results
    assert (found["learned"].verdict, found["learned"].value) == ("none", None)
    assert "not this one" in found["learned"].sentence
    explorer.method = "Flat"
    found = explorer.check().wait().check_results
    assert found["learned"].sentence.endswith("the trained model's attributions are all the same")
    assert found["stable"].value == 0
    assert explorer.status == "idle"


def test_a_layer_without_a_map_says_so() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.head = TwoLayers(), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.net(x))

    explorer = Explorer(
        Flat().eval(), torch.rand(1, 3, 8, 8), target=1, layer="net", layer_method="LayerActivation"
    )
    found = explorer.check().wait().check_results
    assert found["learned"].sentence == found["stable"].sentence
    assert "no map over the picture" in found["stable"].sentence
    assert [one.verdict for one in found.values()] == ["none"] * 3
    explorer.close()


def test_what_the_page_is_told(make: Make) -> None:
    explorer = make(target=2, method="Saliency").wait()
    heat, seen = explorer.heat, []
    explorer.observe(
        lambda change: seen.append([one["name"] for one in change["new"].get("results", ())]), "checks"
    )
    mirror = Mirror(explorer)
    ask(explorer)
    explorer.wait()
    assert seen[:2] == [["complete"], ["complete", "learned"]]
    assert seen[2:] == [["complete", "stable", "learned"]] * 10  # as noise is drawn
    message = explorer.checks
    json.dumps(without_bytes(message), allow_nan=False)
    assert message["title"] == heat["title"]
    assert message["request"] == {**explorer.choice.request("heat"), "effort": 0}
    assert (message["final"], message["outdated"]) == (True, False)
    assert explorer.heat is heat
    for name, one in explorer.check_results.items():
        assert told(explorer)[name]["sentence"] == one.sentence
        assert told(explorer)[name]["value"] == one.value
        assert "poor beyond" in told(explorer)[name]["doc"]
    assert f"{DRAWS} times" in told(explorer)["stable"]["doc"]
    assert_consistent(explorer, mirror)


def test_what_is_measured_is_told_meanwhile(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer, seen = make(target=2, method="Saliency").wait(), []
    explorer.observe(lambda change: seen.append(change["new"]), "checks")
    with_gradients: list[int] = []
    model.before = lambda x: with_gradients.append(len(x)) if torch.is_grad_enabled() else None
    explorer.check(draws=3).wait()
    assert sum(with_gradients) == 4  # the map on show is known: three with noise, one of random weights
    stable = {
        id(message): one for message in seen for one in message.get("results", ()) if one["name"] == "stable"
    }
    first, second, last = stable.values()
    assert (first["verdict"], first["value"], second["verdict"]) == ("none", None, "none")
    assert first["sentence"].endswith("after 1 of 3.")
    assert second["sentence"].endswith("after 2 of 3.")
    assert last["value"] == explorer.check_results["stable"].value
    shares = [float(one["sentence"].partition("relative change ")[2][:4]) for one in (first, second, last)]
    noisy = sensitivities(model, image, 3)
    assert shares == [pytest.approx(sum(noisy[:n]) / n, abs=0.006) for n in (1, 2, 3)]
    assert [message["final"] for message in seen if message] == [False] * 4 + [True]


def test_a_map_of_zeros_moves_by_no_share_of_itself(make: Make) -> None:
    class Nothing(attr.Attribution):
        def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
            return torch.zeros_like(inputs)

    explorer, seen = make(target=2, methods=[Nothing], method="Nothing").wait(), []
    explorer.observe(lambda change: seen.append(change["new"]), "checks")
    explorer.check(draws=3).wait()
    stable = [one for message in seen for one in message.get("results", ()) if one["name"] == "stable"]
    assert [one["value"] for one in stable] == [0.0]  # and nothing meanwhile: there is no share of nothing


def sensitivities(model: TwoLayers, image: Tensor, draws: int) -> list[float]:
    """The relative change of the gradient for each noise that is drawn."""
    (noisy,) = default_perturb_func(image.repeat_interleave(draws, 0), radius_of(image), generator=seeded())
    first, *others = attr.Saliency(model).attribute(torch.cat([image, noisy]), target=2, abs=False)
    return [float((one - first).norm() / first.norm()) for one in others]


def test_the_model_is_never_touched(make: Make, model: TwoLayers) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    versions = [p._version for p in model.parameters()]
    seen: list[bool] = []

    def look(x: Tensor) -> None:
        # The copy that has random weights calls this too: the model itself must be what it was meanwhile.
        seen.append(all(value.equal(before[name]) for name, value in model.state_dict().items()))

    model.before = look
    explorer = make(target=2, method="DeepLift").check().wait()
    assert len(seen) > 5
    assert all(seen)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert [p._version for p in model.parameters()] == versions
    assert not explorer.weights_changed


def test_cancel_keeps_what_is_ready_and_leaves_the_model(make: Make, model: TwoLayers) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explorer = make(target=2, method="Saliency").wait()
    gate = Gate()

    def stop_at_noise(change: Any) -> None:
        if len(change["new"].get("results", ())) == 2:
            model.before = gate

    explorer.observe(stop_at_noise, "checks")
    ask(explorer)
    assert gate.reached.wait(20)
    explorer.cancel()
    model.before = lambda x: None
    gate.open.set()
    assert (explorer.status, explorer.checks["final"]) == ("cancelled", False)
    assert set(explorer.check_results) == {"complete", "learned"}
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    ask(explorer)
    explorer.wait()
    assert explorer.checks["final"]
    assert_consistent(explorer)


def test_a_map_that_is_not_ready_comes_first_and_the_latest_wish_wins(make: Make, model: TwoLayers) -> None:
    gate = Gate()
    model.before = gate
    explorer = make(method="Saliency")
    assert gate.reached.wait(20)
    ask(explorer)
    gate.open.set()
    explorer.wait()
    assert explorer.checks["request"]["target"] == explorer.target is not None
    assert explorer.heat["final"]
    gate = Gate()
    model.before = gate
    ask(explorer)
    assert gate.reached.wait(20)
    from_page(explorer, target=(explorer.target + 1) % 5)
    model.before = lambda x: None
    gate.open.set()
    explorer.wait()
    assert explorer.checks.get("final") is not True
    assert_consistent(explorer)


def test_other_weights_make_it_out_of_date(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="Saliency").check(draws=1).wait()
    assert explorer.checks["outdated"] is False
    with torch.no_grad():
        model.first.weight.mul_(2)
    explorer.recompute().wait()
    assert explorer.checks["outdated"] is True
    assert explorer.check(draws=1).wait().checks["outdated"] is False
    explorer.close()
    assert explorer.check_results == {}


def test_one_example_of_a_batch_with_what_belongs_to_it() -> None:
    explorer, x, own = third_of_a_batch()
    model = explorer._explained.model
    found = explorer.check(draws=2).wait().check_results
    wanted = metrics.sensitivity_average(
        (attr.Saliency(model), {"abs": False}), x, perturb_radius=radius_of(x), n_perturb_samples=2,
        max_examples_per_batch=1, generator=seeded(), target=1, additional_forward_args=own,
    )  # fmt: skip
    assert found["stable"].value == pytest.approx(float(wanted), rel=1e-5)
    output = float(model(x, *own)[0, 1].detach())
    (said,) = re.findall(r"the output of ([−\d.]+) moves", found["stable"].sentence)
    assert float(said.replace("−", "-")) == pytest.approx(output, rel=0.06)
    explorer.close()


@pytest.mark.parametrize("draws", [0, -1, 2.5, "many"])
def test_a_count_that_is_none_is_refused_at_once(make: Make, draws: Any) -> None:
    explorer = make(target=2).wait()
    with pytest.raises(ChoiceError, match="draws must be"):
        explorer.check(draws)
    assert (explorer.status, explorer.checks) == ("idle", {})


def test_a_result_is_plain_data(make: Make) -> None:
    found = make(target=2, method="Saliency").check(draws=1).wait().check_results
    assert set(found) == set(BOUNDS) == {"complete", "stable", "learned"}
    assert found["complete"] == Check("complete", "none", None, "this method does not promise to add up.")
