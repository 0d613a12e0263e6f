/** One channel enlarged, to pick a place inside it: by click, or with the arrow keys and Enter. */
import { type Channels, type Quantity, valuesOf } from "../data/channels";
import { placeAt, valueName } from "../data/neurons";
import { paintValues } from "../data/painting";
import { crossStep } from "../lib/arrow-keys";
import { PixelBuffer } from "../lib/canvas";
import { clamp, h, setAttribute, setText, setVariable } from "../lib/dom";
import type { Point } from "../lib/zoom";

export interface PickerContent {
  readonly channels: Channels;
  readonly channel: number;
  readonly quantity: Quantity;
  readonly limit: number;
  readonly table: Uint32Array;
  /** Row and column, or position; undefined while the whole channel is picked. */
  readonly picked: readonly number[] | undefined;
}

export class PositionPicker {
  readonly element: HTMLElement;
  readonly #pixels = new PixelBuffer();
  readonly #cursor = h("span", { class: "as-place", hidden: true });
  readonly #mark = h("span", { class: "as-place", "data-picked": "1", hidden: true });
  /** Takes the keys: arrows would scroll or read the page otherwise. */
  readonly #field = h(
    "div",
    { class: "as-places-field", role: "application", tabindex: 0 },
    this.#pixels.canvas,
    this.#mark,
    this.#cursor,
  );
  readonly #readout = h("div", { class: "as-readout", "aria-live": "polite" });
  #content: PickerContent | undefined;
  #point: Point | undefined;
  readonly #pick: (place: readonly number[]) => void;

  constructor(signal: AbortSignal, pick: (place: readonly number[]) => void) {
    this.#pick = pick;
    const field = this.#field;
    this.element = h("div", { class: "as-places" }, field, this.#readout);
    this.#pixels.canvas.className = "as-channel";
    this.#pixels.canvas.setAttribute("aria-hidden", "true");
    field.addEventListener("pointermove", (event) => this.#look(this.#pointAt(event)), { signal });
    for (const name of ["pointerleave", "blur"]) {
      field.addEventListener(name, () => this.#look(undefined), { signal });
    }
    field.addEventListener(
      "click",
      (event) => {
        this.#look(this.#pointAt(event));
        this.#choose();
      },
      { signal },
    );
    field.addEventListener("keydown", (event) => this.#pressed(event), { signal });
  }

  /** Hidden where there is no place to pick: no channel, or one of a single value. */
  show(content: PickerContent | undefined): void {
    const { channels } = content ?? {};
    const changed = content?.channel !== this.#content?.channel || channels !== this.#content?.channels;
    this.#content = content;
    this.element.hidden = !channels || channels.rows * channels.columns === 1;
    if (!content || !channels || this.element.hidden) return;
    if (changed) this.#point = undefined;
    const { w, h: height, rows, columns } = channels;
    const { channel, table } = content;
    const values = valuesOf(channels[content.quantity]);
    const own = values.subarray(channel * w * height, (channel + 1) * w * height);
    this.#pixels.paint(w, height, (out) => paintValues(own, content.limit || 1, table, out));
    setAttribute(this.element, "data-flat", rows === 1 ? "1" : undefined);
    setAttribute(this.element, "data-nan", own.some(Number.isNaN) ? "1" : undefined);
    setAttribute(this.#field, "data-large", Math.max(w, height) <= 50 ? "1" : undefined);
    setVariable(this.#field, "--as-ratio", columns / rows);
    setAttribute(
      this.#field,
      "aria-label",
      `Places in ${channels.noun} ${channel}, ${rows > 1 ? `${rows} × ` : ""}${columns}: arrow keys move, Enter picks`,
    );
    this.#put(this.#mark, content.picked && pointOf(content.picked));
    this.#look(this.#point);
  }

  #pointAt(event: MouseEvent): Point | undefined {
    const { left, top, width, height } = this.#field.getBoundingClientRect();
    const content = this.#content;
    if (!content || !width || !height) return undefined;
    const { rows, columns } = content.channels;
    return {
      x: clamp(Math.floor(((event.clientX - left) / width) * columns), 0, columns - 1),
      y: clamp(Math.floor(((event.clientY - top) / height) * rows), 0, rows - 1),
    };
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && event.shiftKey) return; // runs the cell
    if (event.key === "Enter" || event.key === " ") this.#choose();
    else {
      const { channels, picked } = this.#content ?? {};
      if (!channels) return;
      const from = this.#point ?? (picked && pointOf(picked));
      const extent = { width: channels.columns, height: channels.rows };
      const to = crossStep(event.key, event.shiftKey, from, extent);
      if (!to) return;
      this.#look(to);
    }
    event.preventDefault();
  }

  #look(point: Point | undefined): void {
    const content = this.#content;
    this.#point = point;
    this.#put(this.#cursor, point);
    if (!content) return;
    const { channels, channel, quantity, picked } = content;
    const place = point ? placeAt(channels, point) : picked;
    setText(
      this.#readout,
      place ? valueName(channels, channel, quantity, place) : "Pick a place in it to look at that alone",
    );
  }

  #choose(): void {
    if (this.#point && this.#content) this.#pick(placeAt(this.#content.channels, this.#point));
  }

  #put(mark: HTMLElement, point: Point | undefined): void {
    mark.hidden = !point;
    const { rows = 1, columns = 1 } = this.#content?.channels ?? {};
    if (!point) return;
    for (const [name, share] of [
      ["--as-x", point.x / columns],
      ["--as-y", point.y / rows],
      ["--as-w", 1 / columns],
      ["--as-h", 1 / rows],
    ] as const) {
      setVariable(mark, name, share.toFixed(5));
    }
  }
}

function pointOf(place: readonly number[]): Point {
  const [first = 0, second] = place;
  return second === undefined ? { x: first, y: 0 } : { x: second, y: first };
}
