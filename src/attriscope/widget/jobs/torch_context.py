"""What torch keeps per thread, carried from the caller's thread to the one that works for it.

:class:`~attriscope.widget.jobs.runner.JobRunner` takes it from whoever asks, and each job runs in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

# The device types for which a caller may have autocast on.
_AUTOCAST = ("cpu", "cuda", "mps", "xpu", "hpu")


@dataclasses.dataclass(frozen=True)
class TorchContext:
    """Autocast, default device, and CUDA's current device and stream, as :meth:`of_caller` found them.

    Gradients are on in a new thread whatever the caller had set, as explaining needs them. The default dtype belongs to
    the whole process, so there is nothing to carry over.
    """

    autocast: tuple[tuple[str, torch.dtype], ...] = ()
    cache: bool = True
    device: torch.device | None = None
    stream: Any = None

    @classmethod
    def of_caller(cls) -> TorchContext:
        """Those of the present thread."""
        device = torch.get_default_device()
        return cls(
            tuple((kind, torch.get_autocast_dtype(kind)) for kind in _AUTOCAST if _casts(kind)),
            torch.is_autocast_cache_enabled(),
            None if device == torch.device("cpu") else device,
            torch.cuda.current_stream() if torch.cuda.is_initialized() else None,
        )

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """The present thread has them for as long as this lasts."""
        with contextlib.ExitStack() as stack:
            if self.stream is not None:
                stack.enter_context(torch.cuda.stream(self.stream))  # makes the stream's device current, too
            if self.device is not None:
                stack.enter_context(self.device)
            for kind, dtype in self.autocast:
                stack.enter_context(torch.autocast(kind, dtype=dtype, cache_enabled=self.cache))
            yield


def _casts(kind: str) -> bool:
    try:
        return torch.is_autocast_enabled(kind)
    except RuntimeError:  # this build of torch does not know the device
        return False
