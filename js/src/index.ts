/**
 * attriscope's page half: one anywidget, drawn whole (the Explorer) or as one of its parts.
 *
 * A card is a class with a `node` and a `show(view)`; the state has it show itself in each frame in which something that
 * it read is another. Where to look next: `state/view.ts` for what a card is shown, `selection/displayed.ts` for what is
 * made of it, `state/state.ts` for what a card may change, and `test/support/house.ts` for which folder knows which.
 */
import type { AnyWidget } from "@anywidget/types";
import { CoveredCard } from "./cards/covered";
import { Examples } from "./cards/examples";
import { PathCard } from "./cards/path";
import { PredictionsCard } from "./cards/predictions";
import { RowsCard } from "./cards/rows";
import { ErrorBanner } from "./controls/error-banner";
import { KernelBanner } from "./controls/kernel-banner";
import { hideSavedPicture } from "./controls/saved-picture";
import { Sentence } from "./controls/sentence";
import { ChannelsCard } from "./inside/channels-card";
import { Inside } from "./inside/inside";
import { LayersCard } from "./layers/layers";
import { h, setAttribute } from "./lib/dom";
import { keepKeys } from "./lib/keys";
import { Tabs } from "./lib/tabs";
import { Overlay } from "./overlay/overlay";
import { ShareMenu } from "./overlay/share";
import { arrangement } from "./selection/pins";
import { currentTable } from "./selection/table";
import { stageWords } from "./selection/words";
import { TableStage } from "./stages/table-stage";
import type { Model } from "./state/model";
import { type Shows, State } from "./state/state";
import type { PartName, TabName } from "./state/messages.generated";
import type { View } from "./state/view";
import { ChecksCard } from "./trust/checks";
import { ComparisonCard } from "./trust/comparison";

/** What stands on the page. It follows the state by itself until the state's signal is aborted. */
interface Card extends Shows {
  readonly node: HTMLElement;
}
type CardClass = new (state: State) => Card;

/** What the tabs beside the picture hold, in this order; some only where the kernel knows of what they show. */
const TABS: readonly {
  readonly name: TabName;
  readonly label: string;
  readonly title: string | ((view: View) => string);
  readonly cards: readonly { readonly card: CardClass; readonly where?: (view: View) => boolean }[];
}[] = [
  {
    name: "where",
    label: "Where",
    title: (view) => stageWords(view).where,
    cards: [
      { card: PredictionsCard },
      { card: CoveredCard, where: (view) => view.has("selection") },
      { card: PathCard },
      { card: RowsCard, where: (view) => view.get("table").names !== undefined },
    ],
  },
  {
    name: "inside",
    label: "Inside",
    title: "What goes on in the model's layers",
    cards: [{ card: LayersCard }, { card: Inside, where: (view) => view.has("channels") }],
  },
  {
    name: "trust",
    label: "Trust",
    title: "Whether the map can be believed",
    cards: [
      { card: ComparisonCard, where: (view) => view.has("comparison") },
      { card: ChecksCard, where: (view) => view.has("checks") },
    ],
  },
];

/** What stands on the left, by what the inputs are: the first that is for them, which is decided once. */
const STAGES: readonly { readonly card: CardClass; readonly where: (view: View) => boolean }[] = [
  { card: TableStage, where: (view) => currentTable(view) !== undefined },
  { card: Overlay, where: () => true },
];

const stage = (state: State): Card => new (STAGES.find(({ where }) => where(state.view))!.card)(state);

/** What can stand alone, besides the stage. */
const PARTS: Readonly<Record<Exclude<PartName, "explorer" | "overlay">, CardClass>> = {
  predictions: PredictionsCard,
  path: PathCard,
  layers: LayersCard,
  channels: ChannelsCard,
};

/** Gives the stage more room while two maps stand side by side in it. */
function widenForPair(state: State, around: HTMLElement): void {
  const isPair = (view: View): boolean => arrangement(view).kind === "side";
  state.follow({ show: (view) => setAttribute(around, "data-pinned", isPair(view) ? "1" : undefined) });
}

function tabs(state: State): HTMLElement {
  const { view, signal } = state;
  const panels = TABS.map(({ cards, ...tab }) => {
    const shown = cards.filter(({ where }) => where?.(view) ?? true);
    return {
      ...tab,
      title: typeof tab.title === "string" ? tab.title : tab.title(view),
      panel: h("div", { class: "as-tab-panel" }, ...shown.map(({ card }) => new card(state).node)),
    };
  });
  const made = new Tabs("Questions", panels, signal, (name) => state.set("tab", name));
  state.follow({ show: (now) => made.show(now.get("tab")) });
  return made.element;
}

function explorer(state: State, root: HTMLElement): void {
  const body = h("div", { class: "as-body" }, stage(state).node, tabs(state));
  widenForPair(state, body);
  hideSavedPicture(state);
  root.append(
    ...new Sentence(state, new ShareMenu(state).element).nodes,
    new ErrorBanner(state).node,
    new KernelBanner(state).node,
    body,
    new Examples(state).node,
  );
}

function alone(state: State, root: HTMLElement, part: Exclude<PartName, "explorer">): void {
  if (state.view.has("status")) root.append(new ErrorBanner(state).node);
  root.append(new KernelBanner(state).node);
  widenForPair(state, root);
  root.append((part === "overlay" ? stage(state) : new PARTS[part](state)).node);
}

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
  const wanted = state.view.get("_part");
  const part: PartName = wanted === "overlay" || Object.hasOwn(PARTS, wanted) ? wanted : "explorer";
  const root = h("div", { class: "as-root", "data-part": part });
  keepKeys(root, life.signal);
  el.append(root); // before drawing: some cards ask where the focus is
  if (part === "explorer") explorer(state, root);
  else alone(state, root, part);
  root.dataset.ready = "1";

  life.signal.addEventListener("abort", () => root.remove());
  return end;
}

export default { render } satisfies AnyWidget<Record<string, unknown>>;
