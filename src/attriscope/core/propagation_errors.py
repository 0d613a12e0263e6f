"""What to say where a backward pass by rules cannot be."""

from __future__ import annotations

from typing import Any

from attriscope.core.tape import Record

_HAS_NO_GRADIENT = (
    "torch has no gradient for what runs there, as for a quantised layer: use a method that needs none"
)
FUSED = {
    "NotImplemented": _HAS_NO_GRADIENT,
    "WarnNotImplemented": _HAS_NO_GRADIENT,
    "CheckpointFunction": "reentrant checkpointing computes again without the rules: use "
    "checkpoint(..., use_reentrant=False)",
    "CompiledFunction": "a compiled function hides its operations: explain the function that was compiled",
    "DifferentiableGraph": "a scripted model hides its operations: explain the module that was scripted",
    "CudnnRnn": "cuDNN's fused RNN hides its operations: run the model on the CPU, or in "
    "torch.backends.cudnn.flags(enabled=False)",
}
"""Operations that hide others, and what to do about them."""


def refusal(key: Any, method: str) -> str:
    """What to say of an operation without a rule."""
    name = key.__name__ if isinstance(key, type) else str(key)
    begin = f"{method} has no rule for the operation {name}, which lies between the explained output and the input"
    if name in FUSED:
        return f"{begin}; {FUSED[name]}"
    said = name if isinstance(key, type) else repr(name)
    return (
        f"{begin}. Register one: {method.replace(' ', '')}.rules[{said}] = rule, where rule is a function or one of "
        "those in attriscope.attr.rules: linear (autograd's gradient is right), rescale (elementwise), decomposed(...) "
        "(written out in known operations). A perturbation method, such as FeatureAblation, needs no rules"
    )


def another_way(method: str, one: Record, other: Record | None) -> str:
    """What to say where two passes differ: in these records, or with ``None`` where the other has ended."""
    found = "ended" if other is None else f"went through {other.function} {shapes(other)}"
    return (
        f"{method}: the model went another way for the baseline than for the input: where the one went through "
        f"{one.function} {shapes(one)}, the other {found}. Choose a baseline for which the model does the same "
        "operations"
    )


def shapes(record: Record) -> list[Any]:
    """Of what an operation gave."""
    return [o.shape for o in record.outputs if o is not None]
