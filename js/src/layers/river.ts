/**
 * The depth of the model as a river from left to right: a slider through all layers that have a map, in the order in
 * which they run, drawn with what lies there. It asks nobody while one goes along it; see `selection/layer.ts`.
 */
import { numberAt, placeOf } from "../data/layer-stops";
import { h, setAttribute, setText, setVariable } from "../lib/dom";
import { showRange } from "../lib/form-controls";
import { currentPicture } from "../selection/displayed";
import { canPick, layerNumber, layerText, mappedLayers, numberedLayer } from "../selection/layer";
import { relevanceOf } from "../selection/relevance";
import { riverMap, riverReaches, riverStretches, stopText, stopTooltip } from "../selection/river";
import { stageWords } from "../selection/words";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { RiverBand } from "./river-band";
import { RiverMaps } from "./river-maps";

const LEGEND = "order of execution · width: channels · shade: what passes";

export class River {
  readonly node: HTMLElement;
  /** What the keys and those who listen have: a range that lies under the drawing. */
  readonly #input = h("input", {
    class: "as-river-input",
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Depth",
    "aria-keyshortcuts": "[ ]",
  });
  readonly #maps = new RiverMaps();
  readonly #band = new RiverBand();
  readonly #field = h("div", { class: "as-river-field" }, this.#maps.element, this.#band.element);
  readonly #words = h("span", { class: "as-clip as-river-words", dir: "auto" });
  /** What the two colours of the water say. */
  readonly #keys = h(
    "span",
    { class: "as-river-keys" },
    h("span", { class: "as-river-key" }, "for"),
    h("span", { class: "as-river-key", "data-sign": "-" }, "against"),
  );
  readonly #state: State;
  readonly #pick: (name: string | null) => void;
  /** The stop that somebody points at. */
  #pointed: number | undefined;

  /** `pick` takes the name of a layer, or null for the input. */
  constructor(state: State, pick: (name: string | null) => void) {
    this.#state = state;
    this.#pick = pick;
    const { signal } = state;
    this.node = h(
      "div",
      { class: "as-river" },
      this.#input,
      this.#field,
      h(
        "div",
        { class: "as-river-legend", "aria-hidden": "true" },
        h("span", {}, stageWords(state.view).example),
        this.#words,
        this.#keys,
        h("span", {}, "output"),
      ),
    );
    this.#input.addEventListener("input", () => this.#goTo(Number(this.#input.value)), { signal });
    const field = this.#field;
    field.addEventListener("pointerdown", (event) => this.#grabbed(event), { signal });
    field.addEventListener("pointermove", (event) => this.#moved(event), { signal });
    field.addEventListener("pointerleave", () => this.#look(undefined), { signal });
    state.follow(this);
  }

  show(view: View): void {
    const { length } = mappedLayers(view);
    this.node.hidden = length === 0;
    const input = this.#input;
    const number = layerNumber(view);
    input.max = String(length);
    showRange(input, number, layerText(view));
    if (!length) return;
    const stretches = riverStretches(view);
    setVariable(this.node, "--as-rooms", stretches.length + 1);
    this.#maps.element.hidden = !view.has("layer_maps");
    this.#maps.resize(stretches.length);
    this.#maps.showPicture(currentPicture(view));
    stretches.forEach((stretch, i) => this.#maps.show(i, riverMap(view, stretch)));
    this.#maps.mark(number === 0 ? 0 : 1 + stretches.findIndex(({ last }) => number <= last));
    this.#band.draw(riverReaches(view), stretches);
    this.#band.mark(placeOf(stretches, number));
    const { label, doc } = view.get("layer_relevance");
    this.#keys.hidden = relevanceOf(view).size === 0; // the water is grey while nothing is known of what passes
    const legend = this.#keys.parentElement!;
    legend.title = [LEGEND, label && `What passes, and what a layer carries: ${label}`, doc]
      .filter(Boolean)
      .join("\n");
    this.#say(view);
  }

  #say(view: View): void {
    const pointed = this.#pointed;
    setText(this.#words, pointed === undefined ? LEGEND : stopText(view, pointed));
    setAttribute(this.#field, "title", pointed === undefined ? undefined : stopTooltip(view, pointed));
  }

  /** The stop under a pointer: on a map that of the map, on the water the nearest one. */
  #under(event: PointerEvent): number | undefined {
    const { left, width } = this.#field.getBoundingClientRect();
    if (!width) return undefined;
    const { view } = this.#state;
    const stretches = riverStretches(view);
    const share = (event.clientX - left) / width;
    if (!this.#maps.element.contains(event.target as Node)) return numberAt(stretches, share);
    const room = Math.min(stretches.length, Math.max(0, Math.floor(share * (stretches.length + 1))));
    const stretch = stretches[room - 1];
    if (!stretch) return 0;
    const present = layerNumber(view);
    return present >= stretch.first && present <= stretch.last ? present : stretch.last;
  }

  #grabbed(event: PointerEvent): void {
    const number = event.button === 0 ? this.#under(event) : undefined;
    if (number === undefined) return;
    event.preventDefault(); // the focus goes to the slider, and nothing is selected
    this.#input.focus({ preventScroll: true });
    this.#field.setPointerCapture(event.pointerId);
    this.#goTo(number);
    this.#look(number);
  }

  #moved(event: PointerEvent): void {
    const number = this.#under(event);
    this.#look(number);
    if (number !== undefined && this.#field.hasPointerCapture(event.pointerId)) this.#goTo(number);
  }

  #look(number: number | undefined): void {
    if (number === this.#pointed) return;
    this.#pointed = number;
    this.#say(this.#state.view);
  }

  #goTo(number: number): void {
    const { view } = this.#state;
    const name = numberedLayer(view, number);
    if (number !== layerNumber(view) && canPick(view, name)) this.#pick(name);
    else this.show(view); // it stays where the picked layer is
  }
}
