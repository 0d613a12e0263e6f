/** What reads a region: of some layers, from early to late, the channel that contributes most there. */
import { h, setAttribute } from "../lib/dom";
import { button } from "../lib/form-controls";
import { brief, percent } from "../lib/format";
import { canPick, pickLayer } from "../selection/layer";
import { pickNeuron } from "../selection/neuron";
import type { RawReader } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";

export class Readers {
  readonly node: HTMLElement;
  readonly #list = h("ul", { class: "as-readers-list", "aria-label": "What reads this region" });
  readonly #state: State;
  #source: readonly RawReader[] = [];

  constructor(state: State) {
    this.#state = state;
    const title = "Of some layers, from early to late, the channel that contributes most where the region is";
    this.node = h("div", { class: "as-readers", title }, "Read by", this.#list);
  }

  show(view: View, readers: readonly RawReader[]): void {
    this.node.hidden = readers.length === 0;
    if (readers !== this.#source) {
      this.#source = readers;
      this.#list.replaceChildren(...readers.map((one) => h("li", {}, this.#button(one))));
    }
    readers.forEach(({ layer }, i) => {
      (this.#list.children[i]!.firstElementChild as HTMLButtonElement).disabled = !canPick(view, layer);
    });
  }

  #button({ layer, channel, noun, contribution, share }: RawReader): HTMLButtonElement {
    const pick = button("as-reader", "", this.#state.signal, () => {
      const state = this.#state;
      state.set("tab", "inside");
      pickLayer(state, layer);
      pickNeuron(state, [channel]);
    });
    const number = h("span", { class: "as-number" }, `#${channel}`);
    setAttribute(number, "data-sign", contribution < 0 ? "-" : "+");
    pick.append(h("bdi", { class: "as-reader-layer" }, layer), number);
    const weight = `${percent(share)} of what its ${noun}s contribute here`;
    pick.title = `${layer}, ${noun} ${channel}: ${brief(contribution)}, ${weight}. Look inside it`;
    setAttribute(pick, "aria-label", `${layer}, ${noun} ${channel}, ${brief(contribution)}`);
    return pick;
  }
}
