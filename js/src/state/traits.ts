/** The traits of the widget as they stand on the wire; the kernel's half is `attriscope.widget`. */
import type { Binary } from "../lib/binary";

export type Part = "explorer" | "overlay" | "predictions" | "path" | "layers" | "channels";
export type Status = "idle" | "running" | "cancelled" | "error";
export type Sign = "all" | "positive" | "negative" | "absolute";
export type Mode = "blended" | "heat" | "masked" | "side";
export type LutKind = "diverging" | "sequential";
/** One baseline by name, or several whose maps are averaged. */
export type Baseline = string | readonly string[];
/** What a method's parameter may be set to. */
export type SettingValue = number | string | boolean | null;
/** For each method the parameters that differ from its defaults. */
export type Settings = Readonly<Record<string, Readonly<Record<string, SettingValue>>>>;
/** An explained output: one index, an index per output dimension, or null for a model with one output. */
export type Target = number | readonly number[] | null;

/** A parameter of a method, made from its signature in Python. */
export interface ParameterInfo {
  name: string;
  label: string;
  kind: "int" | "float" | "bool" | "choice" | "text";
  /** The default. */
  value: SettingValue;
  min?: number | null;
  max?: number | null;
  choices?: readonly string[];
  doc?: string;
}

export interface MethodInfo {
  name: string;
  label: string;
  doc?: string;
  parameters?: readonly ParameterInfo[];
}

/** The kernel's latest no to a wish of the page; without `reason` there is none. */
export interface RawRefusal {
  trait?: string;
  method?: string | null;
  name?: string | null;
  value?: unknown;
  reason?: string;
  count?: number;
}

export interface ExampleInfo {
  label: string;
  picture: RawPicture;
}

export interface BaselineInfo {
  name: string;
  label: string;
}

export interface RawLut {
  label: string;
  kind: LutKind;
  data: Binary;
}

export interface RawPicture {
  shape?: readonly [number, number];
  data?: Binary;
}

/** The choices a result was computed for. */
export interface Request {
  method?: string;
  target?: Target;
  baseline?: Baseline;
  layer?: string | null;
  contrast?: number | null;
  example?: number;
  /** Of the method on show only. */
  settings?: Settings[string];
  effort?: number;
  layer_method?: string;
  neuron?: Neuron | null;
  neuron_method?: string;
  ablated?: readonly Ablated[];
  ablate_to?: AblateTo;
}

/** A place inside a layer: a channel, or a channel and where in it; for tokens a unit, or a unit and a position. */
export type Neuron = number | readonly number[];

/** A neuron that is switched off: its layer's path and its place there. */
export type Ablated = readonly [layer: string, neuron: Neuron];
export type AblateTo = "zero" | "baseline";

/** What a layer gives: maps of channels, tokens of units, positions of units, single numbers, or something else. */
export type LayerForm = "map" | "attention" | "tokens" | "sequence" | "vector" | "other";

/** How much of the prediction passes at each layer, aligned with `layers`; {} before it is known. */
export interface RawFlow {
  request?: Request;
  label?: string;
  doc?: string;
  values?: readonly (number | null)[];
}

/** The maps of all layers that have one, for scrubbing; {} before they are known. */
export interface RawDepth {
  request?: Request;
  /** The title of a layer's map is the first, the layer's path and the second. */
  title?: readonly [string, string];
  final?: boolean;
  names?: readonly string[];
  shapes?: readonly (readonly [number, number])[];
  /** value = scale * float16 */
  scales?: readonly number[];
  sums?: readonly (number | null)[];
  /** float16, little-endian, one map after another. */
  maps?: Binary;
}

/** The channels of the picked layer; {} when there are none. */
export interface RawChannels {
  request?: Request;
  form?: LayerForm;
  noun?: string;
  count?: number;
  /** Of one channel as the layer gives it: rows, columns. */
  size?: readonly [number, number];
  /** Of one channel as it was sent. */
  shape?: readonly [number, number];
  positions?: readonly string[];
  heads?: number;
  /** float32, one for each channel: the mean over positions. */
  activations?: Binary;
  /** float32, one for each channel: the sum of gradient x activation. */
  contributions?: Binary;
  /** int8; value = scale * code / 127 */
  thumbs?: Binary;
  scales?: Binary;
  parts?: Binary;
  part_scales?: Binary;
  notice?: string;
}

export interface NeuronClass {
  index: number;
  label: string;
  contribution: number | null;
}

/** What is known about the picked neuron; {} when there is none. */
export interface RawNeuronInfo {
  request?: Request;
  title?: string;
  activation?: number | null;
  at_baseline?: number | null;
  classes?: readonly NeuronClass[];
  doc?: string;
}

export interface ChangedPrediction {
  index: number;
  label: string;
  before: number;
  after: number;
  before_score: number;
  after_score: number;
}

/** The predictions with some neurons switched off; {} when none are. */
export interface RawWhatIf {
  request?: Request;
  kind?: "probability" | "score";
  items?: readonly ChangedPrediction[];
  message?: string;
}

/** A view that was kept, to look at beside the present one; {} when there is none. */
export interface RawPinned {
  heat?: RawHeat;
  picture?: RawPicture;
  title?: string;
}

export interface RawHeat extends RawPicture {
  title?: string;
  request?: Request | null;
  final?: boolean;
  sum?: number;
  gap?: number | null;
  preview?: boolean;
  error?: number | null;
  relative_error?: number | null;
  evaluations?: number | null;
  refinable?: boolean;
  changed?: boolean;
}

export interface Prediction {
  index: number;
  label: string;
  score: number;
  probability: number | null;
}

export interface RawPredictions {
  kind?: "probability" | "score";
  items?: readonly Prediction[];
}

export interface ClassInfo {
  index: number;
  label: string;
}

export interface RawPath {
  alphas?: readonly number[];
  scores?: readonly number[];
  totals?: readonly number[];
  classes?: readonly ClassInfo[];
  probabilities?: readonly (readonly number[])[];
  shape?: readonly [number, number];
  maps?: Binary;
  scale?: number;
  title?: string;
  target_label?: string;
  request?: Request | null;
}

export interface LayerInfo {
  name: string;
  kind: string;
  parameters: number;
  shape: readonly number[] | null;
  depth: number;
  /** A map can be laid over the picture. */
  spatial: boolean;
  pickable?: boolean;
  /** Why it cannot be picked. */
  why?: string;
  form?: LayerForm | null;
  /** Of its first call; null if it did not run. */
  order?: number | null;
}

export interface ComparedMetric {
  name: string;
  arrow: string;
  better: "higher" | "lower";
  doc?: string;
}

export interface ComparedMethod {
  name: string;
  label: string;
  /** It knows nothing of the model, and cannot be picked. */
  control: boolean;
  /** One for each metric; null where the metric is undefined, of which the notes say why. */
  values: readonly (number | null)[];
  best: readonly boolean[];
  notes: readonly (string | null)[];
  /** What explaining has cost. */
  rows: number;
  seconds: number;
}

/** Methods by metrics, as many lines as are ready; {} before the first comparison. */
export interface RawComparison {
  title?: string;
  request?: Request;
  /** Of the methods that were compared. */
  settings?: Settings;
  /** False while there are lines to come. */
  final?: boolean;
  /** The model's weights are no longer those that were judged. */
  outdated?: boolean;
  metrics?: readonly ComparedMetric[];
  methods?: readonly ComparedMethod[];
}

export interface Traits {
  _part: Part;
  // choices, written by both sides
  method: string;
  target: Target;
  baseline: Baseline;
  layer: string | null;
  layer_method: string;
  neuron: Neuron | null;
  neuron_method: string;
  ablated: readonly Ablated[];
  ablate_to: AblateTo;
  contrast: number | null;
  example: number;
  settings: Settings;
  mode: Mode;
  scale_limit: number | null;
  alpha: number;
  opacity: number;
  colormap: string;
  sign: Sign;
  outlier_percent: number;
  // what the kernel tells
  status: Status;
  progress: number;
  message: string;
  methods: readonly MethodInfo[];
  baselines: readonly BaselineInfo[];
  luts: Readonly<Record<string, RawLut>>;
  picture: RawPicture;
  baseline_picture: RawPicture;
  heat: RawHeat;
  predictions: RawPredictions;
  path: RawPath;
  layers: readonly LayerInfo[];
  layer_methods: readonly MethodInfo[];
  neuron_methods: readonly MethodInfo[];
  flow: RawFlow;
  depth: RawDepth;
  channels: RawChannels;
  neuron_info: RawNeuronInfo;
  what_if: RawWhatIf;
  pinned: RawPinned;
  refused: RawRefusal;
  examples: readonly ExampleInfo[];
  effort: number;
  weights_changed: boolean;
  code: string;
  comparison: RawComparison;
  /** False in a page that was saved without its kernel. */
  _live: boolean;
}

export interface Message {
  type: "cancel" | "recompute" | "refine" | "compare" | "pin" | "unpin";
}

/** The value of each trait that has a fixed one in the kernel. */
export const DEFAULTS = {
  _part: "explorer",
  _live: true,
  method: "IntegratedGradients",
  target: null,
  baseline: "zero",
  layer: null,
  layer_method: "LayerGradCam",
  neuron: null,
  neuron_method: "NeuronGradient",
  ablated: [],
  ablate_to: "zero",
  contrast: null,
  example: 0,
  settings: {},
  mode: "blended",
  scale_limit: null,
  alpha: 1,
  opacity: 0.6,
  colormap: "auto",
  sign: "all",
  outlier_percent: 1,
  status: "idle",
  progress: 0,
  message: "",
  methods: [],
  baselines: [],
  picture: {},
  baseline_picture: {},
  heat: {},
  predictions: {},
  path: {},
  layers: [],
  layer_methods: [],
  neuron_methods: [],
  flow: {},
  depth: {},
  channels: {},
  neuron_info: {},
  what_if: {},
  pinned: {},
  refused: {},
  examples: [],
  effort: 0,
  weights_changed: false,
  code: "",
  comparison: {},
} as const satisfies Partial<Traits>;

/** The traits that are part of a request. */
export const REQUESTED = [
  "method",
  "target",
  "baseline",
  "layer",
  "layer_method",
  "neuron",
  "neuron_method",
  "contrast",
  "example",
  "settings",
  "ablated",
  "ablate_to",
] as const satisfies readonly (keyof Traits & keyof Request)[];

/** For each trait that holds a result, the traits of the request that it answers. */
export const ANSWERS = {
  heat: [
    "method",
    "target",
    "baseline",
    "layer",
    "layer_method",
    "neuron",
    "neuron_method",
    "contrast",
    "example",
    "settings",
  ],
  path: ["target", "baseline", "contrast", "example"],
  flow: ["target", "contrast", "example", "baseline"],
  depth: ["target", "contrast", "example", "layer_method", "baseline", "settings"],
  channels: ["target", "contrast", "example", "layer"],
  neuron_info: ["target", "contrast", "example", "layer", "neuron"],
  what_if: ["example", "ablated", "ablate_to"],
  comparison: ["target", "baseline", "contrast", "example"],
} as const satisfies Partial<Record<keyof Traits, readonly (typeof REQUESTED)[number][]>>;

/** What only the kernel writes. */
export const TOLD = [
  "status",
  "progress",
  "message",
  "heat",
  "path",
  "predictions",
  "refused",
  "picture",
  "baseline_picture",
  "effort",
  "weights_changed",
  "code",
  "comparison",
  "flow",
  "depth",
  "channels",
  "neuron_info",
  "what_if",
  "pinned",
] as const satisfies readonly (keyof Traits)[];
