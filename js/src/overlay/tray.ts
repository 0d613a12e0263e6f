/** The tray: the button that keeps the map on show, and a list of what was kept, to pick from and to let go of. */
import { whyOff } from "../controls/needs-kernel";
import { scaleOf } from "../data/statistics";
import { context, pictureCanvas, PixelBuffer } from "../lib/canvas";
import { clipped, focusNear, h, setAttribute, setClipped, setText } from "../lib/dom";
import { button, type Select, select, setOff } from "../lib/form-controls";
import { Popup } from "../lib/popup";
import { type Displayed, displayed } from "../selection/displayed";
import {
  arrangement,
  countAlike,
  MOST_PICKED,
  type Pin,
  picked,
  pinOnShow,
  pins,
  WAYS,
} from "../selection/pins";
import { type Style, style } from "../selection/style";
import type { CompareAs } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** Pixels of a small picture; it is drawn twice as fine. */
const SIDE = 40;

/** Why the map on show cannot be pinned; undefined when it can. */
function whyNotPin(view: View): string | undefined {
  const off = whyOff(view.kernel);
  if (off) return off;
  const { kind } = displayed(view);
  if (kind === "walk") return "A map on its way from the baseline is not kept: go to alpha 1";
  if (kind !== "heat") return "There is no map to keep";
  return pinOnShow(view) === undefined ? undefined : "This map is pinned";
}

const OWN_SCALES = "Each on a scale of its own: their numbers are not the same thing.";

/** What is done with what is picked, in words. */
function explained(view: View): string {
  const { kind, pair, why, right } = arrangement(view);
  if (!pair && picked(view).length)
    return "This is the map on show: choose another one, and they stand beside each other.";
  if (!pair) return "Tick one to see it with the map on show, or two to see them with each other.";
  if (why) return `${why[0]!.toUpperCase()}${why.slice(1)}: they stand side by side.`;
  const alike = countAlike(pair);
  const two = picked(view).length === MOST_PICKED;
  if (kind === "difference")
    return two ? "The one ticked first minus the other." : "The map on show minus the pin.";
  if (kind === "flicker") return alike ? "One after the other, on the same scale." : OWN_SCALES;
  if (!alike) return OWN_SCALES;
  return right ? "Both on one scale." : "The pin and the map on show, on one scale.";
}

/** A pin in the list. */
class Line {
  readonly node: HTMLElement;
  readonly remove: HTMLButtonElement;
  readonly #check: HTMLInputElement;
  readonly #name = clipped("as-pin-name");
  readonly #canvas = h("canvas", {
    class: "as-pin-small",
    width: 2 * SIDE,
    height: 2 * SIDE,
    "aria-hidden": "true",
  });
  readonly #pixels = new PixelBuffer();

  constructor(state: State, pin: Pin, pick: (id: number, on: boolean) => void) {
    this.#check = h("input", { class: "as-check", type: "checkbox" });
    this.#check.addEventListener("change", () => pick(pin.id, this.#check.checked), { signal: state.signal });
    const name = `${pin.id}. ${pin.shown.title}`;
    setClipped(this.#name, name);
    this.remove = button("as-link", "Remove", state.signal, () => state.send({ type: "unpin", pin: pin.id }));
    setAttribute(this.remove, "aria-label", `Remove ${name}`);
    const label = h("label", { class: "as-pin-label" }, this.#check, this.#canvas, this.#name);
    this.node = h("li", { class: "as-pin-line" }, label, this.remove);
  }

  show(view: View, pin: Pin, look: Style): void {
    const order = picked(view).findIndex(({ id }) => id === pin.id);
    const full = order < 0 && picked(view).length >= MOST_PICKED;
    this.#check.checked = order >= 0;
    this.#check.disabled = full;
    this.#check.title = full ? "Two at most: untick one first" : "";
    this.remove.disabled = whyOff(view.kernel) !== undefined;
    this.#draw(pin.shown, look);
  }

  /** As on the stage, on a scale of its own. */
  #draw({ picture, field }: Displayed, { table, sign, outlierPercent, mode }: Style): void {
    const ctx = context(this.#canvas);
    if (!ctx) return;
    const w = picture?.w ?? field?.w ?? 1;
    const height = picture?.h ?? field?.h ?? 1;
    const scale = (2 * SIDE) / Math.max(w, height);
    const [wide, high] = [w * scale, height * scale];
    const [x, y] = [SIDE - wide / 2, SIDE - high / 2];
    ctx.clearRect(0, 0, 2 * SIDE, 2 * SIDE);
    ctx.imageSmoothingQuality = "high";
    if (picture && mode !== "heat") ctx.drawImage(pictureCanvas(picture.image), x, y, wide, high);
    if (!field || !table) return;
    const { limit } = scaleOf(field.reference, sign, outlierPercent);
    if (!this.#pixels.paint(field.w, field.h, (out) => field.paint(limit, table, out))) return;
    const { w: across, h: down } = field.extent;
    ctx.imageSmoothingEnabled = field.side === 1;
    ctx.drawImage(this.#pixels.canvas, 0, 0, across, down, x, y, wide, high);
  }
}

export class Tray {
  /** The button that keeps the map on show. */
  readonly pin: HTMLButtonElement;
  /** The button of the list, and the list. */
  readonly node: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #popup: Popup;
  readonly #list = h("ul", { class: "as-pin-list" });
  readonly #note = h("div", { class: "as-note" });
  readonly #way: Select;
  #lines = new Map<number, Line>();
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const { signal } = state;
    this.pin = button("as-button", "Pin", signal, () => state.send({ type: "pin" }));
    this.#button = button("as-disclose", "Pins", signal, () => undefined);
    this.#popup = new Popup(this.#button, "as-tray", signal, () => this.show(state.view));
    this.#way = select("Shown as", signal, (value) => state.set("compare_as", value as CompareAs));
    this.#popup.panel.append(this.#list, this.#way.element, this.#note);
    this.node = this.#popup.element;
    state.follow(this);
  }

  show(view: View): void {
    // Read whether the list is open or not: what was not read is not followed.
    const [all, look, about, way] = [pins(view), style(view), explained(view), view.get("compare_as")];
    const why = whyNotPin(view);
    setOff(this.pin, why !== undefined);
    const title = why ?? "Keep this map, and look at others beside it on the same scale";
    if (this.pin.title !== title) this.pin.title = title;
    setText(this.#button, `Pins (${all.length})`);
    this.#button.title = "Look at what was pinned";
    if (!all.length && this.#popup.open) this.#leave();
    this.#button.hidden = all.length === 0;
    if (!this.#popup.open) return;
    this.#fill(view, all, look);
    this.#way.show(WAYS, way);
    this.#way.input.disabled = picked(view).length === 0;
    setText(this.#note, about);
  }

  /** The last pin is gone, and with it the button below which the list is. */
  #leave(): void {
    const inside = this.node.contains(focusNear(this.node));
    this.#popup.close(false);
    if (inside) this.pin.focus();
  }

  #fill(view: View, all: readonly Pin[], look: Style): void {
    const known = this.#lines;
    const lines = all.map((pin) => {
      const line = known.get(pin.id) ?? new Line(this.#state, pin, this.#pick);
      line.show(view, pin, look);
      return [pin.id, line] as const;
    });
    this.#lines = new Map(lines);
    const nodes = lines.map(([, { node }]) => node);
    if (
      nodes.length !== this.#list.children.length ||
      nodes.some((node, i) => node !== this.#list.children[i])
    ) {
      const focused = focusNear(this.#list);
      const at = [...this.#list.children].findIndex((node) => node.contains(focused));
      this.#list.replaceChildren(...nodes);
      // What was taken out and put in again has lost the focus; of a line that is gone, the next one gets it.
      if (this.#list.contains(focused)) (focused as HTMLElement).focus();
      else if (at >= 0) lines[Math.min(at, lines.length - 1)]?.[1].remove.focus();
    }
  }

  readonly #pick = (id: number, on: boolean): void => {
    const others = picked(this.#state.view)
      .map((pin) => pin.id)
      .filter((other) => other !== id);
    this.#state.set("beside", on ? [...others, id].slice(-MOST_PICKED) : others);
  };
}
