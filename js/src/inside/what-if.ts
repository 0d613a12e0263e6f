/** What if: the neurons that are switched off, and the ways back. */
import { needKernel, whyOff } from "../controls/needs-kernel";
import { Refusal } from "../controls/refusal";
import { singleIndex } from "../data/messages";
import { neuronName } from "../data/neurons";
import { card } from "../lib/card";
import { clipped, h, setClipped, setText } from "../lib/dom";
import { button, select } from "../lib/form-controls";
import { number, percent } from "../lib/format";
import { ablatedOf, currentWhatIf } from "../selection/channels";
import { markOf } from "../selection/freshness";
import { nounOf, setAblated } from "../selection/neuron";
import type { State } from "../state/state";
import type { AblateTo } from "../state/traits";

const SET_TO: readonly { value: AblateTo; label: string }[] = [
  { value: "zero", label: "Zero" },
  { value: "baseline", label: "Its value at the baseline" },
];

/** `refuge` is where the focus goes when the card goes. */
export function whatIfCard(
  state: State,
  refuge: () => HTMLElement | undefined,
  refusal: Refusal,
): { readonly element: HTMLElement } {
  const { signal } = state;
  const frame = card("as-whatif", "What if");
  const list = h("ul", { class: "as-off", role: "list", "aria-label": "Switched off" });
  const undo = button("as-button", "Undo", signal, () => {
    refusal.clear();
    setAblated(state, ablatedOf(state).slice(0, -1));
  });
  undo.title = "Switch the last one on again";
  const clear = button("as-button", "Clear", signal, () => {
    refusal.clear();
    setAblated(state, []);
  });
  clear.title = "Switch all on again";
  const setTo = select("Set to", signal, (value) => {
    toRefusal.clear();
    state.choose("ablate_to", value as AblateTo);
  });
  needKernel(state, undo, clear, setTo.input);
  const toRefusal = new Refusal(state, "ablate_to", [setTo.input]);
  const result = h("div", { class: "as-facts", dir: "auto", "aria-live": "polite" });
  const message = h("div", { class: "as-warning", dir: "auto", hidden: true });
  frame.element.append(
    list,
    result,
    message,
    setTo.element,
    h("div", { class: "as-actions" }, undo, clear),
    toRefusal.element,
    h(
      "div",
      { class: "as-note" },
      "The model itself is not touched: the map goes on explaining it as it is, and only the predictions change.",
    ),
  );

  let built = "";
  let removes: HTMLButtonElement[] = [];
  const remove = (i: number): void => {
    refusal.clear();
    setAblated(
      state,
      ablatedOf(state).filter((_, j) => j !== i),
    );
  };
  const build = (names: readonly string[]): void => {
    const held = removes.findIndex((one) => one.matches(":focus"));
    removes = names.map((name, i) => {
      const element = button("as-link", "×", signal, () => remove(i));
      element.setAttribute("aria-label", `Switch on again: ${name}`);
      element.title = "Switch on again";
      return element;
    });
    list.replaceChildren(...names.map((name, i) => h("li", {}, clipped("as-name", name), removes[i]!)));
    if (held >= 0) removes[Math.min(held, removes.length - 1)]?.focus();
  };

  const show = (): void => {
    const ablated = ablatedOf(state);
    const names = ablated.map(([layer, neuron]) => {
      return `${layer || "the model"}: ${neuronName(neuron, nounOf(state, layer))}`;
    });
    const empty = ablated.length === 0;
    const held = frame.element.contains((frame.element.getRootNode() as Document | ShadowRoot).activeElement);
    const key = JSON.stringify(names);
    if (key !== built) {
      built = key;
      build(names);
    }
    frame.element.hidden = empty;
    if (empty) {
      if (held) refuge()?.focus();
      return;
    }
    const why = whyOff(state.kernel);
    for (const one of removes) one.disabled = why !== undefined;
    setTo.element.hidden = !state.has("ablate_to");
    setTo.show(SET_TO, state.get("ablate_to") ?? "zero");

    const answer = currentWhatIf(state);
    frame.mark(answer ? undefined : markOf(state, true), false);
    const target = singleIndex(state.get("target"));
    const explained = answer?.items.find(({ index }) => index === target);
    const text = answer?.isScore ? number : percent;
    setClipped(
      result,
      explained ? `${explained.label}: ${text(explained.before)} → ${text(explained.after)}` : "",
    );
    setText(message, answer?.message ?? "");
    message.hidden = !answer?.message;
  };
  state.follow(
    ["ablated", "ablate_to", "what_if", "layers", "channels", "example", "target", "status", "kernel"],
    show,
  );
  return frame;
}
