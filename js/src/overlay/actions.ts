/** What can be asked about the map on show: to refine it, and for the code that makes it; and what to know about it. */
import { whyOff } from "../controls/needs-kernel";
import { CopyBox, toClipboard } from "../lib/clipboard";
import { h, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { currentHeat } from "../selection/displayed";
import { heatIsStale } from "../selection/freshness";
import type { State } from "../state/state";
import { CHOICES } from "../state/traits";

/** Why the map cannot be refined now; undefined when it can. */
export function whyNotRefine(state: State): string | undefined {
  const off = whyOff(state.kernel);
  if (off) return off;
  if (state.get("status") === "running") return "Wait for the present computation, or cancel it";
  const heat = currentHeat(state);
  if (!heat) return "There is no map to refine";
  if (heatIsStale(state, heat)) return "The map on show is not the one that is chosen";
  if (!heat.refinable) return "This map is exact, or its method has nothing to spend more on";
  return undefined;
}

/** The button that spends more on the estimate; none where there is nobody to ask. */
export function refineButton(state: State): HTMLElement[] {
  if (!state.has("effort")) return [];
  const refine = button("as-button as-refine", "Refine", state.signal, () => state.send({ type: "refine" }));
  const show = (): void => {
    const why = whyNotRefine(state);
    const effort = state.get("effort") ?? 0;
    refine.disabled = why !== undefined;
    refine.title =
      why ?? `Double what the method spends${effort > 0 ? `; doubled ${effort} times so far` : ""}`;
  };
  state.follow([...CHOICES, "heat", "status", "effort", "kernel"], show);
  return [refine];
}

/** The button that copies the code, a word about how that went, and a box where the clipboard is out of reach. */
export function codeCopy(state: State): { readonly actions: HTMLElement[]; readonly below: HTMLElement[] } {
  if (!state.has("code")) return { actions: [], below: [] };
  const done = h("span", { class: "as-done", "aria-live": "polite" });
  const box = new CopyBox("Python code");
  const copy = button("as-button", "Copy code", state.signal, () => {
    const code = state.get("code") ?? "";
    setText(done, "");
    void toClipboard(code).then((taken) => {
      if (state.signal.aborted) return;
      if (taken) {
        box.hide();
        setText(done, "Copied");
      } else {
        box.show(code);
      }
    });
  });
  copy.title = "Copy Python lines that compute this map";
  state.follow(["code"], () => {
    copy.disabled = !state.get("code");
    setText(done, "");
    box.hide(); // what it shows is no longer the code
  });
  return { actions: [copy, done], below: [box.element] };
}

/** That the model is no longer the one that the map explains. */
export function weightsWords(since: boolean, during: boolean): string {
  if (since)
    return "The model's weights have changed since this map was computed. Recompute explains them as they are.";
  return during ? "The model's weights changed while this map was computed: it mixes old and new." : "";
}

export function weightsNotice(state: State): HTMLElement {
  const words = h("span");
  const element = h("div", { class: "as-warning", role: "note", hidden: true }, words);
  state.follow(["weights_changed", "heat"], () => {
    const during = currentHeat(state)?.changed === true;
    const text = weightsWords(state.get("weights_changed") === true, during);
    element.hidden = text === "";
    setText(words, text);
  });
  return element;
}
