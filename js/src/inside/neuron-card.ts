/** The picked neuron: how active it is, what it contributes to each class, and the switch that takes it out. */
import { needKernel } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import type { Channels, Quantity } from "../data/channels";
import { channelOf, isOff, neuronName, placeOf } from "../data/neurons";
import { card } from "../lib/card";
import { h, setClipped, setText } from "../lib/dom";
import { button, type Select, select } from "../lib/form-controls";
import { number } from "../lib/format";
import { CHANNEL_TABLES, limits, signOf } from "../selection/channel-colours";
import { currentNeuronInfo, currentPatches, latestNeuronInfo, pickableChannels } from "../selection/channels";
import { markOf } from "../selection/freshness";
import { layerOf, nounOf, pickNeuron, toggleOff } from "../selection/neuron";
import type { State } from "../state/state";
import type { Neuron } from "../state/messages.generated";
import type { View } from "../state/view";
import { ClassContributions } from "./class-contributions";
import { PatchRow } from "./patch-row";
import { PositionPicker } from "./position-picker";

function activityText(activation: number | undefined, atBaseline: number | undefined): string {
  const now = `Activation ${activation === undefined ? "unknown" : number(activation)}`;
  return atBaseline === undefined ? now : `${now}, at the baseline ${number(atBaseline)}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export class NeuronCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-neuron", "Neuron");
  readonly #back: HTMLButtonElement;
  readonly #method: Select;
  readonly #methodRefusal: Refusal;
  readonly #toggle: HTMLButtonElement;
  readonly #whole: HTMLButtonElement;
  readonly #picker: PositionPicker;
  readonly #patches = new PatchRow();
  readonly #classes = new ClassContributions();
  readonly #activity = h("div", { class: "as-facts", dir: "auto" });
  readonly #doc = h("div", { class: "as-help", dir: "auto" });
  readonly #body: HTMLElement;
  readonly #state: State;
  readonly #quantity: () => Quantity;
  readonly #offRefusal: Refusal;

  /** `quantity` tells what the grid shows, which the enlarged channel shows too; `offRefusal` what cannot be switched off. */
  constructor(state: State, quantity: () => Quantity, offRefusal: Refusal) {
    this.#state = state;
    this.#quantity = quantity;
    this.#offRefusal = offRefusal;
    const { signal } = state;
    this.node = this.#frame.element;
    this.#back = button("as-link", "Back to layer", signal, () => pickNeuron(state, null));
    this.#back.title = "Pick no neuron: show the layer's own map again";
    this.#method = select("Neuron method", signal, (value) => {
      this.#methodRefusal.clear();
      state.choose("neuron_method", value);
    });
    this.#methodRefusal = new Refusal(state.view, "neuron_method", [this.#method.input]);
    this.#toggle = button("as-button", "Switch off", signal, () => this.#toggled());
    this.#whole = button("as-button", "Whole channel", signal, () => {
      pickNeuron(state, channelOf(state.view.get("neuron")) ?? null);
      this.#toggle.focus(); // the button goes with the place
    });
    needKernel(state, this.#back, this.#method.input, this.#toggle, this.#whole);
    this.#picker = new PositionPicker(signal, (place) => this.#pickPlace(place));
    this.#body = this.#build();
    state.follow(this);
  }

  /** Where the focus can go; undefined while nothing is picked. */
  get refuge(): HTMLElement | undefined {
    return this.#body.hidden ? undefined : this.#toggle;
  }

  show(view: View): void {
    this.#methodRefusal.show(view);
    const layer = layerOf(view);
    const neuron = view.get("neuron");
    const noun = layer === undefined ? "channel" : nounOf(view, layer);
    const picked = neuron !== null && layer !== undefined;
    this.#body.hidden = this.#back.hidden = !picked;
    if (picked) this.#showNeuron(view, layer, neuron, noun);
    else this.#frame.mark(undefined, false);
  }

  #build(): HTMLElement {
    const frame = this.#frame;
    const method = this.#method;
    const body = h(
      "div",
      { class: "as-neuron-body" },
      this.#activity,
      this.#patches.element,
      this.#picker.element,
      ...this.#classes.elements,
      this.#doc,
      h("div", { class: "as-neuron-method" }, method.element, this.#methodRefusal.node),
      h("div", { class: "as-actions" }, this.#toggle, this.#whole),
    );
    frame.head.append(h("span", { class: "as-hint" }), this.#back);
    frame.element.append(body);
    return body;
  }

  #showNeuron(view: View, layer: string, neuron: Neuron, noun: string): void {
    const frame = this.#frame;
    const activity = this.#activity;
    const whole = this.#whole;
    const channels = pickableChannels(view);
    const info = currentNeuronInfo(view);
    setClipped(frame.title, capital(info?.title ?? neuronName(neuron, noun, channels?.positions)));
    frame.mark(info ? undefined : markOf(view, true), false);
    setText(activity, activityText(info?.activation, info?.atBaseline));
    activity.hidden = !info;
    const classes = (info ?? latestNeuronInfo(view))?.classes ?? [];
    this.#classes.show(classes, info !== undefined, view.get("target"));
    setText(this.#doc, info?.doc ?? "");
    const patches = currentPatches(view);
    this.#patches.show(patches?.of.get(channelOf(neuron)!) ?? [], patches?.examples ?? 1);
    this.#showChannel(view, channels, neuron);
    setText(this.#toggle, isOff(view.get("ablated"), layer, neuron) ? "Switch on" : "Switch off");
    whole.hidden = placeOf(neuron) === undefined;
    setText(whole, `Whole ${noun}`);
    this.#showMethod(view);
  }

  #showChannel(view: View, channels: Channels | undefined, neuron: Neuron): void {
    const channel = channelOf(neuron)!;
    if (!channels || channel >= channels.count) {
      this.#picker.show(undefined);
      return;
    }
    const quantity = this.#quantity();
    const sign = signOf(channels, quantity);
    this.#picker.show({
      channels,
      channel,
      quantity,
      limit: limits(channels[quantity], sign, false, 0)(channel),
      table: CHANNEL_TABLES[sign](view),
      picked: placeOf(neuron),
    });
  }

  #showMethod(view: View): void {
    const { element } = this.#method;
    const methods = view.get("neuron_methods");
    const name = view.get("neuron_method");
    element.hidden = methods.length === 0;
    this.#method.show(
      methods.map((one) => ({ value: one.name, label: one.label })),
      name,
    );
    element.title = methods.find((one) => one.name === name)?.doc ?? "";
  }

  #toggled(): void {
    const neuron = this.#state.view.get("neuron");
    this.#offRefusal.clear();
    if (neuron !== null) toggleOff(this.#state, neuron);
  }

  #pickPlace(place: readonly number[]): void {
    const neuron = this.#state.view.get("neuron");
    const channel = channelOf(neuron);
    if (channel === undefined) return;
    const same = placeOf(neuron)?.join() === place.join();
    pickNeuron(this.#state, same ? channel : [channel, ...place]);
  }
}
