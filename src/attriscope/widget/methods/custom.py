"""Methods that the user brings along, offered beside this library's.

They become :class:`~attriscope.widget.methods.spec.MethodSpec` objects like those of
:mod:`~attriscope.widget.methods.catalogue`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from attriscope import attr
from attriscope.core.errors import InputTypeError
from attriscope.core.inputs import describe
from attriscope.widget.methods.arguments import CodeValue, MethodInputs, as_code
from attriscope.widget.methods.catalogue import INPUT_METHODS, INSIDE_METHODS
from attriscope.widget.methods.controls import CONTROLS
from attriscope.widget.methods.parameters import bounds_of_own
from attriscope.widget.methods.spec import MethodSpec
from attriscope.widget.state.selection import ChoiceError

_FORMS = (
    "methods must be a list of classes such as methods=[MyMethod], or a dict by name of classes and of functions that "
    "make a method of the model"
)


def custom_methods(given: Any, model: Any) -> dict[str, MethodSpec]:
    """What the user offers.

    Args:
        given: classes with ``attribute``, as a list or a dict by name; in a dict also functions that make a method of
            the model. ``None`` for nothing.
        model: what they are made for.

    Raises:
        InputTypeError: something in it is no method.
        ChoiceError: a name that is taken already.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        named = list(given.items())
    elif isinstance(given, list | tuple):
        named = [(_name(entry), entry) for entry in given]
    else:
        raise InputTypeError(f"{_FORMS}, but {_quoted(given)} came")
    found: dict[str, MethodSpec] = {}
    for name, entry in named:
        if not isinstance(name, str) or not name.strip():
            raise InputTypeError(f"the names of methods must be strings, but {describe(name)} came")
        if name in {**INPUT_METHODS, **INSIDE_METHODS, **CONTROLS, **found}:
            raise ChoiceError(
                f"there is a method {name!r} already; give yours another name, as in "
                f"methods={{{'My' + name!r}: {name}}}"
            )
        found[name] = _spec(name, entry, model, title=None if isinstance(given, Mapping) else _title(entry))
    return found


def _name(entry: Any) -> str:
    if not isinstance(entry, type):
        hint = "; a function needs a name, as in methods={'Mine': function}" if callable(entry) else ""
        raise InputTypeError(f"{_FORMS}, but a list with {_quoted(entry)} came{hint}")
    return entry.__name__


def _title(entry: Any) -> str:
    return str(entry.get_name()) if hasattr(entry, "get_name") else str(entry.__name__)


def _spec(name: str, entry: Any, model: Any, title: str | None) -> MethodSpec:
    if isinstance(entry, type):
        kind, make, before = entry, None, _import_lines(entry)
        _require_one_argument(name, entry)
    elif callable(entry) and not hasattr(entry, "attribute"):
        kind, make, before = type(_made(name, entry, model)), _maker(name, entry), ()
    else:
        hint = ", which is made already: give its class" if hasattr(entry, "attribute") else ""
        raise InputTypeError(f"{_FORMS}, but methods[{name!r}] is {_quoted(entry)}{hint}")
    accepted = _signature(name, kind)
    return MethodSpec(
        kind,
        "each" if "baselines" in accepted else "none",
        limits=bounds_of_own(kind),
        make=make,
        label=title or name,
        key=name,
        before=before,
    )


def _require_one_argument(name: str, entry: type) -> None:
    """The Explorer can make it of nothing but the model."""
    try:
        _, *more = inspect.signature(entry).parameters.values()
    except ValueError:
        more = []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [p.name for p in more if p.default is p.empty and p.kind not in variadic]
    if missing:
        raise InputTypeError(
            f"{entry.__name__} is made with {', '.join(missing)} besides the model; give a function that does so, as "
            f"in methods={{{name!r}: lambda model: {entry.__name__}(model, ...)}}"
        )


def _signature(name: str, kind: type) -> Mapping[str, inspect.Parameter]:
    """The parameters of its ``attribute``."""
    attribute = getattr(kind, "attribute", None)
    if not callable(attribute):
        raise InputTypeError(
            f"methods[{name!r}] must have a method attribute(self, inputs, target=None, ...), but {kind.__name__} has "
            "none"
        )
    parameters = inspect.signature(attribute).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if "target" not in parameters and not takes_any:
        raise InputTypeError(
            f"the attribute of methods[{name!r}] must take target, which says what is explained: write "
            f"attribute(self, inputs, target=None), but it takes {', '.join(list(parameters)[1:]) or 'nothing'}"
        )
    return parameters


def _made(name: str, function: Callable[[Any], Any], model: Any) -> Any:
    """What a user's function makes of the model."""
    try:
        made = function(model)
    except Exception as error:
        raise InputTypeError(
            f"methods[{name!r}] must make a method of the model, but raised {type(error).__name__}: {error}"
        ) from error
    if not hasattr(made, "attribute"):
        raise InputTypeError(f"methods[{name!r}] must make a method of the model, but made {_quoted(made)}")
    return made


def _maker(name: str, function: Callable[[Any], Any]) -> Callable[[Any, MethodInputs], tuple[Any, CodeValue]]:
    code = CodeValue(None, f"methods[{as_code(name)}](model)", ("# methods are those that the Explorer got",))
    return lambda model, inputs: (_made(name, function, model), code)


def _import_lines(entry: type) -> tuple[str, ...]:
    """How code comes by a class."""
    name, module = entry.__name__, entry.__module__
    if getattr(attr, name, None) is entry:
        return ()  # is imported with the others
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is entry:
        return (f"from {module} import {name}",)
    return (f"# {name} is the class of your own",)


def _quoted(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else describe(value)
