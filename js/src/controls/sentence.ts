/**
 * What is explained and how, as one sentence whose words are menus: why [a class] rather than [another], compared with
 * [a baseline], by [a method], seen at [a layer]; and how far the computation is.
 */
import { h, setAttribute } from "../lib/dom";
import type { Menu } from "../lib/menu";
import { whyNotCompared } from "../selection/methods";
import type { State } from "../state/state";
import { BaselineControls } from "./baseline-controls";
import { ContrastMenu, TargetMenu } from "./class-menus";
import { JobControls } from "./job-controls";
import { MethodMenu } from "./method-menu";
import { PlaceMenu } from "./place-menu";
import { SettingsForm } from "./settings-form";

/** A word or two, and the menu they belong to: a line ends before them and not between. */
function phrase(words: string, menu: Menu, ...more: readonly HTMLElement[]): HTMLElement {
  return h(
    "span",
    { class: "as-phrase" },
    h("span", { class: "as-phrase-words" }, words),
    menu.element,
    ...more,
  );
}

/** What does not count for the map on show stands there quietly, for the path and covering still use it. */
function muted(phrase: HTMLElement, why: string | undefined): void {
  setAttribute(phrase, "data-quiet", why === undefined ? undefined : "1");
  setAttribute(phrase, "title", why);
}

export class Sentence {
  /** The line, and what opens below it. */
  readonly nodes: readonly HTMLElement[];

  /** `aside` stands at its end. */
  constructor(state: State, ...aside: readonly HTMLElement[]) {
    const target = new TargetMenu(state);
    const contrast = new ContrastMenu(state);
    const baseline = new BaselineControls(state);
    const method = new MethodMenu(state);
    const place = new PlaceMenu(state);
    const settings = new SettingsForm(state).disclosure;
    const job = new JobControls(state);
    const compared = phrase("compared with", baseline.menu);
    state.follow({ show: (view) => muted(compared, whyNotCompared(view)) });
    const bar = h(
      "div",
      { class: "as-sentence", role: "group", "aria-label": "What is explained" },
      phrase("Why", target.menu),
      phrase("rather than", contrast.menu),
      compared,
      phrase("by", method.menu, settings.button),
      phrase("seen at", place.menu),
      h("div", { class: "as-aside" }, job.node, ...aside),
      job.progress,
    );
    const refusals = [target.refusal, contrast.refusal, baseline.refusal, ...method.refusals, place.refusal];
    const refused = h("div", { class: "as-refusals" }, ...refusals.map(({ node }) => node));
    this.nodes = [bar, refused, settings.panel];
  }
}
