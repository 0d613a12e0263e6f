/**
 * What travels between kernel and page.
 *
 * Made from src/attriscope/widget/messages/types.py, layer_types.py, judgements.py and region_types.py; to change it, change that and run
 * `python -m attriscope.widget.state.typescript`.
 */

export type PartName = "explorer" | "overlay" | "predictions" | "path" | "layers" | "channels";

/** What the Explorer's tabs answer: where in the input, what inside the model, whether to trust it. */
export type TabName = "where" | "inside" | "trust";

export type Status = "idle" | "running" | "cancelled" | "error";

export type Sign = "all" | "positive" | "negative" | "absolute";

export type Mode = "blended" | "heat" | "masked" | "side";

/** How a kept map is looked at with another: beside it, what is left of one minus the other, or one after the other. */
export type CompareAs = "side" | "difference" | "flicker";

export type LutKind = "diverging" | "sequential";

export type AblateTo = "zero" | "baseline";

/** What a model's numbers are, and what a person says of it; "auto" leaves that to be found. */
export type OutputKind = "logits" | "probabilities" | "sigmoid" | "values" | "segmentation" | "boxes";

export type Output = "auto" | "logits" | "probabilities" | "sigmoid" | "values" | "segmentation";

/** What the numbers of a map are: parts of the explained number, its slope, an activation, something else that ranks. */
export type Quantity = "contribution" | "gradient" | "importance" | "attribution" | "activation";

/** What is shown of them: parts of 100 percent, or numbers as they are. */
export type Amount = "probability" | "score";

/** What the page may ask for besides setting a trait. */
export type Ask =
  | "cancel"
  | "recompute"
  | "refine"
  | "compare"
  | "check"
  | "pin"
  | "unpin"
  | "explain_pixel"
  | "explain_rows";

/** One baseline by name, or several whose maps are averaged. */
export type Baseline = string | readonly string[];

/** Model with one output. */
export type Target = number | readonly number[] | string | null;

/** What a method's parameter may be set to. */
export type SettingValue = number | string | boolean | null;

/** The parameters of one method that differ from its defaults. */
export type MethodSettings = Readonly<Record<string, SettingValue>>;

/** For each method the parameters that differ from its defaults. */
export type Settings = Readonly<Record<string, MethodSettings>>;

/** A place inside a layer: a channel, or a channel and where in it; for tokens a unit, or a unit and a position. */
export type Neuron = number | readonly number[];

/** A neuron that is switched off: its layer's path and its place there. */
export type Ablated = readonly [layer: string, neuron: Neuron];

/** A cell of the row on show that was given another value: its column, and the value. */
export type Edited = readonly [column: number, value: number];

/** What a layer gives: maps of channels, tokens of units, positions of units, single numbers, or something else. */
export type LayoutKind = "map" | "attention" | "tokens" | "sequence" | "vector" | "other";

/** Rows and columns. */
export type Size = readonly [number, number];

/** A binary value: ipywidgets gives a DataView, other hosts may give what lies under it. */
export type Binary = DataView | ArrayBuffer | ArrayBufferView;

/** What the page may ask for besides setting a trait. */
export interface Message {
  type: Ask;
  row?: number;
  column?: number;
  /** The number of the one that is let go; all of them without it. */
  pin?: number;
}

/** What the page can have as a file. */
export type ExportKind = "figure" | "slide" | "html";

/** That the page wants a file. */
export interface ExportMessage {
  type: "export";
  what: ExportKind;
  /** Tells the answer from those to others, on other pages, too. */
  request: string;
}

/** The answer, a message of its own: the file is its buffer, or there is a reason why there is none. */
export interface Exported {
  type: "exported";
  request: string;
  name?: string;
  reason?: string;
}

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

/** A method on offer. */
export interface MethodInfo {
  name: string;
  label: string;
  /** Whether its answer depends on the baseline. */
  compares?: boolean;
  doc?: string;
  parameters?: readonly ParameterInfo[];
}

/** A baseline on offer. */
export interface BaselineInfo {
  name: string;
  label: string;
}

/** The kernel's latest no to what the page chose; without `reason` there is none. */
export interface RawRefusal {
  trait?: string;
  method?: string | null;
  name?: string | null;
  value?: unknown;
  reason?: string;
  count?: number;
}

/** A colour map. */
export interface RawLut {
  label: string;
  kind: LutKind;
  /** 256 RGB colours of 8 bits. */
  data: Binary;
}

/** A picture of RGB pixels of 8 bits. */
export interface RawPicture {
  shape?: Size;
  data?: Binary;
  /** Of the picture itself, where it was averaged down to `shape`; places in it are counted in these. */
  full?: Size;
}

/** The row of a table on show; {} where the inputs are no table. */
export interface RawTable {
  /** Of the columns. */
  names?: readonly string[];
  /** Of the row, as the model gets them; null for what is no number. */
  values?: readonly (number | null)[];
  low?: readonly (number | null)[];
  high?: readonly (number | null)[];
  /** How many there are. */
  rows?: number;
}

/** The rows of a table explained one by one, as far as they have been; {} before that is asked for. */
export interface RawRows {
  request?: Request;
  title?: string;
  /** What the numbers are, in words. */
  unit?: string;
  final?: boolean;
  outdated?: boolean;
  /** The indices of those that are sent, the largest mean size of an attribution first. */
  columns?: readonly number[];
  /** Of each of them that mean. */
  sizes?: readonly number[];
  /** How many columns are not sent. */
  others?: number;
  /** How many rows are explained: the first ones. */
  count?: number;
  /** How many of them cannot be: their attributions are NaN. */
  failed?: number;
  /** Float32, little-endian, of each row those of the columns. */
  attributions?: Binary;
  /** The same of the rows themselves. */
  values?: Binary;
}

/** A part of the picture, finer than the whole travels; {} when there is none. */
export interface RawCloseUp {
  shape?: Size;
  data?: Binary;
  /** Which part, x0, y0, x1, y1 in pixels of the picture. */
  box?: readonly number[];
}

/** One of the examples to choose from. */
export interface ExampleInfo {
  label: string;
  picture: RawPicture;
}

/** What the model says of an example; {} where it says nothing of classes. */
export interface ExamplePrediction {
  /** Of the class that it takes the example for; of a model with one output the likelier of two. */
  label?: string;
  /** What it says of that class. */
  amount?: number | null;
  kind?: Amount;
  /** The class that the example is of, where that is known. */
  truth?: string;
  /** Its index, where the model gives a number for it. */
  truth_index?: number;
  /** Whether these are different. */
  wrong?: boolean;
  /** What the model says of the true class. */
  of_truth?: number | null;
  /** Of a segmentation: the class has the most pixels but for the background, and this share of them. */
  pixels?: boolean;
}

/** The map on show. */
export interface RawHeat {
  shape?: Size;
  /** Float32, little-endian. */
  data?: Binary;
  title?: string;
  request?: Request | null;
  final?: boolean;
  sum?: number | null;
  gap?: number | null;
  preview?: boolean;
  error?: number | null;
  relative_error?: number | null;
  evaluations?: number | null;
  refinable?: boolean;
  changed?: boolean;
  /** How many pixels of the input each number stands for, where the map was averaged down. */
  pixels?: number;
  /** Numbers of places beside each other may be added up. */
  summable?: boolean;
  quantity?: Quantity;
  /** What the numbers are, in words. */
  unit?: string;
  /** Whether the sum over a region is what the map says that is worth. */
  tells_worth?: boolean;
  /** Whether the method explains the change of the output from a baseline, and not the output itself. */
  compares?: boolean;
  /** The explained number at the input, where it is known. */
  output?: number | null;
}

/** The outputs of the model; {} where it gives no row of them. */
export interface RawClasses {
  count?: number;
  /** In their order, as far as there are any; an empty one has none. */
  names?: readonly string[];
}

/** What the model says of one class. */
export interface Prediction {
  index: number;
  label: string;
  score: number | null;
  probability: number | null;
}

/** The best classes. */
export interface RawPredictions {
  kind?: Amount;
  /** What the model's numbers are. */
  output?: OutputKind;
  /** How what is shown comes about from them. */
  doc?: string;
  items?: readonly Prediction[];
  /** Of a detector, for each item the corners x0, y0, x1, y1 of its box, in pixels of the picture. */
  boxes?: readonly (readonly number[])[];
  /** Of numbers with places, how many there are: channels, rows, columns. */
  shape?: readonly number[];
}

/** A class of the model. */
export interface ClassInfo {
  index: number;
  label: string;
}

/** What happens on the path from the baseline to the input. */
export interface RawPath {
  alphas?: readonly number[];
  scores?: readonly number[];
  totals?: readonly number[];
  classes?: readonly ClassInfo[];
  probabilities?: readonly (readonly (number | null)[])[];
  shape?: Size;
  /** Int8, one map after another; value = scale * sign(code) * (|code| / 127) ** 2 */
  maps?: Binary;
  scale?: number;
  title?: string;
  target_label?: string;
  pixels?: number;
  unit?: string;
  request?: Request | null;
}

/** A view that was kept, to look at beside others. */
export interface RawPinned {
  /** Its number, which no other that is kept has. */
  id: number;
  title: string;
  heat: RawHeat;
  picture: RawPicture;
}

/** A row of the layer tree. */
export interface LayerRow {
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
  layout?: LayoutKind | null;
  /** Of its last call, which is the one that is explained; null if it did not run. */
  order?: number | null;
  /** The layer whose output it hands on, as a container hands on what its last child gave. */
  same_as?: string | null;
  channels?: number | null;
}

/** How much of the prediction passes at each layer, aligned with `layers`; {} before it is known. */
export interface RawLayerRelevance {
  request?: Request;
  label?: string;
  doc?: string;
  values?: readonly (number | null)[];
}

/** The maps of all layers that have one, for scrubbing; {} before they are known. */
export interface RawLayerMaps {
  request?: Request;
  /** The title of a layer's map is the first, the layer's path and the second. */
  title?: readonly [string, string];
  quantity?: Quantity;
  unit?: string;
  final?: boolean;
  names?: readonly string[];
  shapes?: readonly Size[];
  /** Value = scale * float16 */
  scales?: readonly number[];
  sums?: readonly (number | null)[];
  /** Float16, little-endian, one map after another. */
  maps?: Binary;
}

/** The channels of the picked layer; {} when there are none. */
export interface RawChannels {
  request?: Request;
  layout?: LayoutKind;
  noun?: string;
  count?: number;
  /** Of one channel as the layer gives it: rows, columns. */
  size?: Size;
  /** Of one channel as it was sent. */
  shape?: Size;
  positions?: readonly string[];
  heads?: number;
  /** Float32, one for each channel: the mean over positions. */
  activations?: Binary;
  /** Float32, one for each channel: the sum of gradient x activation. */
  contributions?: Binary;
  /** Int8; value = scale * code / 127 */
  thumbs?: Binary;
  scales?: Binary;
  parts?: Binary;
  part_scales?: Binary;
  notice?: string;
}

/** A part of an example. */
export interface Patch {
  example: number;
  /** Row and column of the channel's map, at which it holds the value; null for a whole example. */
  place: Size | null;
  value: number | null;
}

/** The parts of the examples that excite channels of the picked layer most; {} when there are none. */
export interface RawPatches {
  request?: Request;
  /** Which: those that contribute most, and the picked one. */
  channels?: readonly number[];
  /** For each channel, what excites it most, best first. */
  patches?: readonly (readonly Patch[])[];
  /** Of each patch as it was sent. */
  shape?: Size;
  /** RGB pixels of 8 bits, one patch after another. */
  data?: Binary;
  examples?: number;
}

/** What a neuron contributes to a class. */
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

/** What the model says of a class with and without some neurons. */
export interface ChangedPrediction {
  index: number;
  label: string;
  before: number | null;
  after: number | null;
  before_score: number | null;
  after_score: number | null;
}

/** The predictions with some neurons switched off; {} when none are. */
export interface RawWhatIf {
  request?: Request;
  kind?: Amount;
  items?: readonly ChangedPrediction[];
  message?: string;
}

/** What a map is asked, and what the answer is worth. */
export type CheckName = "complete" | "stable" | "learned";

export type Verdict = "good" | "fair" | "poor" | "none";

/** A map, small enough to stand among others. */
export interface RawSmallMap {
  shape: Size;
  scale: number;
  /** Float16, little-endian; value = scale * float16. */
  data: Binary;
}

/** A column of the comparison. */
export interface ComparedMetric {
  name: string;
  arrow: string;
  better: "higher" | "lower";
  doc?: string;
  /** Its values have been measured in a few steps so far. */
  rough?: boolean;
}

/** A line of the comparison. */
export interface ComparedMethod {
  name: string;
  label: string;
  /** It knows nothing of the model, and cannot be picked. */
  control: boolean;
  /** One for each metric; null where the metric is undefined, of which the notes say why. */
  values: readonly (number | null)[];
  best: readonly boolean[];
  notes: readonly (string | null)[];
  /** What explaining has cost; null where that is not known. */
  rows: number | null;
  seconds: number;
  /** Not there where the method failed. */
  map?: RawSmallMap;
  /** The path of the layer that it explains by, if it is a method for layers. */
  layer?: string;
  /** What was set to be quick, where nobody had set anything. */
  quick?: MethodSettings;
}

/** Methods by metrics, as many lines as are ready; {} before the first comparison. */
export interface RawComparison {
  title?: string;
  request?: Request;
  /** What was set for the methods that were compared. */
  settings?: Settings;
  /** False while there are lines to come. */
  final?: boolean;
  /** The model's weights are no longer those that were judged. */
  outdated?: boolean;
  metrics?: readonly ComparedMetric[];
  methods?: readonly ComparedMethod[];
  /** The names of methods whose lines are to come. */
  awaited?: readonly string[];
}

/** One check of the map on show. */
export interface CheckedProperty {
  name: CheckName;
  /** `"none"` where there is nothing to be held to, or no number. */
  verdict: Verdict;
  /** The number that the verdict goes by, the lower the better. */
  value: number | null;
  sentence: string;
  /** What is measured, and which numbers are good. */
  doc: string;
}

/** What can be said of the map on show, as many checks as are ready; {} before the first. */
export interface RawChecks {
  title?: string;
  request?: Request;
  /** False while there are checks to come. */
  final?: boolean;
  /** The model's weights are no longer those of the map. */
  outdated?: boolean;
  results?: readonly CheckedProperty[];
}

/** A part of the picture that somebody has picked, with the one key that its kind wants. */
export interface Region {
  kind: "box" | "lasso" | "segment" | "mask";
  /** Top, left, bottom, right in whole pixels; the last two lie outside. */
  box?: readonly number[];
  /** [x, y] in pixels from the left and top edges: what has its middle inside, by the even-odd rule. */
  points?: readonly (readonly number[])[];
  /** X, y of a pixel of the segment. */
  point?: readonly number[];
  /** How many pixels, row by row, lie outside, then inside, then outside, and so on. */
  runs?: readonly number[];
}

/** The picture cut into segments; {} before somebody has picked one. */
export interface RawSegments {
  /** The picture's, or a smaller one. */
  shape?: Size;
  /** Uint8, the number of each pixel's segment. */
  data?: Binary;
}

/** A channel that reads a region: of its layer the one that contributes most there. */
export interface RawReader {
  layer: string;
  channel: number;
  /** What a channel of this layer is called. */
  noun: string;
  /** Gradient x activation of what is explained, summed over the region. */
  contribution: number;
  /** The size of that as a share of all channels' of the layer, there. */
  share: number;
}

/** What covering a region of the picture costs, beside what the map says it is worth; {} without a region. */
export interface RawCovered {
  request?: Request;
  region?: Region;
  /** How many the region has. */
  pixels?: number;
  /** The explained number, or what the neuron holds in all. */
  before?: number | null;
  /** The same with the region covered; of several baselines the mean. */
  after?: number | null;
  /** Before less after. */
  cost?: number | null;
  /** The sum of the map over the region; missing while there is no final map that can be summed up. */
  worth?: number | null;
  /** The request of the map that says so. */
  map?: Request;
  kind?: Amount;
  items?: readonly ChangedPrediction[];
  /** What reads it, from early to late layers; missing where that is not known. */
  readers?: readonly RawReader[];
  /** Why there are no numbers. */
  message?: string;
}

/** The choices a result was computed for, as far as they matter to it. */
export interface Request {
  method?: string;
  target?: Target;
  baseline?: Baseline | null;
  contrast?: number | null;
  example?: number;
  settings?: MethodSettings;
  output?: Output;
  effort?: number;
  layer?: string | null;
  layer_method?: string;
  neuron?: Neuron | null;
  neuron_method?: string;
  ablated?: readonly Ablated[];
  ablate_to?: AblateTo;
  edited?: readonly Edited[];
}
