/** attriscope's page half: one anywidget, drawn whole (the Explorer) or as one of its parts. */
import { comparison } from "./cards/comparison";
import { examples } from "./cards/examples";
import { path } from "./cards/path";
import { predictions } from "./cards/predictions";
import { banner } from "./controls/error-banner";
import { kernelBanner } from "./controls/kernel-banner";
import { toolbar } from "./controls/toolbar";
import { channels } from "./inside/channels-card";
import { inside } from "./inside/inside";
import { layers } from "./layers/layers";
import { h } from "./lib/dom";
import { keepKeys } from "./lib/keys";
import { overlay } from "./overlay/overlay";
import type { Model } from "./state/model";
import { State } from "./state/state";
import type { Part } from "./state/traits";

/** Draws one part of the state into an element, and keeps it drawn until the state's signal is aborted. */
type DrawPart = (state: State, el: HTMLElement) => void;

/** What stands on the Explorer's board, in this order. */
const BOARD: readonly DrawPart[] = [overlay, predictions, path, layers, inside, comparison];

/** What can stand alone. */
const PARTS: Readonly<Record<Exclude<Part, "explorer">, DrawPart>> = {
  overlay,
  predictions,
  path,
  layers,
  channels,
};

const explorer: DrawPart = (state, el) => {
  toolbar(state, el);
  banner(state, el);
  kernelBanner(state, el);
  examples(state, el);
  const board = h("div", { class: "as-board" });
  el.append(board);
  for (const draw of BOARD) draw(state, board);
};

const alone =
  (draw: DrawPart): DrawPart =>
  (state, el) => {
    if (state.has("status")) banner(state, el);
    kernelBanner(state, el);
    draw(state, el);
  };

interface RenderProps {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** Draws one view of the model; the same model may have several. */
function render({ model, el, signal }: RenderProps): () => void {
  const life = new AbortController();
  const end = (): void => life.abort();
  signal?.addEventListener("abort", end, { signal: life.signal });

  const state = new State(model, life.signal);
  const wanted = state.get("_part") ?? "explorer";
  const part = Object.hasOwn(PARTS, wanted) ? (wanted as keyof typeof PARTS) : "explorer";
  const root = h("div", { class: "as-root", "data-part": part });
  keepKeys(root, life.signal);
  el.append(root); // before drawing: some parts ask where the focus is
  (part === "explorer" ? explorer : alone(PARTS[part]))(state, root);
  root.dataset.ready = "1";

  life.signal.addEventListener("abort", () => root.remove());
  return end;
}

export default { render };
