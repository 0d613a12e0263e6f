"""The table of all traits that kernel and page share, a row for each.

A row is the trait's name, its type, its kind and default, who writes it, whether it is part of a request, and for a
result which requested traits it answers. Everything else that is said of traits is made from these rows: the page's
types, defaults and lists (:mod:`attriscope.widget.state.typescript`), what a change asks the kernel for, what the page
may write. Values that cannot be are refused in :mod:`attriscope.widget.validation`.

To add a trait: a row here; a check there, if any value can be wrong; then what the kernel and the page do with it.
The parts that can stand alone (:mod:`attriscope.widget.views`) repeat the rows that they have with :func:`also`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import traitlets

from attriscope.widget.messages import wire
from attriscope.widget.messages.judgements import RawChecks, RawComparison
from attriscope.widget.messages.layer_types import (
    LayerRow,
    RawChannels,
    RawLayerMaps,
    RawLayerRelevance,
    RawNeuronInfo,
    RawPatches,
    RawWhatIf,
)
from attriscope.widget.messages.region_types import RawCovered, RawSegments, Region
from attriscope.widget.messages.types import (
    Ablated,
    AblateTo,
    BaselineInfo,
    CompareAs,
    Edited,
    ExampleInfo,
    ExamplePrediction,
    MethodInfo,
    Mode,
    Neuron,
    Output,
    PartName,
    RawClasses,
    RawCloseUp,
    RawHeat,
    RawLut,
    RawPath,
    RawPicture,
    RawPinned,
    RawPredictions,
    RawRefusal,
    RawRows,
    RawTable,
    Settings,
    Sign,
    Status,
    TabName,
)
from attriscope.widget.state.traits import (
    BlockSide,
    Checked,
    Limit,
    Number,
    OneOf,
    baseline_names,
    filled_by,
    kernel_trait,
    shared_trait,
)

# What results answer: which output of which example, with which baselines, ...
OUTPUT = ("target", "contrast", "example", "edited")
PATH = (*OUTPUT, "baseline")
_MAP = (*PATH, "method", "layer", "layer_method", "neuron", "neuron_method", "settings")


class ExplorerTraits(traitlets.HasTraits):
    """All rows: the Explorer has them all."""

    # Which part of the page it is, and whether there is a kernel.
    _part: PartName = kernel_trait(traitlets.Unicode("explorer"))
    _live: bool = kernel_trait(traitlets.Bool(True))
    # By what the page knows the picture that is saved with the notebook, to hide it where the widget is drawn.
    _saved_picture: str = kernel_trait(traitlets.Unicode(""))

    # How the computation goes on, and what cannot be asked for.
    status: Status = kernel_trait(traitlets.Enum(get_args(Status), "idle"))
    progress: float = kernel_trait(traitlets.Float(0.0))
    message: str = kernel_trait(traitlets.Unicode(""))
    # Of an error in code of the user's own: where that was.
    traceback: str = kernel_trait(traitlets.Unicode(""))
    refused: RawRefusal = kernel_trait()

    # What is explained, and how.
    method: str = shared_trait(traitlets.Unicode("IntegratedGradients"), requested=True)
    # The page has only the name of a function.
    target: Any = shared_trait(
        traitlets.Any(None, help="the explained output"),
        requested="Target",
        page_type="Target",
        to_json=lambda value, widget: getattr(value, "name", value),
    )
    # The page has only names: "custom" stands for a tensor.
    baseline: Any = shared_trait(
        Checked("zero"),
        requested="Baseline | None",
        page_type="Baseline",
        to_json=lambda value, widget: baseline_names(value),
    )
    contrast: int | None = shared_trait(
        traitlets.Any(None, help="the class that the target is compared with, or None"),
        requested=True,
        rank=1,
    )
    explain_predicted: bool = shared_trait(
        traitlets.Bool(False, help="whether another example is explained for what is predicted of it")
    )
    example: int = shared_trait(Checked(0, help="which example of the inputs is on show"), requested=True)
    settings: Settings = shared_trait(
        filled_by(dict, Checked(help="what is set otherwise than the methods' defaults")),
        requested="MethodSettings",
    )
    output: Output = shared_trait(
        OneOf(get_args(Output), "auto", help="what the model's numbers are"), requested=True
    )
    effort: int = kernel_trait(traitlets.Int(0, help="how often Refine was asked for"), requested=True)

    # Where inside the model it is looked for, and what is switched off there.
    layer: str | None = shared_trait(
        traitlets.Unicode(None, allow_none=True, help="path of the picked layer, or None"), requested=True
    )
    layer_method: str = shared_trait(
        traitlets.Unicode("LayerGradCam", help="how the picked layer is explained"), requested=True
    )
    neuron: Neuron | None = shared_trait(
        Checked(None, help="the picked neuron of the picked layer, or None"), requested=True, rank=1
    )
    neuron_method: str = shared_trait(
        traitlets.Unicode("NeuronGradient", help="how it is found out what drives the picked neuron"),
        requested=True,
    )
    ablated: Sequence[Ablated] = shared_trait(
        filled_by(list, Checked(help="neurons that are switched off, as [layer, neuron]")), requested=True
    )
    ablate_to: AblateTo = shared_trait(
        OneOf(get_args(AblateTo), "zero", help="what these are set to"), requested=True
    )

    # Cells of the row on show that were given other values: a row of a table, which no one else sees changed.
    edited: Sequence[Edited] = shared_trait(
        filled_by(list, Checked(help="cells with other values, as [column, value]")), requested=True
    )

    # Which part of the picture is looked at, whatever is explained.
    selection: Region | None = shared_trait(Checked(None, help="a picked region of the picture, or None"))

    # What there is to choose from.
    methods: Sequence[MethodInfo] = kernel_trait(traitlets.List())
    layer_methods: Sequence[MethodInfo] = kernel_trait(traitlets.List())
    neuron_methods: Sequence[MethodInfo] = kernel_trait(traitlets.List())
    baselines: Sequence[BaselineInfo] = kernel_trait(traitlets.List())
    baseline_pictures: Mapping[str, RawPicture] = kernel_trait(cleared_with="example")
    examples: Sequence[ExampleInfo] = kernel_trait(traitlets.List())
    classes: RawClasses = kernel_trait()
    example_predictions: Sequence[ExamplePrediction] = kernel_trait(traitlets.List(), cleared_with="model")
    layers: Sequence[LayerRow] = kernel_trait(traitlets.List())
    luts: Mapping[str, RawLut] = kernel_trait(filled_by(wire.color_tables, traitlets.Dict()))

    # Results.
    picture: RawPicture = kernel_trait()
    close_up: RawCloseUp = kernel_trait(cleared_with="example")
    baseline_picture: RawPicture = kernel_trait(cleared_with="example")
    table: RawTable = kernel_trait()
    baseline_row: Sequence[float | None] = kernel_trait(traitlets.List(), cleared_with="example")
    predictions: RawPredictions = kernel_trait(cleared_with="example")
    heat: RawHeat = kernel_trait(answers=_MAP, cleared_with="example")
    code: str = kernel_trait(traitlets.Unicode(""), cleared_with="example")
    weights_changed: bool = kernel_trait(traitlets.Bool(False), cleared_with="example")
    path: RawPath = kernel_trait(answers=(*PATH, "output"), cleared_with="example")
    layer_relevance: RawLayerRelevance = kernel_trait(answers=PATH, cleared_with="model")
    layer_maps: RawLayerMaps = kernel_trait(answers=(*PATH, "layer_method", "settings"), cleared_with="model")
    channels: RawChannels = kernel_trait(answers=(*OUTPUT, "layer"), cleared_with="model")
    neuron_info: RawNeuronInfo = kernel_trait(answers=(*OUTPUT, "layer", "neuron"), cleared_with="model")
    patches: RawPatches = kernel_trait(answers=("layer",), cleared_with="model")
    what_if: RawWhatIf = kernel_trait(
        answers=("example", "edited", "ablated", "ablate_to", "output"), cleared_with="model"
    )
    covered: RawCovered = kernel_trait(answers=(*PATH, "output", "layer", "neuron"), cleared_with="example")
    segments: RawSegments = kernel_trait(cleared_with="example")
    comparison: RawComparison = kernel_trait(answers=PATH)
    checks: RawChecks = kernel_trait(answers=_MAP)
    rows: RawRows = kernel_trait(answers=("target", "contrast", "baseline", "method", "settings"))
    pinned: Sequence[RawPinned] = kernel_trait(traitlets.List())

    # How it is drawn: all of it restyles on the page.
    tab: TabName = shared_trait(OneOf(get_args(TabName), "where", help="which of the tabs is open"))
    alpha: float = shared_trait(Number(1.0, min=0, max=1, help="position on the path: 0 baseline, 1 input"))
    view_box: Sequence[int] | None = shared_trait(
        Checked(None, help="the part of a large picture that is looked at: x0, y0, x1, y1 in its pixels")
    )
    beside: Sequence[int] = shared_trait(
        filled_by(list, Checked(help="the numbers of the pins that are looked at, at most two")),
        names="pinned",
    )
    compare_as: CompareAs = shared_trait(
        OneOf(get_args(CompareAs), "side", help="how these are looked at, with each other or the map on show")
    )
    opacity: float = shared_trait(
        Number(0.6, min=0, max=1, help="0 shows the picture alone, 1 the map alone")
    )
    colormap: str = shared_trait(OneOf(wire.COLORMAPS, "auto", help="a colour map's name, or auto"))
    sign: Sign = shared_trait(OneOf(get_args(Sign), "all", help="which attributions are shown"))
    mode: Mode = shared_trait(OneOf(get_args(Mode), "blended", help="how map and picture are drawn"))
    outlier_percent: float = shared_trait(
        Number(1.0, min=0, max=99, help="percent of the largest values that the colour scale clips")
    )
    detail: int | None = shared_trait(
        BlockSide(
            None,
            allow_none=True,
            help="pixels along the side of the blocks that a map is summed over; None asks the size of the picture",
        )
    )
    scale_limit: float | None = shared_trait(
        Limit(
            None,
            allow_none=True,
            help="where the colour scale ends, held over several maps; None asks the map",
        )
    )


ROWS: Mapping[str, Any] = {name: getattr(ExplorerTraits, name) for name in ExplorerTraits.__annotations__}
"""By name, in the order of the table."""

REQUESTED = tuple(name for name, row in ROWS.items() if row.metadata["requested"] and row.metadata["page"])
"""What both sides choose and each result says it answers: a change asks the kernel for a new one."""

CHOSEN = tuple(name for name, row in ROWS.items() if row.metadata["page"] and "names" not in row.metadata)
"""What a person sets and another Explorer can be given: all but what names something that only this one holds."""


def cleared(with_example: bool) -> dict[str, Any]:
    """The results that are of no use any more when another example is shown, or only the model was run anew: empty."""
    which = ("example", "model") if with_example else ("model",)
    return {name: row.default() for name, row in ROWS.items() if row.metadata["cleared_with"] in which}
