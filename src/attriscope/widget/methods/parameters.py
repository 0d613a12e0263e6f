"""A method's own parameters as a person sets them, read from its signature and its docstring.

Where the Explorer departs from these is in :mod:`~attriscope.widget.methods.catalogue`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from attriscope.widget.messages.types import ParameterInfo

Home = Literal["init", "attribute", "own"]

# What the Explorer settles itself, what belongs to whole programs rather than to a picture, and what changes no number.
_SETTLED = {
    "self", "forward_func", "model", "attribution_method", "layer", "device_ids", "rules", "inputs", "target",
    "baselines", "additional_forward_args", "feature_mask", "generator", "return_convergence_delta", "show_progress",
    "verbose", "perturbations_per_eval", "internal_batch_size", "nt_samples_batch_size", "custom_attribution_func",
    "draw_baseline_from_distrib", "return_input_shape", "sliding_window_shapes", "strides", "kwargs",
    "interpretable_model", "similarity_func", "perturb_func", "neuron_selector", "attribute_to_layer_input",
    "attribute_to_neuron_input", "attr_dim_summation", "memory_efficient", "grad_kwargs",
}  # fmt: skip

# Parameters that cost work in proportion, with the most that is still fit to wait for; a path keeps a map per step.
_SPENDING = {"n_steps": 1000, "n_samples": 100_000, "nt_samples": 10_000}

_LABELS = {
    "n_steps": "Steps",
    "n_samples": "Samples",
    "nt_samples": "Samples",
    "nt_type": "Kind of average",
    "method": "Quadrature rule",
    "stdevs": "Noise",
    "abs": "Absolute values",
    "eps": "Smallest difference",
}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: as in the signature.
        kind: ``"int"``, ``"float"``, ``"bool"`` or ``"choice"``.
        default: its value unless a person chooses another.
        doc: what it does, in plain text.
        least, most: bounds, both included; ``None`` for none.
        choices: for a choice, all of them.
        spends: whether the method's cost is in proportion to it.
        usual: the signature's own default.
        home: whether ``__init__`` or ``attribute`` takes it, or the Explorer itself makes something of it.
    """

    name: str
    kind: Literal["int", "float", "bool", "choice"]
    default: Any
    doc: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    spends: bool = False
    usual: Any = None
    home: Home = "own"

    @property
    def label(self) -> str:
        """Its name for people."""
        return _LABELS.get(self.name) or self.name.replace("_", " ").capitalize()

    @property
    def message(self) -> ParameterInfo:
        """As the page makes a control of it."""
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind,
            "value": self.default,
            "min": self.least,
            "max": self.most,
            "choices": list(self.choices),
            "doc": self.doc,
        }

    def worth_writing(self, value: Any) -> bool:
        """Whether a call with this value should say so."""
        return self.spends or self.home == "own" or value != self.usual

    def check(self, value: Any) -> Any:
        """The value as the method takes it.

        Raises:
            InputError: it cannot be used; the message says why.
        """
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise InputError(f"{self.name} must be true or false, but {describe(value)} came")
            return value
        if self.kind == "choice":
            if not isinstance(value, str) or value not in self.choices:
                raise InputError(
                    f"{self.name} must be one of {', '.join(self.choices)}, but {describe(value)} came"
                )
            return value
        return self._number(value)

    def _number(self, value: Any) -> int | float:
        whole = self.kind == "int"
        what = "a whole number" if whole else "a number"
        fits = isinstance(value, numbers.Real) and not isinstance(value, bool)
        try:
            fits = fits and math.isfinite(value) and (not whole or value == int(value))
        except OverflowError:
            fits = False
        if not fits:
            raise InputError(f"{self.name} must be {what}, but {describe(value)} came")
        for bound, wrong, which in (
            (self.least, value < (self.least or 0), "at least"),
            (self.most, value > (self.most or 0), "at most"),
        ):
            if bound is not None and wrong:
                raise InputError(
                    f"{self.name} must be {what} of {which} {bound:g}, but {describe(value)} came"
                )
        return int(value) if whole else float(value)


def read_parameters(
    method: type, defaults: Mapping[str, Any], limits: Mapping[str, tuple[float | None, float | None]]
) -> tuple[Parameter, ...]:
    """The parameters that a person may set, from the method's signatures and docstrings.

    Args:
        method: the method's class.
        defaults: values that take the place of the signatures'.
        limits: bounds by name, in place of the usual ones.
    """
    found = []
    homes: tuple[tuple[Home, Callable[..., Any], Any], ...] = (
        ("attribute", getattr(method, "attribute"), getattr(method, "attribute")),  # noqa: B009  typed as a class
        ("init", getattr(method, "__init__"), method),  # noqa: B009
    )
    for home, function, documented in homes:
        texts = argument_docs(documented)
        for name, parameter in inspect.signature(function).parameters.items():
            if name in _SETTLED or parameter.default is parameter.empty:
                continue
            if parameter.kind is parameter.POSITIONAL_ONLY:
                continue
            made = _parameter(name, defaults.get(name, parameter.default), texts.get(name, ""), home)
            if made is not None:
                least, most = limits.get(name, (made.least, made.most))
                usual = parameter.default
                if made.default != usual:  # "(default)" is said of the method's own
                    made = dataclasses.replace(made, doc=made.doc.replace(" (default)", ""))
                found.append(dataclasses.replace(made, least=least, most=most, usual=usual))
    return tuple(found)


def bounds_of_own(method: type) -> dict[str, tuple[float | None, float | None]]:
    """Bounds for a method of the user's: none, for nothing is known of them, but for what costs work."""
    homes = (getattr(method, "attribute"), getattr(method, "__init__"))  # noqa: B009  typed as a class
    names = {name for home in homes for name in inspect.signature(home).parameters}
    return dict.fromkeys(names - set(_SPENDING), (None, None))


def _parameter(name: str, value: Any, doc: str, home: Home) -> Parameter | None:
    if isinstance(value, bool):
        return Parameter(name, "bool", value, doc, home=home)
    if isinstance(value, int):
        most = _SPENDING.get(name)
        return Parameter(name, "int", value, doc, 1, most, spends=most is not None, home=home)
    if isinstance(value, float) and math.isfinite(value):
        return Parameter(name, "float", value, doc, 0, None, home=home)
    choices = tuple(dict.fromkeys(re.findall(r'"([^"]+)"', doc)))
    if isinstance(value, str) and len(choices) > 1 and value in choices:
        return Parameter(name, "choice", value, doc, choices=choices, home=home)
    return None


def argument_docs(documented: Any) -> dict[str, str]:
    """What a Google-style docstring says about each argument, as plain text."""
    lines = (inspect.getdoc(documented) or "").splitlines()
    if "Args:" not in lines:
        return {}
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in lines[lines.index("Args:") + 1 :]:
        if line and not line.startswith(" "):
            break
        head = re.match(r" {4}([\w*]+(?:, [\w*]+)*): (.*)", line)
        if head:
            names = head[1].split(", ")
            for name in names:
                found[name] = [head[2]]
        else:
            for name in names:
                found[name].append(line.strip())
    return {name: plain(" ".join(texts)) for name, texts in found.items()}


def plain(text: str) -> str:
    """Text without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?(?:[^`]*\.)?([^`.]+)`", r"\1", text)
    return re.sub(r"\s+", " ", text.replace("``", "")).strip()
