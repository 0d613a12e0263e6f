/** What can be asked about the map on show: to refine it, and for the code that makes it; and what to know about it. */
import { whyOff } from "./needs-kernel";
import { CopyBox, toClipboard } from "../lib/clipboard";
import { h, setText } from "../lib/dom";
import { button, setOff } from "../lib/form-controls";
import { currentHeat } from "../selection/displayed";
import { heatIsStale } from "../selection/freshness";
import type { State } from "../state/state";
import type { View } from "../state/view";

/** Why the map cannot be refined now; undefined when it can. */
export function whyNotRefine(view: View): string | undefined {
  const off = whyOff(view.kernel);
  if (off) return off;
  if (view.get("status") === "running") return "Wait for the present computation, or cancel it";
  const heat = currentHeat(view);
  if (!heat) return "There is no map to refine";
  if (heatIsStale(view, heat)) return "The map on show is not the one that is chosen";
  if (!heat.refinable) return "This map is exact, or its method has nothing to spend more on";
  return undefined;
}

/** The button that spends more on the estimate. */
export class RefineButton {
  readonly node: HTMLButtonElement;

  constructor(state: State) {
    this.node = button("as-button as-refine", "Refine", state.signal, () => state.send({ type: "refine" }));
    state.follow(this);
  }

  show(view: View): void {
    const why = whyNotRefine(view);
    const effort = view.get("effort");
    setOff(this.node, why !== undefined);
    this.node.title =
      why ?? `Double what the method spends${effort > 0 ? `; doubled ${effort} times so far` : ""}`;
  }
}

/** The button that copies the code, a word about how that went, and a box where the clipboard is out of reach. */
export class CodeCopy {
  readonly button: HTMLButtonElement;
  readonly done = h("span", { class: "as-done", "aria-live": "polite" });
  readonly box = new CopyBox("Python code");
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    this.button = button("as-button", "Copy code", state.signal, () => this.#copy());
    this.button.title = "Copy Python lines that compute this map";
    state.follow(this);
  }

  show(view: View): void {
    this.button.disabled = !view.get("code");
    setText(this.done, "");
    this.box.hide(); // what it shows is no longer the code
  }

  #copy(): void {
    const code = this.#state.view.get("code");
    setText(this.done, "");
    void toClipboard(code).then((taken) => {
      if (this.#state.signal.aborted) return;
      if (taken) {
        this.box.hide();
        setText(this.done, "Copied");
      } else {
        this.box.show(code);
      }
    });
  }
}

/** That the model is no longer the one that the map explains. */
function weightsWords(since: boolean, during: boolean): string {
  if (since)
    return "The model's weights have changed since this map was computed. Recompute explains them as they are.";
  return during ? "The model's weights changed while this map was computed: it mixes old and new." : "";
}

export class WeightsNotice {
  readonly #words = h("span");
  readonly node = h("div", { class: "as-warning", role: "note", hidden: true }, this.#words);

  constructor(state: State) {
    state.follow(this);
  }

  show(view: View): void {
    const text = weightsWords(view.get("weights_changed"), currentHeat(view)?.changed === true);
    this.node.hidden = text === "";
    setText(this.#words, text);
  }
}
