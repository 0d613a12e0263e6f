"""Linear models that can stand for a network near one input: what Lime takes as ``interpretable_model``.

=================================  ==================================================================================
:class:`Lasso`                     few coefficients other than 0; Lime's default
:class:`Ridge`                     small coefficients
:class:`LinearRegression`          least squares, of minimal norm where samples are too few
:class:`SkLearnLinearModel`        any linear model of scikit-learn, by name; also :class:`SkLearnLasso`,
                                   :class:`SkLearnRidge` and :class:`SkLearnLinearRegression`
=================================  ==================================================================================

The first three are solved in torch, in double precision, on the device of the samples, for all examples of a batch
together. They minimise what the models of these names in scikit-learn minimise, so there is no need for Captum's models
trained by gradient descent. A model of your own may be anything with Captum's ``fit(dataloader)`` and
``representation()``, or scikit-learn's ``fit(X, y, sample_weight=)`` and ``coef_``.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import as_tensor, describe

_AT_ONCE = 1 << 24  # numbers in a temporary tensor


@dataclasses.dataclass(frozen=True)
class Solution:
    """Linear models fitted to M series of outputs.

    Attributes:
        coefficients: (M, F).
        intercepts: (M,).
        errors: a function for the standard error of each coefficient, (M, F); it returns ``None`` where there are
            no more samples than features.
    """

    coefficients: Tensor
    intercepts: Tensor
    errors: Callable[[], Tensor | None]


class LinearModel:
    """A linear model with an intercept, fitted by weighted least squares with a penalty."""

    def __init__(self) -> None:
        self.coefficients: Tensor | None = None
        self.intercepts: Tensor | None = None

    def solve(self, x: Tensor, y: Tensor, weights: Tensor) -> Solution:
        """Fit one model to each column of ``y``.

        Args:
            x: interpretable samples (S, F), or (S, M, F) if each column has its own.
            y: outputs (S, M).
            weights: (S, M), at least 0.
        """
        dtype = torch.float32 if x.device.type == "mps" else torch.float64
        x, y, weights = x.to(dtype), y.to(dtype), weights.to(dtype)
        at_once = max(1, _AT_ONCE // max(1, x.shape[0] * x.shape[-1]))
        columns = torch.arange(y.shape[1], device="cpu").split(at_once)
        parts = [self._solve(x if x.dim() == 2 else x[:, i], y[:, i], weights[:, i]) for i in columns]

        def errors() -> Tensor | None:
            found = [e for e in (part.errors() for part in parts) if e is not None]
            return torch.cat(found) if found else None

        coefficients, intercepts = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("coefficients", "intercepts")
        )
        return Solution(coefficients, intercepts, errors)

    def _solve(self, x: Tensor, y: Tensor, weights: Tensor) -> Solution:
        total = weights.sum(0)
        shares = (weights / total).T  # (M, S)
        x = x.unsqueeze(0) if x.dim() == 2 else x.transpose(0, 1)  # (1 or M, S, F)
        x_mean = (shares.unsqueeze(1) @ x).squeeze(1)
        y_mean = (shares * y.T).sum(1, keepdim=True)
        roots = shares.sqrt()
        a = (x - x_mean.unsqueeze(1)) * roots.unsqueeze(2)  # (M, S, F)
        b = (y.T - y_mean) * roots
        found = self._coefficients(a, b, total)
        intercepts = y_mean.squeeze(1) - (found * x_mean).sum(1)
        return Solution(found, intercepts, lambda: self._errors(a, b, found, total))

    def _coefficients(self, a: Tensor, b: Tensor, total: Tensor) -> Tensor:
        """Minimise |b - a c|^2 and the penalty: (M, S, F) and (M, S) to (M, F). ``total`` is the sum of the weights."""
        raise NotImplementedError

    def _penalty(self, total: Tensor) -> Tensor:
        """The factor of |c|^2, (M,)."""
        return torch.zeros_like(total)

    def _errors(self, a: Tensor, b: Tensor, found: Tensor, total: Tensor) -> Tensor | None:
        """The sandwich estimate (White 1980): it takes the residuals as they are, not as equally large."""
        samples, features = a.shape[1:]
        if samples <= features + 1:
            return None
        gram = a.mT @ a + self._penalty(total)[:, None, None] * torch.eye(
            features, dtype=a.dtype, device=a.device
        )
        rest = b - (a @ found.unsqueeze(2)).squeeze(2)
        influence = (a @ torch.linalg.pinv(gram, hermitian=True)) * rest.unsqueeze(2)
        return (influence.square().sum(1) * samples / (samples - features - 1)).sqrt()

    # --- as Captum's models are used ------------------------------------------------------------------------------

    def fit(self, train_data: Iterable[Any], **kwargs: Any) -> None:
        """Fit to batches of (samples (S, F), outputs (S,), weights (S,)); weights may be left out."""
        x, y, weights = collect(train_data)
        found = self.solve(x, y[:, None], weights[:, None])
        self.coefficients, self.intercepts = found.coefficients, found.intercepts

    def representation(self) -> Tensor:
        """The coefficients of the last fit, float32 of shape (1, F)."""
        if self.coefficients is None:
            raise InputError(f"this {type(self).__name__} was not fitted yet; call fit first")
        return self.coefficients.float()

    def bias(self) -> Tensor | None:
        """The intercept of the last fit, float32 of shape (1,)."""
        return None if self.intercepts is None else self.intercepts.float()

    def __call__(self, x: Tensor) -> Tensor:
        """Predictions (S, 1) for samples (S, F)."""
        bias = self.bias()
        found = x.float() @ self.representation().to(x.device).T
        return found if bias is None else found + bias.to(x.device)


def collect(train_data: Iterable[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """All samples, outputs and weights of a data loader."""
    batches = [tuple(batch) for batch in train_data]
    if not batches or any(len(batch) not in (2, 3) for batch in batches):
        raise InputError(
            "training data must come in batches of (samples, outputs) or (samples, outputs, weights)"
        )
    x, y = (torch.cat([batch[i] for batch in batches]) for i in (0, 1))
    weights = [batch[2] if len(batch) == 3 else torch.ones_like(batch[1]) for batch in batches]
    return x, y.flatten(), torch.cat(weights).flatten()


class LinearRegression(LinearModel):
    """Weighted least squares: minimises ``sum of w (y - x c - c0)^2``, and ``|c|`` where that leaves a choice."""

    def _coefficients(self, a: Tensor, b: Tensor, total: Tensor) -> Tensor:
        return _least_squares(a, b, torch.zeros_like(total))


class Ridge(LinearModel):
    """Minimises ``sum of w (y - x c - c0)^2 + alpha |c|^2``.

    Args:
        alpha: the strength of the penalty, at least 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = _at_least_zero(alpha)

    def _penalty(self, total: Tensor) -> Tensor:
        return self.alpha / total

    def _coefficients(self, a: Tensor, b: Tensor, total: Tensor) -> Tensor:
        return _least_squares(a, b, self._penalty(total))


class Lasso(LinearModel):
    """Minimises ``sum of w (y - x c - c0)^2 / (2 sum of w) + alpha |c|_1``.

    Standard errors are those of least squares without the penalty, which are not smaller.

    Args:
        alpha: the strength of the penalty, at least 0.
        max_iter: when to give up on convergence.
    """

    def __init__(self, alpha: float = 1.0, max_iter: int = 2000) -> None:
        super().__init__()
        self.alpha, self.max_iter = _at_least_zero(alpha), max_iter

    def _coefficients(self, a: Tensor, b: Tensor, total: Tensor) -> Tensor:
        if self.alpha == 0:
            return _least_squares(a, b, torch.zeros_like(total))
        wide = a.shape[2] > a.shape[1]
        inner = a @ a.mT if wide else a.mT @ a
        gram = None if wide else inner
        target = (a.mT @ b.unsqueeze(2)).squeeze(2)
        steepest = torch.linalg.eigvalsh(inner)[:, -1:].clamp_min(1e-30) if inner.shape[-1] else target
        return self._descend(a, gram, target, steepest)

    def _descend(self, a: Tensor, gram: Tensor | None, target: Tensor, steepest: Tensor) -> Tensor:
        """Accelerated proximal gradients (Beck and Teboulle 2009), started anew where momentum points uphill."""
        found = ahead = torch.zeros_like(target)
        momentum = torch.ones_like(steepest)
        for i in range(self.max_iter):
            pulled = gram @ ahead.unsqueeze(2) if gram is not None else a.mT @ (a @ ahead.unsqueeze(2))
            moved = ahead + (target - pulled.squeeze(2)) / steepest
            new = moved.sign() * (moved.abs() - self.alpha / steepest).clamp_min(0)
            uphill = ((ahead - new) * (new - found)).sum(1, keepdim=True) > 0
            momentum = torch.where(uphill, 1.0, momentum)
            grown = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            ahead = new + (momentum - 1) / grown * (new - found)
            change, momentum = (new - found).abs().max() if new.numel() else new.sum(), grown
            found = new
            if i % 10 == 9 and bool(change <= 1e-10 * found.abs().max().clamp_min(1e-30)):
                break
        return found


def _least_squares(a: Tensor, b: Tensor, penalty: Tensor) -> Tensor:
    """Minimise |b - a c|^2 + penalty |c|^2, with the least |c| where that leaves a choice."""
    wide = a.shape[2] > a.shape[1]
    inner = a @ a.mT if wide else a.mT @ a
    inner = inner + penalty[:, None, None] * torch.eye(inner.shape[-1], dtype=a.dtype, device=a.device)
    inverse = torch.linalg.pinv(inner, rtol=1e-12, hermitian=True)
    b = b.unsqueeze(2)
    return (a.mT @ (inverse @ b) if wide else inverse @ (a.mT @ b)).squeeze(2)


def _at_least_zero(alpha: Any) -> float:
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise InputTypeError(f"alpha must be a number, but {describe(alpha)} came")
    if not alpha >= 0:
        raise InputError(f"alpha must be at least 0, but {alpha} came")
    return float(alpha)


# --- scikit-learn ---------------------------------------------------------------------------------------------------


class SkLearnLinearModel(LinearModel):
    """A linear model of scikit-learn, fitted on the CPU.

    Args:
        sklearn_module: where it is below ``sklearn``, e.g. ``"linear_model.Lasso"``.
        **kwargs: arguments for its constructor.
    """

    def __init__(self, sklearn_module: str, **kwargs: Any) -> None:
        super().__init__()
        self.sklearn_module, self.construct_kwargs = sklearn_module, kwargs
        self.model: Any = None

    def fit(self, train_data: Iterable[Any], **kwargs: Any) -> None:
        """Fit to batches of (samples, outputs, weights); further arguments go to scikit-learn's ``fit``.

        Raises:
            ImportError: scikit-learn is not installed.
            InputError: it has no such model.
        """
        x, y, weights = collect(train_data)
        self.model = self._made()
        arrays = (t.detach().cpu().numpy() for t in (x, y, weights))
        samples, outputs, sample_weight = arrays
        self.model.fit(samples, outputs, sample_weight=sample_weight, **kwargs)
        self.coefficients = torch.as_tensor(self.model.coef_, device=x.device).reshape(-1, x.shape[1])
        self.intercepts = torch.as_tensor(self.model.intercept_, device=x.device).reshape(-1)

    def classes(self) -> Tensor | None:
        """The classes of a fitted classifier; ``None`` for a regression."""
        found = getattr(self.model, "classes_", None)
        return None if found is None else as_tensor(found)

    def _made(self) -> Any:
        module, _, name = self.sklearn_module.rpartition(".")
        try:
            importlib.import_module("sklearn")
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{type(self).__name__} needs scikit-learn: pip install scikit-learn. attriscope.attr.linear has "
                "Lasso, Ridge and LinearRegression that do without"
            ) from error
        try:
            home = importlib.import_module(f"sklearn.{module}")
        except ModuleNotFoundError as error:
            raise InputError(f"scikit-learn has no {self.sklearn_module!r}") from error
        if not hasattr(home, name):
            raise InputError(f"scikit-learn has no {self.sklearn_module!r}")
        return getattr(home, name)(**self.construct_kwargs)


class SkLearnLasso(SkLearnLinearModel):
    """``sklearn.linear_model.Lasso``; keyword arguments go to it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("linear_model.Lasso", **kwargs)


class SkLearnRidge(SkLearnLinearModel):
    """``sklearn.linear_model.Ridge``; keyword arguments go to it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("linear_model.Ridge", **kwargs)


class SkLearnLinearRegression(SkLearnLinearModel):
    """``sklearn.linear_model.LinearRegression``; keyword arguments go to it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("linear_model.LinearRegression", **kwargs)
