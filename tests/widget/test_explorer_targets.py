"""What is explained besides a class: of a segmentation, a detector, an embedding; numbers are those of Python."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.attr import targets
from attriscope.core.errors import InputError, TargetError
from attriscope.widget.state.selection import ChoiceError
from dense_models import Detector, Segmenter, X, boxes
from widget.helpers import from_page

NAMES = ["background", "cat", "dog", "elk"]


def exec_code(explorer: Explorer, **space: Any) -> Tensor:
    space |= {"model": explorer._explained.model, "inputs": X}
    exec(explorer.code, space)
    found: Tensor = space["attributions"]
    return found


def segmented(**options: Any) -> Explorer:
    return Explorer(Segmenter(), X, class_names=NAMES, **{"n_steps": 4, **options}).wait(60)


def test_a_segmentation_is_told_by_the_share_of_each_class() -> None:
    explorer = segmented(baseline="mean")
    mask = Segmenter()(X)["out"][0].argmax(0)
    counts = mask.flatten().bincount(minlength=4)
    items = explorer.predictions["items"]
    assert [i["label"] for i in items] == [NAMES[c] for c in counts.argsort(descending=True, stable=True)]
    assert [i["probability"] for i in items] == sorted((counts.double() / 12).tolist(), reverse=True)
    assert (explorer.predictions["output"], explorer.predictions["kind"]) == ("segmentation", "probability")
    assert explorer.target == 1  # the largest; background would not be it
    assert explorer.heat["title"] == "Integrated gradients for cat, baseline mean colour"
    region = targets.class_region(Segmenter()(X), 1)
    wanted = attr.IntegratedGradients(Segmenter()).attribute(
        X, attr.baselines.mean(X), target=region, n_steps=4
    )
    torch.testing.assert_close(explorer.attributions, wanted)
    torch.testing.assert_close(exec_code(explorer), wanted)
    # On the way the shares of the picture in between are told.
    path, start = explorer.path, attr.baselines.mean(X)
    for alpha, *row in zip(path["alphas"], *path["probabilities"], strict=True):
        between = Segmenter()(start + alpha * (X - start))["out"][0].argmax(0)
        assert row == [float((between == one["index"]).double().mean()) for one in path["classes"]]


def test_the_background_is_not_what_is_explained_first() -> None:
    names = ["elk", "__background__", "dog", "cat"]  # of which the second has the most pixels
    explorer = Explorer(Segmenter(), X, class_names=names, n_steps=4).wait(60)
    assert explorer.predictions["items"][0]["label"] == "__background__"
    assert explorer.predictions["items"][0]["index"] != explorer.target


@pytest.mark.parametrize("method", ["Saliency", "DeepLift", "FeatureAblation", "GuidedGradCam"])
def test_a_class_of_a_segmentation_by_every_kind_of_method(method: str) -> None:
    explorer = segmented(target="dog", contrast="cat", method=method)
    torch.testing.assert_close(exec_code(explorer), explorer.attributions)
    region = targets.class_region(Segmenter()(X), 2, 1)
    if method == "Saliency":
        wanted = attr.Saliency(Segmenter()).attribute(X, target=region, abs=False)
        torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["title"].startswith(INPUT_TITLES[method] + " for dog rather than cat")


INPUT_TITLES = {
    "Saliency": "Saliency",
    "DeepLift": "DeepLIFT",
    "FeatureAblation": "Feature ablation",
    "GuidedGradCam": "Guided Grad-CAM",
}


def test_one_pixel_is_explained_from_python_and_from_the_page() -> None:
    explorer = segmented(method="Saliency")
    predicted = Segmenter()(X)["out"][0].argmax(0)
    explorer.explain_pixel(5, 2).wait(60)
    c = int(predicted[2, 1])  # half as many pixels along each side
    assert explorer.target == [c, 2, 1]
    assert explorer.heat["title"] == f"Saliency for {NAMES[c]} at row 2, column 1"
    wanted = attr.Saliency(Segmenter()).attribute(X, target=(c, 2, 1), abs=False)
    torch.testing.assert_close(explorer.attributions, wanted)
    torch.testing.assert_close(exec_code(explorer), wanted)
    explorer._receive(explorer, {"type": "explain_pixel", "row": 0, "column": 7}, [])
    assert explorer.target == [int(predicted[0, 3]), 0, 3]
    explorer._receive(explorer, {"type": "explain_pixel", "row": 0}, [])  # a page can say anything
    explorer._receive(explorer, {"type": "explain_pixel", "row": 99, "column": "x"}, [])
    assert explorer.target == [int(predicted[0, 3]), 0, 3]
    with pytest.raises(ChoiceError, match=r"no pixel \(6, 0\) in a picture of \(6, 8\) rows and columns"):
        explorer.explain_pixel(6, 0)
    explorer.target = ("dog", 1, 1)
    assert explorer.target == [2, 1, 1]
    from_page(explorer, target=2)
    assert explorer.target == 2


def test_a_class_that_is_nowhere_says_so_and_the_predictions_stay() -> None:
    class Never(Segmenter):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            scores = super().forward(x)["out"]
            return {"out": torch.cat([scores[:, :3], scores[:, 3:] - 5], 1)}

    explorer = Explorer(Never(), X, class_names=NAMES, target="elk", n_steps=4)
    with pytest.raises(InputError, match="class 3 is predicted at no pixel"):
        explorer.wait(60)
    # What is asked for is listed, with its share of the pixels.
    assert {item["label"]: item["probability"] for item in explorer.predictions["items"]}["elk"] == 0
    explorer.target = "dog"
    assert explorer.wait(60).heat["title"].startswith("Integrated gradients for dog")


def test_neurons_of_a_segmentation_are_told_by_class_and_switched_off() -> None:
    explorer = segmented(layer="convolution", neuron=1, target="cat", ablated=[["convolution", 1]])
    by_label = {one["label"]: one["contribution"] for one in explorer.neuron_info["classes"]}
    region = targets.class_region(Segmenter()(X), 1)
    found = attr.LayerGradientXActivation(Segmenter(), "convolution").attribute(X, target=region)
    assert by_label["cat"] == pytest.approx(float(found[0, 1].sum()), rel=1e-5)
    scores = Segmenter()(X)["out"].clone()
    scores[:, 1] = 0  # tanh of zero
    share = float((scores[0].argmax(0) == 1).double().mean())
    assert {one["label"]: one["after"] for one in explorer.what_if["items"]}["cat"] == share


def test_pixels_of_a_model_of_rows_are_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 3)).eval()
    explorer = Explorer(model, X, n_steps=2).wait(60)
    with pytest.raises(ChoiceError, match="gives no scores of pixels"):
        explorer.explain_pixel(0, 0)


def test_a_box_is_explained() -> None:
    explorer = Explorer(Detector(), X, boxes=boxes, class_names={5: "cat", 6: "dog"}, method="Saliency").wait(
        60
    )
    found = Detector()(X)[0]
    order = found["scores"].argsort(descending=True).tolist()
    predictions = explorer.predictions
    assert (predictions["output"], predictions["kind"]) == ("boxes", "probability")
    assert [i["index"] for i in predictions["items"]] == order
    assert [i["label"] for i in predictions["items"]] == [
        {5: "cat", 6: "dog"}[int(found["labels"][i])] for i in order
    ]
    assert [i["score"] for i in predictions["items"]] == pytest.approx(found["scores"][order].tolist())
    assert predictions["boxes"] == found["boxes"][order].tolist()
    assert explorer.target == order[0]  # the surest
    target = targets.box_score(boxes, Detector()(X), order[0])
    wanted = attr.Saliency(Detector()).attribute(X, target=target, abs=False)
    torch.testing.assert_close(explorer.attributions, wanted)
    torch.testing.assert_close(exec_code(explorer, boxes=boxes), wanted)
    explorer.target, explorer.method = 1, "FeatureAblation"
    explorer.wait(60)
    torch.testing.assert_close(exec_code(explorer, boxes=boxes), explorer.attributions)
    with pytest.raises(ChoiceError, match="contrast compares classes"):
        explorer.contrast = 0
    with pytest.raises(ChoiceError, match="target must be the index of a box, but 'cat' came"):
        explorer.target = "cat"
    explorer.target = 9
    with pytest.raises(TargetError, match="no box 9: the model finds boxes 0 to 3"):
        explorer.wait(60)


@pytest.mark.parametrize("contrast", [None, "dog"])
def test_covering_costs_a_class_of_a_segmentation_what_its_pixels_lose(contrast: str | None) -> None:
    explorer = segmented(target="cat", contrast=contrast, selection={"kind": "box", "box": [0, 0, 2, 3]})
    region = targets.class_region(Segmenter()(X), 1, None if contrast is None else 2)
    edited = X.clone()
    edited[:, :, :2, :3] = 0
    before, after = (float(region(Segmenter()(x)).detach()) for x in (X, edited))
    covered = explorer.covered
    assert (covered["before"], covered["after"]) == pytest.approx((before, after), rel=1e-5)
    assert covered["readers"]
    # So it is when the region comes after the map.
    explorer.selection = {"kind": "box", "box": [0, 0, 4, 4]}
    assert "message" not in explorer.wait(60).covered


def test_covering_costs_a_box_of_its_score() -> None:
    explorer = Explorer(Detector(), X, boxes=boxes, target=1, method="Saliency").wait(60)
    explorer.selection = {"kind": "box", "box": [0, 1, 1, 2]}
    covered = explorer.wait(60).covered
    target = targets.box_score(boxes, Detector()(X), 1)
    edited = X.clone()
    edited[:, :, 0, 1] = 0
    wanted = tuple(float(target(Detector()(x))) for x in (X, edited))
    assert (covered["before"], covered["after"]) == pytest.approx(wanted, rel=1e-5)


def test_likeness_to_another_picture_is_explained() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 7)).eval()
    target = targets.similarity_to(model, 1 - X)
    explorer = Explorer(model, X, target=target, method="Saliency").wait(60)
    assert explorer.heat["title"] == "Saliency for similarity to your picture"
    wanted = attr.Saliency(model).attribute(X, target=target, abs=False)
    torch.testing.assert_close(explorer.attributions, wanted)


OUTPUTS = {
    "logits": (lambda y: y, lambda y: y.softmax(1)),
    "probabilities": (lambda y: y.softmax(1), lambda y: y.softmax(1)),
    "sigmoid": (lambda y: y.sigmoid(), lambda y: y.sigmoid()),
    "values": (lambda y: 1000 * y, lambda y: None),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_numbers_on_the_page_are_those_of_python(kind: str) -> None:
    torch.manual_seed(0)
    net, (head, share) = nn.Sequential(nn.Flatten(), nn.Linear(144, 6)).eval(), OUTPUTS[kind]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return head(self.net(x))

    explorer = Explorer(Model(), X, n_steps=2).wait(60)
    assert explorer.predictions["output"] == kind
    y, shares = head(net(X))[0], share(net(X))
    for item in explorer.predictions["items"]:
        assert item["score"] == pytest.approx(float(y[item["index"]].detach()), rel=1e-6)
        wanted = None if shares is None else pytest.approx(float(shares[0, item["index"]].detach()), rel=1e-5)
        assert item["probability"] == wanted
    wanted = attr.IntegratedGradients(Model()).attribute(X, target=explorer.target, n_steps=2)
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["sum"] == pytest.approx(float(wanted.sum()), rel=1e-4)
