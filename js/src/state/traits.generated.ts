/**
 * The traits that kernel and page share.
 *
 * Made from src/attriscope/widget/state/table.py; to change it, change that and run
 * `python -m attriscope.widget.state.typescript`.
 */
import type {
  Ablated,
  AblateTo,
  Baseline,
  BaselineInfo,
  CompareAs,
  Edited,
  ExampleInfo,
  ExamplePrediction,
  LayerRow,
  MethodInfo,
  Mode,
  Neuron,
  Output,
  PartName,
  RawChannels,
  RawChecks,
  RawClasses,
  RawCloseUp,
  RawComparison,
  RawCovered,
  RawHeat,
  RawLayerMaps,
  RawLayerRelevance,
  RawLut,
  RawNeuronInfo,
  RawPatches,
  RawPath,
  RawPicture,
  RawPinned,
  RawPredictions,
  RawRefusal,
  RawRows,
  RawSegments,
  RawTable,
  RawWhatIf,
  Region,
  Request,
  Settings,
  Sign,
  Status,
  TabName,
  Target,
} from "./messages.generated";

export interface Traits {
  _part: PartName;
  _live: boolean;
  _saved_picture: string;
  status: Status;
  progress: number;
  message: string;
  traceback: string;
  refused: RawRefusal;
  method: string;
  /** The explained output */
  target: Target;
  baseline: Baseline;
  /** The class that the target is compared with, or None */
  contrast: number | null;
  /** Whether another example is explained for what is predicted of it */
  explain_predicted: boolean;
  /** Which example of the inputs is on show */
  example: number;
  /** What is set otherwise than the methods' defaults */
  settings: Settings;
  /** What the model's numbers are */
  output: Output;
  /** How often Refine was asked for */
  effort: number;
  /** Path of the picked layer, or None */
  layer: string | null;
  /** How the picked layer is explained */
  layer_method: string;
  /** The picked neuron of the picked layer, or None */
  neuron: Neuron | null;
  /** How it is found out what drives the picked neuron */
  neuron_method: string;
  /** Neurons that are switched off, as [layer, neuron] */
  ablated: readonly Ablated[];
  /** What these are set to */
  ablate_to: AblateTo;
  /** Cells with other values, as [column, value] */
  edited: readonly Edited[];
  /** A picked region of the picture, or None */
  selection: Region | null;
  methods: readonly MethodInfo[];
  layer_methods: readonly MethodInfo[];
  neuron_methods: readonly MethodInfo[];
  baselines: readonly BaselineInfo[];
  baseline_pictures: Readonly<Record<string, RawPicture>>;
  examples: readonly ExampleInfo[];
  classes: RawClasses;
  example_predictions: readonly ExamplePrediction[];
  layers: readonly LayerRow[];
  luts: Readonly<Record<string, RawLut>>;
  picture: RawPicture;
  close_up: RawCloseUp;
  baseline_picture: RawPicture;
  table: RawTable;
  baseline_row: readonly (number | null)[];
  predictions: RawPredictions;
  heat: RawHeat;
  code: string;
  weights_changed: boolean;
  path: RawPath;
  layer_relevance: RawLayerRelevance;
  layer_maps: RawLayerMaps;
  channels: RawChannels;
  neuron_info: RawNeuronInfo;
  patches: RawPatches;
  what_if: RawWhatIf;
  covered: RawCovered;
  segments: RawSegments;
  comparison: RawComparison;
  checks: RawChecks;
  rows: RawRows;
  pinned: readonly RawPinned[];
  /** Which of the tabs is open */
  tab: TabName;
  /** Position on the path: 0 baseline, 1 input */
  alpha: number;
  /** The part of a large picture that is looked at: x0, y0, x1, y1 in its pixels */
  view_box: readonly number[] | null;
  /** The numbers of the pins that are looked at, at most two */
  beside: readonly number[];
  /** How these are looked at, with each other or the map on show */
  compare_as: CompareAs;
  /** 0 shows the picture alone, 1 the map alone */
  opacity: number;
  /** A colour map's name, or auto */
  colormap: string;
  /** Which attributions are shown */
  sign: Sign;
  /** How map and picture are drawn */
  mode: Mode;
  /** Percent of the largest values that the colour scale clips */
  outlier_percent: number;
  /** Pixels along the side of the blocks that a map is summed over; None asks the size of the picture */
  detail: number | null;
  /** Where the colour scale ends, held over several maps; None asks the map */
  scale_limit: number | null;
}

/** What traits are before anybody sets them. */
export const DEFAULTS: Omit<Traits, "luts"> = {
  _part: "explorer",
  _live: true,
  _saved_picture: "",
  status: "idle",
  progress: 0,
  message: "",
  traceback: "",
  refused: {},
  method: "IntegratedGradients",
  target: null,
  baseline: "zero",
  contrast: null,
  explain_predicted: false,
  example: 0,
  settings: {},
  output: "auto",
  effort: 0,
  layer: null,
  layer_method: "LayerGradCam",
  neuron: null,
  neuron_method: "NeuronGradient",
  ablated: [],
  ablate_to: "zero",
  edited: [],
  selection: null,
  methods: [],
  layer_methods: [],
  neuron_methods: [],
  baselines: [],
  baseline_pictures: {},
  examples: [],
  classes: {},
  example_predictions: [],
  layers: [],
  picture: {},
  close_up: {},
  baseline_picture: {},
  table: {},
  baseline_row: [],
  predictions: {},
  heat: {},
  code: "",
  weights_changed: false,
  path: {},
  layer_relevance: {},
  layer_maps: {},
  channels: {},
  neuron_info: {},
  patches: {},
  what_if: {},
  covered: {},
  segments: {},
  comparison: {},
  checks: {},
  rows: {},
  pinned: [],
  tab: "where",
  alpha: 1,
  view_box: null,
  beside: [],
  compare_as: "side",
  opacity: 0.6,
  colormap: "auto",
  sign: "all",
  mode: "blended",
  outlier_percent: 1,
  detail: null,
  scale_limit: null,
};

/** What is chosen, and answered by a computation: a change asks the kernel for a new answer. */
export const REQUESTED = [
  "method",
  "target",
  "baseline",
  "contrast",
  "example",
  "settings",
  "output",
  "layer",
  "layer_method",
  "neuron",
  "neuron_method",
  "ablated",
  "ablate_to",
  "edited",
] as const satisfies readonly (keyof Traits)[];

/** What only the kernel writes: a change of any of these is a sign of life. */
export const KERNEL_WRITTEN = [
  "_part",
  "_live",
  "_saved_picture",
  "status",
  "progress",
  "message",
  "traceback",
  "refused",
  "effort",
  "methods",
  "layer_methods",
  "neuron_methods",
  "baselines",
  "baseline_pictures",
  "examples",
  "classes",
  "example_predictions",
  "layers",
  "luts",
  "picture",
  "close_up",
  "baseline_picture",
  "table",
  "baseline_row",
  "predictions",
  "heat",
  "code",
  "weights_changed",
  "path",
  "layer_relevance",
  "layer_maps",
  "channels",
  "neuron_info",
  "patches",
  "what_if",
  "covered",
  "segments",
  "comparison",
  "checks",
  "rows",
  "pinned",
] as const satisfies readonly (keyof Traits)[];

/** For each result the traits that its request says it answers: where one of these is another now, it is stale. */
export const ANSWERS = {
  heat: [
    "target",
    "contrast",
    "example",
    "edited",
    "baseline",
    "method",
    "layer",
    "layer_method",
    "neuron",
    "neuron_method",
    "settings",
  ],
  path: ["target", "contrast", "example", "edited", "baseline", "output"],
  layer_relevance: ["target", "contrast", "example", "edited", "baseline"],
  layer_maps: ["target", "contrast", "example", "edited", "baseline", "layer_method", "settings"],
  channels: ["target", "contrast", "example", "edited", "layer"],
  neuron_info: ["target", "contrast", "example", "edited", "layer", "neuron"],
  patches: ["layer"],
  what_if: ["example", "edited", "ablated", "ablate_to", "output"],
  covered: ["target", "contrast", "example", "edited", "baseline", "output", "layer", "neuron"],
  comparison: ["target", "contrast", "example", "edited", "baseline"],
  checks: [
    "target",
    "contrast",
    "example",
    "edited",
    "baseline",
    "method",
    "layer",
    "layer_method",
    "neuron",
    "neuron_method",
    "settings",
  ],
  rows: ["target", "contrast", "baseline", "method", "settings"],
} as const satisfies Partial<Record<keyof Traits, readonly (keyof Request)[]>>;
