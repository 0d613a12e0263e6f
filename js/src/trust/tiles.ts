/** The maps of the compared methods beside each other, from the best to the worst by a metric. */
import { whyOff } from "../controls/needs-kernel";
import { focusNear, h, setAttribute } from "../lib/dom";
import { select, type Select } from "../lib/form-controls";
import { bySize } from "../data/table";
import { derived } from "../lib/derived";
import { currentPicture, displayed } from "../selection/displayed";
import { agreesOn } from "../selection/freshness";
import { isShown, pickCompared } from "../selection/methods";
import { style } from "../selection/style";
import { currentTable } from "../selection/table";
import type { State } from "../state/state";
import type { RawComparison } from "../state/messages.generated";
import type { View } from "../state/view";
import { type Ranked, ranked, rankedBy } from "./ranking";
import { Tile } from "./tile";
import { MOST_BARS } from "./tile-bars";

/** The columns that the map on show ranks highest, in their order; undefined for pictures. */
const largestColumns = derived((view: View): readonly number[] | undefined => {
  const count = currentTable(view)?.columns.length;
  if (count === undefined) return undefined;
  const reference = displayed(view).field?.reference;
  const ranking =
    reference?.length === count ? bySize(reference) : Array.from({ length: count }, (_, i) => i);
  return ranking.slice(0, MOST_BARS);
});

export class Tiles {
  readonly element: HTMLElement;
  /** By which metric they are ranked. */
  readonly menu: Select;
  readonly #list = h("ol", { class: "as-tiles" });
  readonly #state: State;
  #tiles: ReadonlyMap<string, Tile> = new Map();
  #ranked: readonly Ranked[] = [];
  #wanted: string | undefined;
  #source: RawComparison | undefined;

  constructor(state: State, reranked: () => void) {
    this.#state = state;
    this.menu = select("Ranked by", state.signal, (name) => {
      this.#wanted = name;
      this.#source = undefined;
      reranked();
    });
    this.element = this.#list;
  }

  show(view: View, raw: RawComparison): void {
    if (raw !== this.#source) this.#fill(raw);
    const off = whyOff(view.kernel);
    const same = agreesOn(view, "example", raw.request ?? {});
    const picture = same ? currentPicture(view) : undefined;
    const look = { ...style(view), picture, columns: largestColumns(view) };
    for (const one of this.#ranked) {
      const tile = this.#tiles.get(one.method.name)!;
      tile.mark(isShown(view, one.method), off);
      tile.draw(one, look);
    }
  }

  /** One tile for each method, the same as before where it was there, in their order. */
  #fill(raw: RawComparison): void {
    this.#source = raw;
    const { metrics = [], awaited = [] } = raw;
    const metric = rankedBy(raw, this.#wanted);
    const { name = "", arrow = "", better = "" } = metrics[metric] ?? {};
    const options = metrics.map((one) => ({ value: one.name, label: `${one.name} ${one.arrow}` }));
    this.menu.show(options, name);
    this.menu.element.title = better ? `${name} ${arrow}: ${better} is better` : "";
    setAttribute(this.#list, "aria-label", `Methods, the best by ${name} first`);
    const held = [...this.#tiles.values()].find(({ pick }) => pick === focusNear(pick));
    this.#ranked = ranked(raw, metric);
    const before = this.#tiles;
    this.#tiles = new Map(
      this.#ranked.map(({ method }) => {
        const pressed = (): void => this.#pick(method.name);
        return [method.name, before.get(method.name) ?? new Tile(method.name, method.control, pressed)];
      }),
    );
    for (const one of this.#ranked) this.#tiles.get(one.method.name)!.tell(one, name);
    this.#list.replaceChildren(
      ...[...this.#tiles.values()].map(({ node }) => node),
      ...awaited.map((label) => h("li", { class: "as-tile", "data-awaited": "1" }, empty(label))),
    );
    if (held && this.#tiles.get(held.name) === held) held.pick.focus({ preventScroll: true });
  }

  #pick(name: string): void {
    const one = this.#ranked.find(({ method }) => method.name === name);
    if (one) pickCompared(this.#state, one.method);
  }
}

/** Room for a method that is still to come. */
function empty(label: string): HTMLElement {
  return h(
    "div",
    { class: "as-tile-pick" },
    h("div", { class: "as-tile-map" }),
    h("span", { class: "as-tile-name", dir: "auto" }, label),
    h("span", { class: "as-tile-score" }, "…"),
  );
}
