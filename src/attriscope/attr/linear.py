"""Linear models for ``Lime(interpretable_model=...)``: Captum's names, solved in closed form.

The public address of what :mod:`attriscope.attr.perturbation.surrogate_models` defines.
"""

from attriscope.attr.perturbation.surrogate_models import (
    Lasso,
    LinearModel,
    LinearRegression,
    Ridge,
    SkLearnLasso,
    SkLearnLinearModel,
    SkLearnLinearRegression,
    SkLearnRidge,
)

__all__ = [
    "Lasso",
    "LinearModel",
    "LinearRegression",
    "Ridge",
    "SkLearnLasso",
    "SkLearnLinearModel",
    "SkLearnLinearRegression",
    "SkLearnRidge",
]
