/** Inside the picked layer: its channels, the picked neuron, and what happens without some of them. */
import { Refusal } from "../controls/refusal";
import { h } from "../lib/dom";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { ChannelsCard } from "./channels-card";
import { NeuronCard } from "./neuron-card";
import { WhatIfCard } from "./what-if";

/** What is switched off stays in sight when its layer is left. */
export class Inside {
  readonly node: HTMLElement;
  readonly #channels: ChannelsCard;
  readonly #neuron: NeuronCard;
  /** Of what cannot be switched off. */
  readonly #refusal: Refusal;

  constructor(state: State) {
    this.#refusal = new Refusal(state.view, "ablated", []);
    this.#channels = new ChannelsCard(state, () => state.redraw(this.#neuron));
    this.#neuron = new NeuronCard(state, () => this.#channels.quantity, this.#refusal);
    const whatIf = new WhatIfCard(state, () => this.#neuron.refuge ?? this.#channels.refuge, this.#refusal);
    this.node = h(
      "div",
      { class: "as-inside", hidden: true },
      this.#channels.node,
      this.#refusal.node,
      whatIf.node,
      this.#neuron.node,
    );
    state.follow(this);
  }

  show(view: View): void {
    this.#refusal.show(view);
    const picked = view.get("layer") !== null;
    this.#channels.node.hidden = !picked;
    this.#neuron.node.hidden = !picked || view.get("neuron") === null;
    this.node.hidden = !picked && view.get("ablated").length === 0;
  }
}
