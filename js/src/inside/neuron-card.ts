/** The picked neuron: how active it is, what it contributes to each class, and the switch that takes it out. */
import { needKernel } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { neuronInfo, type Quantity } from "../data/channels";
import { singleIndex } from "../data/messages";
import { channelOf, isOff, neuronName, placeOf } from "../data/neurons";
import { barSpan } from "../lib/bars";
import { card } from "../lib/card";
import { clipped, h, setAttribute, setClipped, setText, setVariable } from "../lib/dom";
import { button, select } from "../lib/form-controls";
import { aligned, number } from "../lib/format";
import { limits, signOf, tableReader } from "../selection/channel-colours";
import { ablatedOf, areOfLayer, currentChannels, currentNeuronInfo } from "../selection/channels";
import { markOf } from "../selection/freshness";
import { layerOf, nounOf, pickNeuron, toggleOff } from "../selection/neuron";
import type { State } from "../state/state";
import type { NeuronClass } from "../state/traits";
import { Places } from "./position-picker";

export interface NeuronCard {
  readonly element: HTMLElement;
  /** Where the focus can go; undefined while nothing is picked. */
  readonly refuge: HTMLElement | undefined;
  show(): void;
}

/** `quantity` tells what the grid shows, which the enlarged channel shows too; `offRefusal` what cannot be switched off. */
export function neuronCard(state: State, quantity: () => Quantity, offRefusal: Refusal): NeuronCard {
  const { signal } = state;
  const frame = card("as-neuron", "Neuron");
  const back = button("as-link", "Back to layer", signal, () => pickNeuron(state, null));
  back.title = "Pick no neuron: show the layer's own map again";
  frame.head.append(h("span", { class: "as-hint" }), back);

  const method = select("Neuron method", signal, (value) => {
    methodRefusal.clear();
    state.choose("neuron_method", value);
  });
  const methodRefusal = new Refusal(state, "neuron_method", [method.input]);
  const toggle = button("as-button", "Switch off", signal, () => {
    const neuron = state.get("neuron") ?? null;
    offRefusal.clear();
    if (neuron !== null) toggleOff(state, neuron);
  });
  const whole = button("as-button", "Whole channel", signal, () => {
    pickNeuron(state, channelOf(state.get("neuron")) ?? null);
    toggle.focus(); // the button goes with the place
  });
  needKernel(state, back, method.input, toggle, whole);

  const readTable = tableReader(state);
  const places = new Places(signal, (place) => {
    const neuron = state.get("neuron");
    const channel = channelOf(neuron);
    if (channel === undefined) return;
    const same = placeOf(neuron)?.join() === place.join();
    pickNeuron(state, same ? channel : [channel, ...place]);
  });

  const invitation = h("div", { class: "as-note" });
  const activity = h("div", { class: "as-facts", dir: "auto" });
  const heading = h("div", { class: "as-label" }, "Contribution to the top classes");
  const classes = h("ul", { class: "as-shares", role: "list" });
  const doc = h("div", { class: "as-help", dir: "auto" });
  const body = h(
    "div",
    { class: "as-neuron-body" },
    activity,
    places.element,
    heading,
    classes,
    doc,
    h("div", { class: "as-neuron-method" }, method.element, methodRefusal.element),
    h("div", { class: "as-actions" }, toggle, whole),
  );
  frame.element.append(invitation, body);

  let rows: readonly ShareRow[] = [];
  let built = "";
  /** The bars around zero; without amounts the classes stay, with nothing said about them. */
  const showClasses = (items: readonly NeuronClass[], known: boolean): void => {
    const key = JSON.stringify(items.map(({ index, label }) => [index, label]));
    if (key !== built) {
      built = key;
      rows = items.map(({ label }) => shareRow(label));
      classes.replaceChildren(...rows.map(({ element }) => element));
    }
    const values = items.map(({ contribution }) => (known ? (contribution ?? NaN) : NaN));
    const limit = Math.max(...values.map(Math.abs).filter(Number.isFinite));
    const texts = aligned(values);
    const target = singleIndex(state.get("target"));
    items.forEach(({ index, contribution }, i) => {
      const { element, amount, note } = rows[i]!;
      const value = values[i]!;
      const { from, to } = barSpan(value, -limit, limit);
      setVariable(element, "--as-from", from.toFixed(4));
      setVariable(element, "--as-to", to.toFixed(4));
      const unknown = !known || contribution === null;
      setText(amount, unknown ? "–" : value > 0 ? `+${texts[i]}` : texts[i]!);
      setText(note, index === target ? ", explained" : "");
      setAttribute(element, "data-explained", index === target ? "1" : undefined);
    });
  };

  const show = (): void => {
    const layer = layerOf(state);
    const neuron = state.get("neuron") ?? null;
    const picked = neuron !== null && layer !== undefined;
    const noun = layer === undefined ? "channel" : nounOf(state, layer);
    invitation.hidden = picked;
    body.hidden = back.hidden = !picked;
    if (!picked) {
      setText(
        invitation,
        `Pick a ${noun} to see how active it is, what it contributes to each class, and what drives it. ` +
          "Enter picks, the key x switches off.",
      );
      setClipped(frame.title, "Neuron");
      frame.mark(undefined, false);
      return;
    }
    const all = currentChannels(state);
    const channels = all && areOfLayer(state, all) ? all : undefined;
    const info = currentNeuronInfo(state);
    setClipped(frame.title, capital(info?.title ?? neuronName(neuron, noun, channels?.positions)));
    frame.mark(info ? undefined : markOf(state, true), false);
    setText(activity, activityText(info?.activation, info?.atBaseline));
    activity.hidden = !info;
    const last = neuronInfo(state.get("neuron_info") ?? {});
    showClasses((info ?? last)?.classes ?? [], info !== undefined);
    heading.hidden = rows.length === 0;
    setText(doc, info?.doc ?? "");

    const channel = channelOf(neuron)!;
    const shown = quantity();
    if (channels && channel < channels.count) {
      const sign = signOf(channels, shown);
      places.show({
        channels,
        channel,
        quantity: shown,
        limit: limits(channels[shown], sign, false, 0)(channel),
        table: readTable(sign),
        picked: placeOf(neuron),
      });
    } else {
      places.show(undefined);
    }
    setText(toggle, isOff(ablatedOf(state), layer, neuron) ? "Switch on" : "Switch off");
    whole.hidden = placeOf(neuron) === undefined;
    setText(whole, `Whole ${noun}`);

    const methods = state.get("neuron_methods") ?? [];
    const name = state.get("neuron_method") ?? "";
    method.element.hidden = methods.length === 0;
    method.show(
      methods.map((one) => ({ value: one.name, label: one.label })),
      name,
    );
    method.element.title = methods.find((one) => one.name === name)?.doc ?? "";
  };
  state.follow(
    [
      "layer",
      "neuron",
      "neuron_info",
      "neuron_method",
      "neuron_methods",
      "channels",
      "ablated",
      "target",
      "contrast",
      "example",
      "luts",
      "colormap",
      "status",
      "kernel",
    ],
    show,
  );
  return {
    element: frame.element,
    show,
    get refuge() {
      return body.hidden ? undefined : toggle;
    },
  };
}

interface ShareRow {
  readonly element: HTMLElement;
  readonly amount: HTMLElement;
  readonly note: HTMLElement;
}

function shareRow(label: string): ShareRow {
  const amount = h("span");
  const note = h("span", { class: "as-sizeless" });
  const element = h(
    "li",
    { class: "as-share" },
    clipped("as-name", label),
    h("span", { class: "as-track", "aria-hidden": "true" }, h("span", { class: "as-amount" })),
    h("span", { class: "as-number" }, amount, note),
  );
  return { element, amount, note };
}

function activityText(activation: number | undefined, atBaseline: number | undefined): string {
  const now = `Activation ${activation === undefined ? "unknown" : number(activation)}`;
  return atBaseline === undefined ? now : `${now}, at the baseline ${number(atBaseline)}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
