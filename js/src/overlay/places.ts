/** What a model says of places in the picture: boxes to pick, and single pixels to explain. */
import { whyOff } from "../controls/needs-kernel";
import { singleIndex } from "../data/messages";
import { clipped, h, setAttribute, setClipped, setVariable } from "../lib/dom";
import { button } from "../lib/form-controls";
import { type Point, toView, type Viewport } from "../lib/zoom";
import { scopeOf } from "../selection/scope";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { type Panes, paneSpan } from "./panes";
import type { Stage } from "./stage";

/** A pointer that went further between down and up has moved the picture, and picked nothing. */
const STILL = 4;

type Corners = readonly [number, number, number, number];

export function boxesOf(view: View): readonly Corners[] {
  if (!view.has("predictions")) return [];
  return (view.get("predictions").boxes ?? []).map(([x0 = 0, y0 = 0, x1 = 0, y1 = 0]) => [x0, y0, x1, y1]);
}

/** The place in the list of the smallest box around a pixel; undefined if there is none. */
export function boxAt(boxes: readonly Corners[], { x, y }: Point): number | undefined {
  const around = boxes
    .map(([x0, y0, x1, y1], i) => ({
      i,
      in: x + 0.5 >= x0 && x + 0.5 <= x1 && y + 0.5 >= y0 && y + 0.5 <= y1,
    }))
    .filter((one) => one.in)
    .map(({ i }) => ({ i, size: (boxes[i]![2] - boxes[i]![0]) * (boxes[i]![3] - boxes[i]![1]) }));
  return around.sort((a, b) => a.size - b.size)[0]?.i;
}

/** Lays a frame over the picture. */
function layOver(frame: HTMLElement, panes: Panes): void {
  const span = paneSpan(panes, 0);
  setVariable(frame, "--as-from", span.from);
  setVariable(frame, "--as-width", span.width);
}

/** Puts a mark where it lies in the part of the picture that is in view; corners are shares of the whole picture. */
function placeAt(mark: HTMLElement, viewport: Viewport, [x0, y0, x1, y1]: Corners): void {
  const from = toView(viewport, { x: x0, y: y0 });
  const to = toView(viewport, { x: x1, y: y1 });
  setVariable(mark, "--as-left", from.x.toFixed(5));
  setVariable(mark, "--as-top", from.y.toFixed(5));
  setVariable(mark, "--as-right", to.x.toFixed(5));
  setVariable(mark, "--as-bottom", to.y.toFixed(5));
}

/** The boxes of a detector over the picture: a click into one explains its score. */
export class BoxMarks {
  readonly #frame = h("div", { class: "as-found", "aria-hidden": "true", hidden: true }); // the list has them for keys
  readonly #state: State;
  readonly #stage: Stage;
  #marks: HTMLElement[] = [];

  constructor(state: State, stage: Stage) {
    this.#state = state;
    this.#stage = stage;
    stage.element.append(this.#frame);
    onStillClick(stage, state.signal, (point) => this.#pick(point));
  }

  show(view: View): void {
    const boxes = boxesOf(view);
    const { width, height, panes, viewport } = this.#stage;
    this.#frame.hidden = !boxes.length || !width;
    if (this.#frame.hidden) return;
    layOver(this.#frame, panes);
    if (this.#marks.length !== boxes.length) {
      this.#marks = boxes.map(() => h("div", { class: "as-found-box" }, clipped("as-found-label")));
      this.#frame.replaceChildren(...this.#marks);
    }
    const { items = [] } = view.get("predictions");
    const target = singleIndex(view.get("target"));
    boxes.forEach(([x0, y0, x1, y1], i) => {
      const mark = this.#marks[i]!;
      placeAt(mark, viewport, [x0 / width, y0 / height, x1 / width, y1 / height]);
      const explained = items[i]?.index === target;
      setAttribute(mark, "data-explained", explained ? "1" : undefined);
      setClipped(mark.firstElementChild as HTMLElement, explained ? (items[i]?.label ?? "") : "");
    });
  }

  #pick(point: Point): void {
    const state = this.#state;
    const i = whyOff(state.view.kernel) ? undefined : boxAt(boxesOf(state.view), point);
    const item = i === undefined ? undefined : state.view.get("predictions").items?.[i];
    if (item) state.choose("target", item.index);
  }
}

/** Where the pixel of the model's output lies that is explained by itself, as shares of the picture; or undefined. */
export function explainedPixel(view: View): Corners | undefined {
  if (!view.has("predictions") || scopeOf(view) === "neuron") return undefined;
  const target = view.get("target");
  const [channels, rows, columns] = view.get("predictions").shape ?? [];
  if (!channels || !rows || !columns || !Array.isArray(target) || target.length !== 3) return undefined;
  const [, row, column] = target as number[];
  const y = row! < 0 ? row! + rows : row!;
  const x = column! < 0 ? column! + columns : column!;
  return [x / columns, y / rows, (x + 1) / columns, (y + 1) / rows];
}

/** A mark around the one pixel that is explained. */
export class PixelMark {
  readonly #mark = h("div", { class: "as-explained-pixel" });
  readonly #frame = h("div", { class: "as-found", "aria-hidden": "true", hidden: true }, this.#mark); // the title says it
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
    stage.element.append(this.#frame);
  }

  show(view: View): void {
    const place = explainedPixel(view);
    const { width, panes, viewport } = this.#stage;
    this.#frame.hidden = !place || !width;
    if (!place || !width) return;
    layOver(this.#frame, panes);
    placeAt(this.#mark, viewport, place);
  }
}

/** The button that lets a person pick a pixel of a segmented picture, which is then explained by itself. */
export class PixelPicker {
  readonly node: HTMLButtonElement;
  readonly #state: State;
  readonly #stage: Stage;
  #waits = false;

  constructor(state: State, stage: Stage) {
    this.#state = state;
    this.#stage = stage;
    this.node = button("as-button as-picker", "Explain a pixel", state.signal, () =>
      this.#wait(!this.#waits),
    );
    onStillClick(stage, state.signal, (point) => this.#explain(point));
    const key = (event: KeyboardEvent): void => {
      if (event.key === "Enter" && stage.point) this.#explain(stage.point);
      else if (event.key === "Escape") this.#wait(false);
    };
    stage.canvas.addEventListener("keydown", key, { signal: state.signal });
    state.follow(this);
  }

  show(view: View): void {
    const why = whyOff(view.kernel);
    this.node.hidden = view.get("predictions").output !== "segmentation";
    this.node.disabled = why !== undefined;
    this.node.title =
      why ??
      (this.#waits
        ? "Click a pixel of the picture, or move the cross with the arrow keys and press Enter"
        : "Pick a pixel of the picture: the class that is predicted there is explained, there alone");
    if (this.node.hidden || why) this.#wait(false);
    setAttribute(this.node, "aria-pressed", String(this.#waits));
  }

  #wait(waits: boolean): void {
    if (waits === this.#waits) return;
    this.#waits = waits;
    setAttribute(this.#stage.element, "data-picking", waits ? "1" : undefined);
    this.show(this.#state.view);
    if (waits) this.#stage.canvas.focus({ preventScroll: true });
  }

  #explain({ x, y }: Point): void {
    if (!this.#waits) return;
    this.#state.send({ type: "explain_pixel", row: y, column: x });
    this.#wait(false);
  }
}

/** Tells of clicks on the picture that did not move it. */
export function onStillClick(stage: Stage, signal: AbortSignal, then: (point: Point) => void): void {
  const { canvas } = stage;
  let from: Point | undefined;
  canvas.addEventListener("pointerdown", (event) => (from = { x: event.clientX, y: event.clientY }), {
    signal,
  });
  const click = (event: MouseEvent): void => {
    const still = !from || Math.hypot(event.clientX - from.x, event.clientY - from.y) <= STILL;
    from = undefined;
    if (still && stage.point) then(stage.point);
  };
  canvas.addEventListener("click", click, { signal });
}
