/** Methods beside each other: the card that asks for the comparison and says how it stands. */
import { whyOff } from "../controls/needs-kernel";
import { card } from "../lib/card";
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setClipped } from "../lib/dom";
import { button } from "../lib/form-controls";
import { comparisonIsStale, comparisonMark } from "../selection/freshness";
import type { State } from "../state/state";
import type { RawComparison } from "../state/messages.generated";
import type { View } from "../state/view";
import { ComparisonTable } from "./comparison-table";

const INVITATION =
  "Judges the chosen method and some quick ones on this example, beside two controls that know nothing of the model.";
const READING =
  "One example says little about methods in general. A method no better than the controls has explained nothing here.";

export class ComparisonCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-comparison", "Compare methods");
  readonly #compare: HTMLButtonElement;
  readonly #note = h("div", { class: "as-note" });
  readonly #table: ComparisonTable;
  readonly #reading = h("div", { class: "as-note" }, READING);
  readonly #glossary = h("dl", { class: "as-glossary" });
  readonly #about: Disclosure;
  #source: RawComparison | undefined;

  constructor(state: State) {
    const frame = this.#frame;
    const note = this.#note;
    const reading = this.#reading;
    const { signal } = state;
    this.node = frame.element;
    this.#compare = button("as-button", "Compare", signal, () => state.send({ type: "compare" }));
    frame.head.append(h("span", { class: "as-hint" }), this.#compare);
    this.#table = new ComparisonTable(state);
    this.#about = disclosure("What the metrics say", "as-about-metrics", signal);
    this.#about.panel.append(this.#glossary);
    frame.element.append(note, this.#table.element, reading, this.#about.button, this.#about.panel);
    state.follow(this);
  }

  show(view: View): void {
    const about = this.#about;
    const table = this.#table;
    const raw = view.get("comparison");
    const filled = (raw.methods?.length ?? 0) > 0;
    if (raw !== this.#source) this.#fill(raw, filled);
    this.#note.toggleAttribute("data-invitation", !filled);
    for (const element of [table.element, this.#reading, about.button]) element.hidden = !filled;
    if (!filled && about.open) about.button.click();
    table.show(view);
    this.#frame.mark(filled ? comparisonMark(view, raw) : undefined, filled && comparisonIsStale(view, raw));

    const running = view.get("status") === "running" ? "Wait for the present computation, or cancel it" : "";
    const why = whyOff(view.kernel) ?? running;
    this.#compare.disabled = why !== "";
    this.#compare.title = why || "Judge methods by metrics, on this example and for what is explained now";
  }

  #fill(raw: RawComparison, filled: boolean): void {
    this.#source = raw;
    const title = raw.title ?? "";
    setClipped(this.#note, filled ? title : INVITATION);
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
