/**
 * Hides the picture that the kernel saves with the notebook for those who open it without the widget: where this is drawn,
 * there would be two.
 *
 * It stands somewhere else in the notebook, in an output of its own, and hosts leave nothing of it to be known by but what
 * is in the picture itself: its bytes name the Explorer (see export/saved.py).
 */
import { h } from "../lib/dom";
import type { State } from "../state/state";

/** A mark is base 64, so that it can stand in a selector as it is. */
const MARK = /^[A-Za-z0-9+/]{20,}$/;

export function hideSavedPicture(state: State): void {
  const style = h("style");
  state.follow({
    show(view) {
      const mark = view.get("_saved_picture");
      const image = `img[src*="${mark}"]`;
      // With what stands around it: the output of a cell, or whatever holds nothing else.
      const hidden = [image, `div:has(> ${image})`, `.jp-OutputArea-child:has(${image})`].join(",\n");
      style.textContent = MARK.test(mark) ? `${hidden} { display: none !important; }` : "";
    },
  });
  document.head.append(style);
  state.signal.addEventListener("abort", () => style.remove());
}
