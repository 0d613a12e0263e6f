/** The traits of the widget as they stand on the wire; the kernel's half is `attriscope.widget`. */

export type Part = "explorer" | "overlay" | "predictions" | "path" | "layers";
export type Status = "idle" | "running" | "cancelled" | "error";
export type Sign = "all" | "positive" | "negative" | "absolute";
export type LutKind = "diverging" | "sequential";
/** An explained output: one index, an index per output dimension, or null for a model with one output. */
export type Target = number | readonly number[] | null;
/** A binary value: ipywidgets gives a DataView, other hosts may give what lies under it. */
export type Binary = DataView | ArrayBuffer | ArrayBufferView;

export interface MethodInfo {
  name: string;
  label: string;
  doc?: string;
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
  baseline?: string;
  layer?: string | null;
}

export interface RawHeat extends RawPicture {
  title?: string;
  request?: Request | null;
  final?: boolean;
  sum?: number;
  gap?: number | null;
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
  spatial: boolean;
}

export interface Traits {
  _part: Part;
  // choices, written by both sides
  method: string;
  target: Target;
  baseline: string;
  layer: string | null;
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
}

export type Message = { type: "cancel" } | { type: "recompute" };
