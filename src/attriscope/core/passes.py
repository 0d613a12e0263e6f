"""What a pass through a model runs in, so that it is one function and is left as it was found."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from attriscope.core.checkpoints import without_checkpoints
from attriscope.core.hooks import module_of

# Asked of every module before every batch.
_TRAINING = operator.attrgetter("training")


@contextlib.contextmanager
def one_pass(model: Any, gradient: bool) -> Iterator[None]:
    """What a pass runs in: the model is one function, whether gradients are wanted or not, and is left as it was.

    Without gradients ``nn.TransformerEncoder`` leaves padded positions out and gives zeros there: another function than
    the one that is differentiated, and one whose layers see nested tensors.
    """
    model = module_of(model)
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradient))
        stack.enter_context(without_checkpoints)
        if _trains(modules):
            stack.enter_context(kept_buffers(model))
        if [one for one in modules if isinstance(one, nn.TransformerEncoder) and not one.training]:
            stack.enter_context(_NoFastPath())
        yield


def _trains(modules: Iterable[nn.Module]) -> bool:
    try:
        return any(map(_TRAINING, modules))
    except AttributeError:  # frozen by torch.jit.freeze: there is no such thing any more
        return False


@contextlib.contextmanager
def grad_mode(gradient: bool) -> Iterator[None]:
    """Gradients on or off, whatever the caller's mode, ``torch.inference_mode`` included."""
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradient))
        yield


class _NoFastPath(TorchFunctionMode):
    """While a mode is active in a thread, ``nn.TransformerEncoder`` in that thread takes no fast path."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def kept_buffers(model: Any) -> Iterator[None]:
    """Buffers that a forward pass changes in training mode (running statistics) are put back afterwards."""
    model = module_of(model)
    if not (isinstance(model, nn.Module) and _trains(model.modules())):
        yield
        return
    saved = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, before in saved:
                if buffer.is_inference():  # it cannot be written to outside of torch.inference_mode
                    buffer = buffer if torch.equal(buffer, before) else before
                else:
                    buffer.copy_(before)
                module._buffers[name] = buffer  # a model may also put a new tensor in its place
