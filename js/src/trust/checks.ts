/** Whether the map on show can be trusted: the card that asks for its checks, and tells each in a sentence. */
import { whyOff } from "../controls/needs-kernel";
import { card } from "../lib/card";
import { type Disclosure, disclosure } from "../lib/disclosure";
import { h, setAttribute, setText } from "../lib/dom";
import { button, setOff } from "../lib/form-controls";
import { checksAreStale, checksMark, whyWait } from "../selection/freshness";
import { stageWords } from "../selection/words";
import type { State } from "../state/state";
import type { CheckedProperty, CheckName, RawChecks, Verdict } from "../state/messages.generated";
import type { View } from "../state/view";

const invitation = (example: string): string =>
  `Does the map add up, does it stay when the ${example} hardly changes, and is it another one when the weights are random?`;
const NAMES: Readonly<Record<CheckName, string>> = {
  complete: "Complete",
  stable: "Stable",
  learned: "Learned",
};
const VERDICTS: Readonly<Record<Verdict, string>> = {
  good: "good",
  fair: "fair",
  poor: "poor",
  none: "no verdict",
};

function line({ name, verdict, sentence }: CheckedProperty): HTMLElement {
  return h(
    "li",
    { class: "as-check-line", "data-name": name, "data-verdict": verdict },
    h("span", { class: "as-verdict-dot", "aria-hidden": "true" }),
    h(
      "span",
      {},
      h("strong", {}, `${NAMES[name]}:`),
      " ",
      h("bdi", {}, sentence),
      " ",
      h("span", { class: "as-verdict" }, VERDICTS[verdict]),
    ),
  );
}

export class ChecksCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-checks", "Can this map be trusted?");
  readonly #check: HTMLButtonElement;
  readonly #note = h("div", { class: "as-note" });
  readonly #list = h("ul", { class: "as-check-lines" });
  readonly #about: Disclosure;
  readonly #docs = h("dl", { class: "as-glossary" });
  #source: RawChecks | undefined;

  constructor(state: State) {
    const frame = this.#frame;
    const { signal } = state;
    this.node = frame.element;
    this.#check = button("as-button", "Check", signal, () => state.send({ type: "check" }));
    this.#about = disclosure("How this is measured", "as-about-checks", signal);
    this.#about.panel.append(this.#docs);
    frame.head.append(h("span", { class: "as-hint" }), this.#about.button, this.#check);
    frame.element.append(this.#note, this.#list, this.#about.panel);
    state.follow(this);
  }

  show(view: View): void {
    const about = this.#about;
    const raw = view.get("checks");
    const filled = (raw.results?.length ?? 0) > 0;
    if (raw !== this.#source) this.#fill(raw);
    this.#note.hidden = filled;
    setText(this.#note, invitation(stageWords(view).example));
    for (const element of [this.#list, about.button]) element.hidden = !filled;
    if (!filled && about.open) about.button.click();
    this.#frame.mark(filled ? checksMark(view, raw) : undefined, filled && checksAreStale(view, raw));

    const why = whyOff(view.kernel) ?? whyWait(view);
    setOff(this.#check, why !== undefined);
    this.#check.title =
      why ?? "Check the map on show: it is explained again with noise and with random weights";
  }

  #fill(raw: RawChecks): void {
    this.#source = raw;
    const results = raw.results ?? [];
    this.#list.replaceChildren(...results.map(line));
    setAttribute(this.#list, "aria-label", `Checks of ${raw.title ?? "the map"}`);
    this.#docs.replaceChildren(
      ...results.flatMap(({ name, doc }) => [h("dt", {}, NAMES[name]), h("dd", { dir: "auto" }, doc)]),
    );
  }
}
