/** Inside the picked layer: its channels, the picked neuron, and what happens without some of them. */
import { Refusal } from "../controls/refusal";
import { h } from "../lib/dom";
import { ablatedOf } from "../selection/channels";
import type { State } from "../state/state";
import { channelsCard } from "./channels-card";
import { neuronCard } from "./neuron-card";
import { whatIfCard } from "./what-if";

/** None where the kernel knows nothing of it. What is switched off stays in sight when its layer is left. */
export function inside(state: State, el: HTMLElement): void {
  if (!state.has("channels")) return;
  const channels = channelsCard(state, () => neuron.show());
  const refusal = new Refusal(state, "ablated", []);
  const neuron = neuronCard(state, () => channels.quantity, refusal);
  const whatIf = whatIfCard(state, () => neuron.refuge ?? channels.refuge, refusal);
  const element = h(
    "div",
    { class: "as-inside", hidden: true },
    channels.element,
    h("div", { class: "as-inside-beside" }, neuron.element, refusal.element, whatIf.element),
  );
  el.append(element);
  state.follow(["layer", "ablated"], () => {
    const picked = typeof state.get("layer") === "string";
    channels.element.hidden = neuron.element.hidden = !picked;
    element.hidden = !picked && ablatedOf(state).length === 0;
  });
}
