"""A model whose inputs pass through layers of their own, so that layer methods explain inputs beside layers."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe


class InputIdentity(nn.Module):
    """Hands on an input of the model.

    Args:
        input_name: which one.
    """

    def __init__(self, input_name: str) -> None:
        super().__init__()
        self.input_name = input_name

    def forward(self, x: Any) -> Any:
        """The input as it is."""
        return x

    def extra_repr(self) -> str:
        """Which input it is."""
        return self.input_name


class ModelInputWrapper(nn.Module):
    """The same model with a layer for each input, such as ``wrapped.input_maps["image"]``.

    For models of which some inputs are numbers and others are tokens with an embedding: a layer method then explains
    both at once. The wrapped model is called as the model is.

    Args:
        module_to_wrap: the model, as ``module`` inside the wrapper.

    Raises:
        InputTypeError: it is no module.

    Example::

        wrapped = ModelInputWrapper(model)  # forward(self, image, question)
        layers = [wrapped.input_maps["image"], wrapped.module.embedding]
        both = LayerIntegratedGradients(wrapped, layers).attribute((image, question), target=1)
    """

    def __init__(self, module_to_wrap: nn.Module) -> None:
        super().__init__()
        if not isinstance(module_to_wrap, nn.Module):
            raise InputTypeError(
                f"module_to_wrap must be a torch.nn.Module, but {describe(module_to_wrap)} came"
            )
        self.module = module_to_wrap
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(module_to_wrap.forward).parameters.values()
        self.arg_name_list = [one.name for one in parameters if one.kind in kinds]
        named = [*self.arg_name_list, *(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)]
        self.input_maps = nn.ModuleDict({name: InputIdentity(name) for name in named})
        self.train(module_to_wrap.training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives for its inputs, each of which passes through its layer.

        Raises:
            InputError: there are more inputs by position than the model's forward names.
        """
        if len(args) > len(self.arg_name_list):
            raise InputError(
                f"{type(self.module).__name__}.forward names {len(self.arg_name_list)} input(s), "
                f"{', '.join(self.arg_name_list)}, but {len(args)} came"
            )
        given = [self.input_maps[name](value) for name, value in zip(self.arg_name_list, args, strict=False)]
        named = {
            name: self.input_maps[name](value) if name in self.input_maps else value
            for name, value in kwargs.items()
        }
        return self.module(*given, **named)
