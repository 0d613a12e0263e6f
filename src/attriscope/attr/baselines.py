"""Baselines: what an input is compared with. Which one fits depends on what it means for a feature to be absent.

Pictures: ``zero``, ``mean``, ``blur``, ``uniform``, or ``noise`` and ``samples`` for methods that take a distribution.
Text: ``tokens`` of padding or mask. Tables: ``column_means``, ``column_medians``, or ``samples`` of the training data,
for methods that need outputs only as a :class:`~attriscope.attr.Background`.
Whoever is unsure takes several and looks whether the explanation stays (Sturmfels et al. 2020, distill.pub/2020/
attribution-baselines).
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence, Sized
from typing import Any

import torch
from torch import Tensor

from attriscope.attr._random import check_count, device_of
from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import as_tensor, as_tuple, describe


def zero(inputs: Tensor) -> Tensor:
    """Zeros in the shape and type of ``inputs``. For normalized pictures that is the mean colour, not black."""
    return torch.zeros_like(_checked(inputs))


def mean(inputs: Tensor) -> Tensor:
    """Every channel's mean over the positions of the same example.

    Args:
        inputs: shape (N, C, *positions).

    Returns:
        A tensor of the shape of ``inputs``.

    Raises:
        InputError: there are no positions; for tables see :func:`column_means`.
    """
    dimensions = _positions(inputs, "a mean over positions")
    return inputs.detach().mean(dimensions, keepdim=True).expand_as(inputs).clone()


def blur(inputs: Tensor, radius: float | None = None) -> Tensor:
    """The inputs blurred by a Gaussian, edges repeated: details are absent, and the large lines stay.

    Args:
        inputs: shape (N, C, *positions), e.g. (N, C, H, W).
        radius: its standard deviation, in positions; ``None`` (default) takes a twelfth of the shortest side.

    Returns:
        A tensor of the shape of ``inputs``.

    Raises:
        InputError: there are no positions, or the radius is not above 0.
    """
    dimensions = _positions(inputs, "a blur")
    radius = min(inputs.shape[d] for d in dimensions) / 12 if radius is None else radius
    if not isinstance(radius, numbers.Real) or not 0 < radius < math.inf:
        raise InputError(f"radius must be a number above 0, but {describe(radius)} came")
    return gaussian_blur(inputs.detach(), radius)


def gaussian_blur(x: Tensor, radius: float) -> Tensor:
    """``x`` (N, C, *positions) blurred by a Gaussian of standard deviation ``radius`` positions, edges repeated."""
    reach = max(1, round(3 * radius))
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(at**2) / (2 * radius**2))
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1)
    for dimension in range(2, x.dim()):
        lines = x.transpose(dimension, -1)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        padded = torch.nn.functional.pad(flat, (reach, reach), mode="replicate")
        x = torch.nn.functional.conv1d(padded, kernel).reshape(lines.shape).transpose(dimension, -1)
    return x.contiguous()


def uniform(
    inputs: Tensor,
    low: float | Tensor | None = None,
    high: float | Tensor | None = None,
    *,
    count: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Numbers that are uniform between two bounds.

    Args:
        inputs: shape (N, ...).
        low, high: the bounds, numbers or tensors that broadcast; ``None`` (default) takes the inputs' extremes.
        count: make so many baselines, as a distribution; ``None`` (default) makes one for each example.
        generator: where random numbers come from; ``None`` (default) is torch's global generator.

    Returns:
        A tensor of the shape of ``inputs``, or (count, ...).
    """
    low = inputs.detach().amin() if low is None else low
    high = inputs.detach().amax() if high is None else high
    return low + _drawn(torch.rand, inputs, count, generator) * (high - low)


def noise(
    inputs: Tensor,
    stdev: float | Tensor = 1.0,
    mean: float | Tensor = 0.0,
    *,
    count: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Gaussian noise.

    Args:
        inputs: shape (N, ...).
        stdev, mean: its standard deviation and mean in the inputs' units, numbers or tensors that broadcast; give the
            inputs themselves as ``mean`` for noise around them.
        count, generator: as for :func:`uniform`.

    Returns:
        A tensor of the shape of ``inputs``, or (count, ...).
    """
    return mean + _drawn(torch.randn, inputs, count, generator) * stdev


def samples(data: Any, count: int, *, generator: torch.Generator | None = None) -> Any:
    """Examples of a data set, as a distribution for ``GradientShap`` and its like.

    Args:
        data: a tensor (M, ...), or a tuple of tensors that belong together; a data set with a length and an index,
            whose entries are tensors, or tuples that begin with one; or a data loader or any other iterable of such
            batches, of which the first examples are taken as they come.
        count: how many; at most all there are.
        generator: where random numbers come from; ``None`` (default) is torch's global generator.

    Returns:
        A tensor (count, ...) of different examples; a tuple of these for a tuple.

    Raises:
        InputTypeError, InputError: the data is none of these, or empty; the tensors do not have one length.
    """
    count = check_count(count, "count")
    if isinstance(data, Tensor | tuple):
        tensors = as_tuple(data)
        if len({len(t) for t in tensors}) != 1 or len(tensors[0]) == 0:
            raise InputError(f"the data must be tensors of one length above 0, but {describe(data)} came")
        chosen = _shuffled(len(tensors[0]), generator)[:count]
        found = tuple(t.detach()[chosen.to(t.device)] for t in tensors)
        return found if isinstance(data, tuple) else found[0]
    if isinstance(data, Sized) and callable(getattr(data, "__getitem__", None)):
        entry: Any = data
        order = _shuffled(len(data), generator)[:count].tolist()
        return _stacked([_first(entry[i]) for i in order], data)
    if isinstance(data, Iterable):
        batches: list[Tensor] = []
        for batch in data:
            batches.extend(_first(batch))
            if len(batches) >= count:
                break
        return _stacked(batches[:count], data)
    raise InputTypeError(f"data must be tensors, a data set or a data loader, but {describe(data)} came")


def tokens(inputs: Tensor, token: int, keep: Sequence[int] = ()) -> Tensor:
    """Every token replaced by one, such as padding or mask, but for those that frame the text.

    Args:
        inputs: numbers of tokens, e.g. of shape (N, length).
        token: the number of the padding or mask token, e.g. ``tokenizer.pad_token_id`` or ``tokenizer.mask_token_id``.
        keep: the numbers of tokens that stay, e.g. ``tokenizer.all_special_ids``.

    Returns:
        A tensor of the shape and type of ``inputs``. For methods that need gradients, hand it to the embedding.

    Raises:
        InputTypeError: the inputs or the token are no integers.
    """
    if not isinstance(inputs, Tensor) or inputs.is_floating_point() or inputs.is_complex():
        raise InputTypeError(f"the inputs must be a tensor of token numbers, but {describe(inputs)} came")
    if not isinstance(token, numbers.Integral):
        raise InputTypeError(f"token must be the number of a token, but {describe(token)} came")
    kept = torch.isin(inputs, torch.tensor(list(keep), dtype=inputs.dtype, device=inputs.device))
    return torch.where(kept, inputs, torch.full_like(inputs, int(token)))


def column_means(table: Any) -> Tensor:
    """The mean of each column of a table, leaving out what is NaN.

    Args:
        table: shape (rows, columns); a tensor, array or data frame.

    Returns:
        A tensor (1, columns), a baseline for any number of examples.
    """
    return _table(table).nanmean(0, keepdim=True)


def column_medians(table: Any) -> Tensor:
    """The median of each column of a table, leaving out what is NaN; between the middle two if their number is even.

    Args:
        table: shape (rows, columns); a tensor, array or data frame.

    Returns:
        A tensor (1, columns), a baseline for any number of examples.
    """
    values = _table(table)
    ordered = values.sort(0).values  # NaN comes last
    count = (~values.isnan()).sum(0, keepdim=True)
    lower = ordered.gather(0, ((count - 1) // 2).clamp(min=0))
    upper = ordered.gather(0, (count // 2).clamp(max=len(values) - 1))
    return torch.where(count > 0, lower + (upper - lower) / 2, torch.full_like(lower, math.nan))


class ProductBaselines:
    """Draws each feature's baseline from a list of its own: a random member of the lists' product.

    Args:
        baseline_values: a list with the possible values of each feature; or a dict of such lists by the feature's name.
            A key may be a tuple of names of features that go together; the values are then tuples.
        generator: where random numbers come from; ``None`` (default) is torch's global generator (Captum: Python's).

    Raises:
        InputTypeError, InputError: it is neither, a list is empty, or a tuple of values does not fit its names.
    """

    def __init__(
        self,
        baseline_values: list[list[Any]] | dict[Any, list[Any]],
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        if not isinstance(baseline_values, list | tuple | dict):
            raise InputTypeError(
                f"baseline_values must be a list or dict of lists, but {describe(baseline_values)} came"
            )
        named = dict(baseline_values) if isinstance(baseline_values, dict) else {}
        self.dict_keys: list[Any] = list(named)
        self.baseline_values: list[Any] = list(named.values() or baseline_values)
        self._generator = generator
        for key, values in zip(
            self.dict_keys or range(len(self.baseline_values)), self.baseline_values, strict=True
        ):
            if not isinstance(values, Sequence) or not values:
                raise InputError(
                    f"feature {key!r} needs a list of at least one value, but has {describe(values)}"
                )
            for value in values if isinstance(key, tuple) else ():
                if not isinstance(value, tuple) or len(value) != len(key):
                    raise InputError(
                        f"the values of {key!r} must be tuples of {len(key)}, but {describe(value)} came"
                    )

    def sample(self) -> list[Any] | dict[str, Any]:
        """One baseline: a list with a value per feature, or a dict by name."""
        count, device = len(self.baseline_values), device_of(self._generator)
        drawn = torch.rand(count, generator=self._generator, device=device, dtype=torch.float64).tolist()
        chosen: list[Any] = [
            values[int(u * len(values))] for u, values in zip(drawn, self.baseline_values, strict=True)
        ]
        if not self.dict_keys:
            return chosen
        found: dict[str, Any] = {}
        for key, value in zip(self.dict_keys, chosen, strict=True):
            found.update(zip(key, value, strict=True) if isinstance(key, tuple) else [(key, value)])
        return found

    def __call__(self) -> list[Any] | dict[str, Any]:
        """The same as :meth:`sample`."""
        return self.sample()


def _checked(inputs: Any) -> Tensor:
    if not isinstance(inputs, Tensor):
        raise InputTypeError(f"inputs must be a tensor, but {describe(inputs)} came")
    return inputs.detach()


def _positions(inputs: Any, what: str) -> tuple[int, ...]:
    if _checked(inputs).dim() < 3:
        raise InputError(
            f"{what} needs inputs of shape (examples, channels, positions...), but {describe(inputs)} came; for tables "
            "take column_means or column_medians of the training data"
        )
    return tuple(range(2, inputs.dim()))


def _drawn(draw: Any, inputs: Tensor, count: int | None, generator: torch.Generator | None) -> Tensor:
    """Random numbers in the inputs' type, drawn where the generator is."""
    shape = tuple(_checked(inputs).shape)
    if count is not None:
        shape = (check_count(count, "count"), *shape[1:])
    dtype = inputs.dtype if inputs.is_floating_point() else torch.get_default_dtype()
    # In single precision, so that they are the same numbers for all types.
    drawn = draw(shape, generator=generator, device=device_of(generator), dtype=torch.float32)
    return drawn.to(inputs.device, dtype)


def _shuffled(count: int, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(count, generator=generator, device=device_of(generator))


def _first(entry: Any) -> Tensor:
    """The inputs in an entry or batch of a data set, without the labels beside them."""
    found = entry[0] if isinstance(entry, tuple | list) and entry else entry
    if not isinstance(found, Tensor):
        raise InputTypeError(
            f"the data's entries must be, or begin with, a tensor, but {describe(entry)} came"
        )
    return found.detach()


def _stacked(examples: list[Tensor], data: Any) -> Tensor:
    if not examples:
        raise InputError(f"the data is empty: {describe(data)}")
    return torch.stack(examples)


def _table(table: Any) -> Tensor:
    table = as_tensor(table.to_numpy() if hasattr(table, "to_numpy") else table)
    if table.dim() != 2 or len(table) == 0:
        raise InputError(f"a table must have shape (rows, columns), but {describe(table)} came")
    return table.detach() if table.is_floating_point() else table.to(torch.get_default_dtype())
