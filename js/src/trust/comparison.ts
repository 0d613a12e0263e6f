/** Methods beside each other: the card that asks for the comparison, shows its maps and says how it stands. */
import { whyOff } from "../controls/needs-kernel";
import { card } from "../lib/card";
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setClipped, setText } from "../lib/dom";
import { button, setOff } from "../lib/form-controls";
import { comparisonIsStale, comparisonMark, whyWait } from "../selection/freshness";
import { stageWords } from "../selection/words";
import type { State } from "../state/state";
import type { RawComparison } from "../state/messages.generated";
import type { View } from "../state/view";
import { ComparisonTable } from "./comparison-table";
import { headline } from "./ranking";
import { Tiles } from "./tiles";

const invitation = (example: string): string =>
  `Judges the chosen method and others on this ${example}, beside controls that know nothing of the model.`;
const READING =
  "One example says little about methods in general. A method no better than the controls has explained nothing here.";

export class ComparisonCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-comparison", "");
  readonly #compare: HTMLButtonElement;
  readonly #note = h("div", { class: "as-note" });
  readonly #tiles: Tiles;
  readonly #table: ComparisonTable;
  readonly #glossary = h("dl", { class: "as-glossary" });
  readonly #about: Disclosure;
  #source: RawComparison | undefined;

  constructor(state: State) {
    const frame = this.#frame;
    const { signal } = state;
    this.node = frame.element;
    this.#compare = button("as-button", "Compare", signal, () => state.send({ type: "compare" }));
    this.#tiles = new Tiles(state, () => state.redraw(this));
    this.#table = new ComparisonTable(state);
    this.#about = disclosure("All metrics", "as-about-metrics", signal);
    this.#about.panel.append(this.#table.element, h("div", { class: "as-note" }, READING), this.#glossary);
    frame.head.append(
      h("span", { class: "as-hint" }),
      this.#tiles.menu.element,
      this.#about.button,
      this.#compare,
    );
    frame.element.append(this.#note, this.#tiles.element, this.#about.panel);
    state.follow(this);
  }

  show(view: View): void {
    const about = this.#about;
    const raw = view.get("comparison");
    const filled = (raw.methods?.length ?? 0) > 0;
    if (raw !== this.#source) this.#fill(raw, filled, stageWords(view).example);
    for (const element of [this.#tiles.element, this.#tiles.menu.element, about.button]) {
      element.hidden = !filled;
    }
    if (!filled && about.open) about.button.click();
    this.#tiles.show(view, raw);
    this.#table.show(view);
    this.#frame.mark(filled ? comparisonMark(view, raw) : undefined, filled && comparisonIsStale(view, raw));

    const why = whyOff(view.kernel) ?? whyWait(view);
    setOff(this.#compare, why !== undefined);
    this.#compare.title = why ?? "Judge methods by metrics, on this example and for what is explained now";
  }

  #fill(raw: RawComparison, filled: boolean, example: string): void {
    this.#source = raw;
    const title = raw.title ?? "";
    const words = headline(raw, example);
    setClipped(this.#frame.title, words, filled ? title : words);
    setText(this.#note, filled ? "" : invitation(example));
    this.#note.hidden = filled;
    this.#table.fill(raw, title);
    this.#glossary.replaceChildren(
      ...(raw.metrics ?? []).flatMap(({ name, doc, better }) => [
        h("dt", { dir: "auto" }, name),
        h(
          "dd",
          { dir: "auto" },
          `${doc ? `${doc} ` : ""}${better === "lower" ? "Lower" : "Higher"} is better.`,
        ),
      ]),
    );
  }
}
