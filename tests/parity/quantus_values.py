"""Writes quantus.json: what Quantus 0.6.0 says about attributions of the small CNN.

Quantus pins versions that conflict with the environment of the tests, so it runs in one of its own, which borrows the
rest from that of the tests (``.venv``):

    python3 -m venv /tmp/quantus
    /tmp/quantus/bin/pip install --no-deps quantus==0.6.0 opencv-python-headless
    .venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \\
        > $(/tmp/quantus/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/borrowed.pth
    PYTHONPATH=src /tmp/quantus/bin/python tests/parity/quantus_values.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attriscope.attr import InputXGradient
from attriscope.zoo import small_cnn, small_pictures

FILE = Path(__file__).with_name("quantus.json")
STEP, PATCH = 28, 7


def scene() -> tuple[Any, Tensor, Tensor, Tensor, Tensor]:
    """The model, six digits, their classes, attributions, and where the ink is."""
    model = small_cnn()
    pictures, labels = (t[:6] for t in small_pictures())
    attributions = InputXGradient(model).attribute(pictures, target=labels).detach()
    # No ties among pixels: how these are ordered is nobody's definition.
    place = torch.arange(784, dtype=torch.float32).reshape(1, 1, 28, 28)
    return model, pictures, labels, attributions + 1e-4 * torch.sin(place), pictures > 0.5


def holes() -> Tensor:
    """Which pixels of the first digit are taken out for the imputation, as numbers."""
    return torch.nonzero(torch.sin(torch.arange(784.0) * 1.7) > 0.2).flatten()


def main() -> None:
    import quantus
    from quantus.functions.complexity_func import discrete_entropy

    warnings.simplefilter("ignore")
    model, x, y, a, masks = scene()
    given = {"x_batch": x.numpy(), "y_batch": y.numpy(), "a_batch": a.numpy(), "s_batch": masks.numpy()}
    common: dict[str, Any] = {"disable_warnings": True, "normalise": False, "abs": False}

    def asked(metric: Any, softmax: bool = True) -> Any:
        found = metric(model=model, softmax=softmax, device="cpu", **given)
        return np.asarray(found).tolist()

    def even_black(arr: Any, indices: Any, **_: Any) -> Any:
        found = arr.copy()
        np.put_along_axis(found, indices, 0.0, axis=1)
        return found

    values = {
        "pixel flipping": asked(
            quantus.PixelFlipping(features_in_step=STEP, perturb_func=even_black, perturb_baseline=0.0, **common)
        ),
        "faithfulness estimate": asked(
            quantus.FaithfulnessEstimate(features_in_step=STEP, perturb_func=even_black, perturb_baseline=0.0, **common)
        ),
        "region perturbation": asked(
            quantus.RegionPerturbation(
                patch_size=PATCH, regions_evaluation=16, order="morf", perturb_func=even_black, perturb_baseline=0.0,
                **common,
            )
        ),
        "sparseness": asked(quantus.Sparseness(disable_warnings=True, normalise=False, abs=True)),
        "entropy": asked(quantus.Complexity(disable_warnings=True, normalise=False, abs=True)),
        "pointing game": asked(quantus.PointingGame(**common)),
        "relevance mass": asked(
            quantus.RelevanceMassAccuracy(disable_warnings=True, normalise=False, abs=True)
        ),
        "relevance rank": asked(quantus.RelevanceRankAccuracy(**common)),
        "attribution localisation": asked(
            quantus.AttributionLocalisation(
                disable_warnings=True, normalise=False, abs=True, positive_attributions=True
            )
        ),
        "histogram entropy": [float(discrete_entropy(row, None, n_bins=100)) for row in a.flatten(1).numpy()],
        "linear imputation": quantus.noisy_linear_imputation(
            x[0].numpy().copy(), holes().numpy(), noise=0.0
        ).reshape(-1)[holes().numpy()].tolist(),
    }  # fmt: skip
    FILE.write_text(json.dumps(values, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
