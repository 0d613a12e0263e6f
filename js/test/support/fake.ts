/** A model without a kernel, animation frames by hand, and a canvas context that records: what the tests share. */
import { vi } from "vitest";
import type { ParameterInfo } from "../../src/state/messages.generated";
import type { Listener, Model } from "../../src/state/model";
import type { Traits } from "../../src/state/traits.generated";

export class FakeModel implements Model {
  readonly values: Partial<Traits>;
  readonly listeners = new Map<string, Set<Listener>>();
  readonly sent: unknown[] = [];
  /** As in Jupyter, where a test needs it. */
  widget_manager: unknown;
  /** What each save_changes would have sent. */
  readonly saves: Partial<Traits>[] = [];
  private changed: Record<string, unknown> = {};

  constructor(values: Partial<Traits>) {
    this.values = values;
  }

  get(name: string): unknown {
    return this.values[name as keyof Traits];
  }

  set(name: string, value: unknown): void {
    (this.values as Record<string, unknown>)[name] = value;
    this.changed[name] = value;
    this.fire(name);
  }

  /** A change that comes from the kernel. */
  receive(values: Partial<Traits>): void {
    Object.assign(this.values, values);
    for (const name of Object.keys(values)) this.fire(name);
  }

  on(name: string, callback: Listener): void {
    const known = this.listeners.get(name) ?? new Set();
    known.add(callback);
    this.listeners.set(name, known);
  }

  off(name: string, callback: Listener): void {
    this.listeners.get(name)?.delete(callback);
  }

  save_changes(): void {
    this.saves.push(this.changed);
    this.changed = {};
  }

  send(content: unknown): void {
    this.sent.push(content);
  }

  get listening(): number {
    return [...this.listeners.values()].reduce((sum, callbacks) => sum + callbacks.size, 0);
  }

  private fire(name: string): void {
    this.happen(`change:${name}`);
  }

  /** An event of the model, such as "comm_live_update", and what it is about. */
  happen(event: string, ...about: unknown[]): void {
    for (const callback of [...(this.listeners.get(event) ?? [])]) callback(...about);
  }
}

/** Takes requestAnimationFrame into the hand: the returned function runs one frame. */
export function manualFrames(): (time?: number) => void {
  let queue = new Map<number, FrameRequestCallback>();
  let last = 0;
  vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => {
    queue.set(++last, callback);
    return last;
  });
  vi.stubGlobal("cancelAnimationFrame", (id: number) => queue.delete(id));
  return (time = performance.now()) => {
    const now = queue;
    queue = new Map();
    for (const callback of now.values()) callback(time);
  };
}

export interface Recording {
  /** The pixels last put or drawn on each canvas. */
  readonly pixels: WeakMap<HTMLCanvasElement, Uint32Array>;
  /** The opacities with which anything was drawn on each canvas. */
  readonly opacities: WeakMap<HTMLCanvasElement, number[]>;
  /** What was done to each canvas, with where it begins: "draw 0", "fill 5", "clear 2". */
  readonly steps: WeakMap<HTMLCanvasElement, string[]>;
  /** How often pixels were put on any canvas. */
  puts: number;
}

function nothing(): void {
  // is kept of this
}

/** Gives every canvas a context that keeps what is put on it (happy-dom has none). */
export function recordCanvases(): Recording {
  const pixels: Recording["pixels"] = new WeakMap();
  const opacities: Recording["opacities"] = new WeakMap();
  const steps: Recording["steps"] = new WeakMap();
  const recording: Recording = { pixels, opacities, steps, puts: 0 };
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockImplementation(function (this: HTMLCanvasElement) {
    const did = (what: string, x: number): void => {
      steps.set(this, [...(steps.get(this) ?? []), `${what} ${x}`]);
    };
    const context = {
      globalAlpha: 1,
      createImageData: (width: number, height: number) => ({
        width,
        height,
        data: new Uint8ClampedArray(width * height * 4),
      }),
      putImageData: (image: ImageData) => {
        recording.puts++;
        pixels.set(this, new Uint32Array(image.data.buffer.slice(0)));
      },
      drawImage: (source: HTMLCanvasElement, ...at: number[]) => {
        did("draw", at.length > 4 ? at[4]! : at[0]!);
        opacities.set(this, [...(opacities.get(this) ?? []), context.globalAlpha]);
        const from = pixels.get(source);
        if (from) pixels.set(this, from);
      },
      clearRect: (x: number) => did("clear", x),
      fillRect: (x: number) => did("fill", x),
      arc: (x: number) => did("arc", Math.round(x)),
      beginPath: nothing,
      stroke: nothing,
    };
    return context as unknown as RenderingContext;
  } as HTMLCanvasElement["getContext"]);
  return recording;
}

/** Data as it comes off the wire: a view that starts anywhere in its buffer. */
export function onWire(data: ArrayBufferView, offset = 3): DataView {
  const buffer = new Uint8Array(data.byteLength + offset + 5);
  buffer.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
  return new DataView(buffer.buffer, offset, data.byteLength);
}

function ramp(from: readonly number[], to: readonly number[]): DataView {
  const lut = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    for (let c = 0; c < 3; c++) lut[i * 3 + c] = Math.round(from[c]! + ((to[c]! - from[c]!) * i) / 255);
  }
  return onWire(lut);
}

export const HEAT = Float32Array.of(-1, -0.5, 0, 0.25, 0.5, 1);

export const PARAMETERS: readonly ParameterInfo[] = [
  { name: "n_steps", label: "Steps", kind: "int", value: 50, min: 1, max: 1000, doc: "How many points." },
  { name: "stdevs", label: "Noise", kind: "float", value: 0.5, min: 0, max: null },
  { name: "rule", label: "Rule", kind: "choice", value: "gauss", choices: ["gauss", "left"] },
  { name: "abs", label: "Absolute", kind: "bool", value: true },
  { name: "note", label: "Note", kind: "text", value: "" },
];

/** A whole Explorer on a picture of 3 by 2 pixels. */
export function sampleTraits(changes: Partial<Traits> = {}): Partial<Traits> {
  return {
    _part: "explorer",
    method: "IntegratedGradients",
    target: 7,
    baseline: "zero",
    layer: null,
    contrast: null,
    example: 0,
    settings: {},
    explain_predicted: true,
    example_predictions: [],
    classes: { count: 10, names: ["", "", "dog", "", "", "", "", "cat", "", "hat"] },
    tab: "where",
    detail: null,
    mode: "blended",
    scale_limit: null,
    alpha: 1,
    opacity: 0.6,
    colormap: "auto",
    sign: "all",
    outlier_percent: 0,
    status: "idle",
    progress: 0,
    message: "",
    methods: [
      {
        name: "IntegratedGradients",
        label: "Integrated Gradients",
        doc: "Integrates.",
        parameters: PARAMETERS,
      },
      { name: "Saliency", label: "Saliency", doc: "Differentiates.", parameters: [] },
    ],
    baselines: [
      { name: "zero", label: "Zero" },
      { name: "blur", label: "Blurred" },
    ],
    luts: {
      div: { label: "Blue to red", kind: "diverging", data: ramp([0, 0, 255], [255, 0, 0]) },
      seq: { label: "Black to white", kind: "sequential", data: ramp([0, 0, 0], [255, 255, 255]) },
    },
    picture: { shape: [2, 3], data: onWire(new Uint8Array(18).fill(200)) },
    baseline_picture: { shape: [2, 3], data: onWire(new Uint8Array(18).fill(127)) },
    heat: {
      shape: [2, 3],
      data: onWire(HEAT),
      title: "Integrated Gradients for cat",
      request: {
        method: "IntegratedGradients",
        target: 7,
        baseline: "zero",
        layer: null,
        contrast: null,
        example: 0,
        settings: {},
        effort: 0,
      },
      final: true,
      sum: 0.25,
      gap: 0.01,
    },
    refused: {},
    examples: [],
    effort: 0,
    weights_changed: false,
    code: "attributions = method.attribute(inputs)\n",
    _live: true,
    predictions: {
      kind: "probability",
      items: [
        { index: 7, label: "cat", score: 3, probability: 0.7 },
        { index: 2, label: "dog", score: 1, probability: 0.2 },
        { index: 9, label: "hat", score: 0, probability: 0.0001 },
      ],
    },
    path: {
      alphas: [0, 0.5, 1],
      scores: [0, 2, 3],
      totals: [0, 1, 0],
      classes: [
        { index: 7, label: "cat" },
        { index: 2, label: "dog" },
      ],
      probabilities: [
        [0.1, 0.5, 0.7],
        [0.5, 0.3, 0.2],
      ],
      shape: [2, 3],
      maps: onWire(Int8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 127, -127, 0, 0, 0, 0, 127)),
      scale: 1,
      title: "Integrated Gradients for cat",
      target_label: "cat",
      request: { target: 7, baseline: "zero", contrast: null, example: 0 },
    },
    layers: [
      { name: "", kind: "Net", parameters: 1000, shape: [1, 10], depth: 0, spatial: false },
      { name: "stem", kind: "Sequential", parameters: 100, shape: [1, 8, 4, 4], depth: 1, spatial: true },
      { name: "stem.conv", kind: "Conv2d", parameters: 90, shape: [1, 8, 4, 4], depth: 2, spatial: true },
      { name: "stem.act", kind: "ReLU", parameters: 0, shape: [1, 8, 4, 4], depth: 2, spatial: true },
      { name: "fc", kind: "Linear", parameters: 900, shape: [1, 10], depth: 1, spatial: false },
      { name: "spare", kind: "Linear", parameters: 5, shape: null, depth: 1, spatial: false },
    ],
    ...changes,
  };
}

/** Numbers that look random but are the same in every run. */
export function noise(length: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) ** 3;
  });
}
