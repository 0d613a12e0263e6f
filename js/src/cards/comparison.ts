/** Methods beside each other: the card that asks for the comparison and says how it stands. */
import { whyOff } from "../controls/needs-kernel";
import { card } from "../lib/card";
import { disclosure } from "../lib/disclosure";
import { h, setClipped, setText } from "../lib/dom";
import { button } from "../lib/form-controls";
import { answers, settingsKey } from "../selection/freshness";
import type { State } from "../state/state";
import type { RawComparison } from "../state/traits";
import { comparisonTable } from "./comparison-table";

const INVITATION =
  "Judges the chosen method and some quick ones on this example, beside two controls that know nothing of the model.";
const READING =
  "One example says little about methods in general. A method no better than the controls has explained nothing here.";

/** Whether the table is of other choices than the present ones, or of other weights. */
export function comparisonIsStale(state: State, raw: RawComparison): boolean {
  if (raw.outdated) return true;
  if (!answers(state, raw.request ?? {}, ["target", "baseline", "contrast", "example"])) return true;
  const now = state.get("settings") ?? {};
  const then = raw.settings ?? {};
  const own = (name: string) => (Object.hasOwn(now, name) ? now[name] : undefined);
  return Object.keys(then).some((name) => settingsKey(then[name]) !== settingsKey(own(name)));
}

/** What to write beside a table that is not what it should be; undefined when all is well. */
export function comparisonMark(state: State, raw: RawComparison): string | undefined {
  if (comparisonIsStale(state, raw)) return "out of date";
  if (raw.final !== false) return undefined;
  return state.get("status") === "running" && state.reachable ? "comparing" : "unfinished";
}

/** The card; none where the kernel knows of no comparisons. */
export function comparison(state: State, el: HTMLElement): void {
  if (!state.has("comparison")) return;
  const { signal } = state;
  const frame = card("as-comparison", "Compare methods");
  const compare = button("as-button", "Compare", signal, () => state.send({ type: "compare" }));
  frame.head.append(h("span", { class: "as-hint" }), compare);
  const note = h("div", { class: "as-note" });
  const table = comparisonTable(state);
  const reading = h("div", { class: "as-note" }, READING);
  const legend = h("dl", { class: "as-glossary" });
  const about = disclosure("What the metrics say", "as-about-metrics", signal);
  about.panel.append(legend);
  frame.element.append(note, table.element, reading, about.button, about.panel);
  el.append(frame.element);

  let source: RawComparison | undefined;
  const show = (): void => {
    const raw = state.get("comparison") ?? {};
    const rows = raw.methods ?? [];
    const filled = rows.length > 0;
    if (raw !== source) {
      source = raw;
      const title = raw.title ?? "";
      setClipped(note, filled ? title : INVITATION);
      table.fill(raw, title);
      legend.replaceChildren(
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
    note.toggleAttribute("data-invitation", !filled);
    for (const part of [table.element, reading, about.button]) part.hidden = !filled;
    if (!filled && about.open) about.button.click();
    table.showState();
    frame.mark(filled ? comparisonMark(state, raw) : undefined, filled && comparisonIsStale(state, raw));

    const running = state.get("status") === "running" ? "Wait for the present computation, or cancel it" : "";
    const why = whyOff(state.kernel) ?? running;
    compare.disabled = why !== "";
    compare.title = why || "Judge methods by metrics, on this example and for what is explained now";
    setText(compare, "Compare");
  };
  state.follow(
    ["comparison", "method", "target", "baseline", "contrast", "example", "settings", "status", "kernel"],
    show,
  );
}
