"""What travels between kernel and page: the contract of both halves.

``js/src/state/messages.generated.ts`` is made from these types by ``python -m attriscope.widget.state.typescript``. A
message without keys means that there is nothing to tell, so those that may be empty have no key that must be there.

``Annotated[..., "text"]`` holds the TypeScript of a type, where that says more than Python can about what JSON makes of
it. Who makes the messages: :mod:`~attriscope.widget.messages.wire` (pictures, maps, predictions),
:mod:`~attriscope.widget.messages.layers` (what is inside the model), and the modules that know what they tell. Types of
regions are in :mod:`~attriscope.widget.messages.region_types`, those of layers in
:mod:`~attriscope.widget.messages.layer_types`, of explanations that were judged in
:mod:`~attriscope.widget.messages.judgements`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

PartName: TypeAlias = Literal["explorer", "overlay", "predictions", "path", "layers", "channels"]
# What the Explorer's tabs answer: where in the input, what inside the model, whether to trust it.
TabName: TypeAlias = Literal["where", "inside", "trust"]
Status: TypeAlias = Literal["idle", "running", "cancelled", "error"]
Sign: TypeAlias = Literal["all", "positive", "negative", "absolute"]
Mode: TypeAlias = Literal["blended", "heat", "masked", "side"]
# How a kept map is looked at with another: beside it, what is left of one minus the other, or one after the other.
CompareAs: TypeAlias = Literal["side", "difference", "flicker"]
LutKind: TypeAlias = Literal["diverging", "sequential"]
AblateTo: TypeAlias = Literal["zero", "baseline"]
# What a model's numbers are, and what a person says of it; "auto" leaves that to be found.
OutputKind: TypeAlias = Literal["logits", "probabilities", "sigmoid", "values", "segmentation", "boxes"]
Output: TypeAlias = Literal["auto", "logits", "probabilities", "sigmoid", "values", "segmentation"]
# What the numbers of a map are: parts of the explained number, its slope, an activation, something else that ranks.
Quantity: TypeAlias = Literal["contribution", "gradient", "importance", "attribution", "activation"]
# What is shown of them: parts of 100 percent, or numbers as they are.
Amount: TypeAlias = Literal["probability", "score"]

# What the page may ask for besides setting a trait.
Ask: TypeAlias = Literal[
    "cancel", "recompute", "refine", "compare", "check", "pin", "unpin", "explain_pixel", "explain_rows"
]
# One baseline by name, or several whose maps are averaged.
Baseline: TypeAlias = str | Sequence[str]
# An explained output: one index, an index per output dimension, the name of a function of the output, or null for a
# model with one output.
Target: TypeAlias = int | Sequence[int] | str | None
# What a method's parameter may be set to.
SettingValue: TypeAlias = int | float | str | bool | None
# The parameters of one method that differ from its defaults.
MethodSettings: TypeAlias = Mapping[str, SettingValue]
# For each method the parameters that differ from its defaults.
Settings: TypeAlias = Mapping[str, MethodSettings]
# A place inside a layer: a channel, or a channel and where in it; for tokens a unit, or a unit and a position.
Neuron: TypeAlias = int | Sequence[int]
# A neuron that is switched off: its layer's path and its place there.
Ablated: TypeAlias = Annotated[Sequence[Any], "readonly [layer: string, neuron: Neuron]"]
# A cell of the row on show that was given another value: its column, and the value.
Edited: TypeAlias = Annotated[Sequence[Any], "readonly [column: number, value: number]"]
# What a layer gives: maps of channels, tokens of units, positions of units, single numbers, or something else.
LayoutKind: TypeAlias = Literal["map", "attention", "tokens", "sequence", "vector", "other"]
# Rows and columns.
Size: TypeAlias = Annotated[Sequence[int], "readonly [number, number]"]
# A binary value: ipywidgets gives a DataView, other hosts may give what lies under it.
Binary: TypeAlias = Annotated[bytes, "DataView | ArrayBuffer | ArrayBufferView"]
# Values of the requested traits that a result was computed for, by name; which of them, the table says.
Request: TypeAlias = Mapping[str, Any]


class Message(TypedDict):
    """What the page may ask for besides setting a trait.

    Attributes:
        row, column: which pixel of the picture is to be explained.
        pin: the number of the one that is let go; all of them without it.
    """

    type: Ask
    row: NotRequired[int]
    column: NotRequired[int]
    pin: NotRequired[int]


# What the page can have as a file.
ExportKind: TypeAlias = Literal["figure", "slide", "html"]


class ExportMessage(TypedDict):
    """That the page wants a file.

    Attributes:
        request: tells the answer from those to others, on other pages, too.
    """

    type: Literal["export"]
    what: ExportKind
    request: str


class Exported(TypedDict):
    """The answer, a message of its own: the file is its buffer, or there is a reason why there is none."""

    type: Literal["exported"]
    request: str
    name: NotRequired[str]
    reason: NotRequired[str]


class ParameterInfo(TypedDict):
    """A parameter of a method, made from its signature in Python.

    Attributes:
        value: the default.
    """

    name: str
    label: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    value: SettingValue
    min: NotRequired[float | None]
    max: NotRequired[float | None]
    choices: NotRequired[Sequence[str]]
    doc: NotRequired[str]


class MethodInfo(TypedDict):
    """A method on offer.

    Attributes:
        compares: whether its answer depends on the baseline.
    """

    name: str
    label: str
    compares: NotRequired[bool]
    doc: NotRequired[str]
    parameters: NotRequired[Sequence[ParameterInfo]]


class BaselineInfo(TypedDict):
    """A baseline on offer."""

    name: str
    label: str


class RawRefusal(TypedDict, total=False):
    """The kernel's latest no to what the page chose; without ``reason`` there is none."""

    trait: str
    method: str | None
    name: str | None
    value: object
    reason: str
    count: int


class RawLut(TypedDict):
    """A colour map.

    Attributes:
        data: 256 RGB colours of 8 bits.
    """

    label: str
    kind: LutKind
    data: Binary


class RawPicture(TypedDict, total=False):
    """A picture of RGB pixels of 8 bits.

    Attributes:
        full: of the picture itself, where it was averaged down to ``shape``; places in it are counted in these.
    """

    shape: Size
    data: Binary
    full: Size


class RawTable(TypedDict, total=False):
    """The row of a table on show; {} where the inputs are no table.

    Attributes:
        names: of the columns.
        values: of the row, as the model gets them; null for what is no number.
        low, high: of each column, the range of all rows; null where it has no number.
        rows: how many there are.
    """

    names: Sequence[str]
    values: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]
    rows: int


class RawRows(TypedDict, total=False):
    """The rows of a table explained one by one, as far as they have been; {} before that is asked for.

    Attributes:
        columns: the indices of those that are sent, the largest mean size of an attribution first.
        sizes: of each of them that mean.
        count: how many rows are explained: the first ones.
        failed: how many of them cannot be: their attributions are NaN.
        attributions: float32, little-endian, of each row those of the columns.
        values: the same of the rows themselves.
        others: how many columns are not sent.
        unit: what the numbers are, in words.
    """

    request: Request
    title: str
    unit: str
    final: bool
    outdated: bool
    columns: Sequence[int]
    sizes: Sequence[float]
    others: int
    count: int
    failed: int
    attributions: Binary
    values: Binary


class RawCloseUp(TypedDict, total=False):
    """A part of the picture, finer than the whole travels; {} when there is none.

    Attributes:
        box: which part, x0, y0, x1, y1 in pixels of the picture.
    """

    shape: Size
    data: Binary
    box: Sequence[int]


class ExampleInfo(TypedDict):
    """One of the examples to choose from."""

    label: str
    picture: RawPicture


class ExamplePrediction(TypedDict, total=False):
    """What the model says of an example; {} where it says nothing of classes.

    Attributes:
        label: of the class that it takes the example for; of a model with one output the likelier of two.
        amount: what it says of that class.
        truth: the class that the example is of, where that is known.
        truth_index: its index, where the model gives a number for it.
        wrong: whether these are different.
        of_truth: what the model says of the true class.
        pixels: of a segmentation: the class has the most pixels but for the background, and this share of them.
    """

    label: str
    amount: float | None
    kind: Amount
    truth: str
    truth_index: int
    wrong: bool
    of_truth: float | None
    pixels: bool


class RawHeat(TypedDict, total=False):
    """The map on show.

    Attributes:
        data: float32, little-endian.
        pixels: how many pixels of the input each number stands for, where the map was averaged down.
        summable: numbers of places beside each other may be added up.
        unit: what the numbers are, in words.
        tells_worth: whether the sum over a region is what the map says that is worth.
        compares: whether the method explains the change of the output from a baseline, and not the output itself.
        output: the explained number at the input, where it is known.
    """

    shape: Size
    data: Binary
    title: str
    request: Request | None
    final: bool
    sum: float | None
    gap: float | None
    preview: bool
    error: float | None
    relative_error: float | None
    evaluations: int | None
    refinable: bool
    changed: bool
    pixels: float
    summable: bool
    quantity: Quantity
    unit: str
    tells_worth: bool
    compares: bool
    output: float | None


class RawClasses(TypedDict, total=False):
    """The outputs of the model; {} where it gives no row of them.

    Attributes:
        names: in their order, as far as there are any; an empty one has none.
    """

    count: int
    names: Sequence[str]


class Prediction(TypedDict):
    """What the model says of one class."""

    index: int
    label: str
    score: float | None
    probability: float | None


class RawPredictions(TypedDict, total=False):
    """The best classes.

    Attributes:
        output: what the model's numbers are.
        doc: how what is shown comes about from them.
        boxes: of a detector, for each item the corners x0, y0, x1, y1 of its box, in pixels of the picture.
        shape: of numbers with places, how many there are: channels, rows, columns.
    """

    kind: Amount
    output: OutputKind
    doc: str
    items: Sequence[Prediction]
    boxes: Sequence[Sequence[float]]
    shape: Sequence[int]


class ClassInfo(TypedDict):
    """A class of the model."""

    index: int
    label: str


class RawPath(TypedDict, total=False):
    """What happens on the path from the baseline to the input.

    Attributes:
        maps: int8, one map after another; value = scale * sign(code) * (|code| / 127) ** 2
    """

    alphas: Sequence[float]
    scores: Sequence[float]
    totals: Sequence[float]
    classes: Sequence[ClassInfo]
    probabilities: Sequence[Sequence[float | None]]
    shape: Size
    maps: Binary
    scale: float
    title: str
    target_label: str
    pixels: float
    unit: str
    request: Request | None


class RawPinned(TypedDict):
    """A view that was kept, to look at beside others.

    Attributes:
        id: its number, which no other that is kept has.
    """

    id: int
    title: str
    heat: RawHeat
    picture: RawPicture
