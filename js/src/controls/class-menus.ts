/** Which output is explained, and which one it is compared with. */
import { singleIndex } from "../data/messages";
import { Menu, type MenuItem } from "../lib/menu";
import { setAttribute } from "../lib/dom";
import { classItems, classLabel, isOnly, targetLabel } from "../selection/classes";
import { derived } from "../lib/derived";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { needKernel } from "./needs-kernel";
import { Refusal } from "./refusal";

/** The value that stands for no class. */
const NOTHING = "";

/** Why [this class] … */
export class TargetMenu {
  readonly menu: Menu;
  readonly refusal: Refusal;

  constructor(state: State) {
    this.menu = new Menu(
      "Explained output",
      state.signal,
      (value) => this.#pick(state, Number(value)),
      "Search classes",
    );
    this.refusal = new Refusal(state.view, "target", [this.menu.button]);
    needKernel(state, this.menu.button);
    state.follow(this);
  }

  show(view: View): void {
    this.refusal.show(view);
    const index = isOnly(view) ? 0 : singleIndex(view.get("target"));
    this.menu.show(classItems(view), index === undefined ? "" : String(index), targetLabel(view));
  }

  #pick(state: State, index: number): void {
    this.refusal.clear();
    if (isOnly(state.view)) return; // an output of its own may have no index
    // Nothing is compared with itself.
    if (index === state.view.get("contrast")) state.choose("contrast", null);
    state.choose("target", index);
  }
}

const contrastItems = derived((view: View): readonly MenuItem[] => {
  const target = singleIndex(view.get("target"));
  const others = classItems(view).filter(({ value }) => Number(value) !== target);
  return [{ value: NOTHING, label: "nothing" }, ...others];
});

/** … rather than [that one]. */
export class ContrastMenu {
  readonly menu: Menu;
  readonly refusal: Refusal;

  constructor(state: State) {
    this.menu = new Menu(
      "Compared with",
      state.signal,
      (value) => {
        this.refusal.clear();
        state.choose("contrast", value === NOTHING ? null : Number(value));
      },
      "Search classes",
    );
    this.refusal = new Refusal(state.view, "contrast", [this.menu.button]);
    needKernel(state, this.menu.button);
    state.follow(this);
  }

  show(view: View): void {
    this.refusal.show(view);
    const contrast = view.get("contrast");
    const items = contrastItems(view);
    const chosen = contrast === null ? NOTHING : String(contrast);
    this.menu.show(items, chosen, contrast === null ? "nothing" : classLabel(view, contrast));
    const boxes = view.get("predictions").output === "boxes";
    const none = boxes || singleIndex(view.get("target")) === undefined || items.length < 2;
    setAttribute(this.menu.element, "data-none", none ? "1" : undefined);
  }
}
