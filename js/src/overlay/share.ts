/** What can be taken along from what is on show: the code that makes it, and files. */
import { ExportButtons } from "../controls/export";
import { h } from "../lib/dom";
import { button } from "../lib/form-controls";
import { Popup } from "../lib/popup";
import type { State } from "../state/state";
import { CodeCopy } from "../controls/map-actions";

export class ShareMenu {
  readonly element: HTMLElement;

  constructor(state: State) {
    const code = new CodeCopy(state);
    const open = button("as-button as-share-button", "Share", state.signal, () => undefined);
    const popup = new Popup(open, "as-share-panel", state.signal, () =>
      code.button.focus({ preventScroll: true }),
    );
    const files = new ExportButtons(state);
    popup.panel.append(
      h("div", { class: "as-share-line" }, code.button, code.done),
      code.box.element,
      h("div", { class: "as-share-line" }, ...files.nodes),
      files.done,
    );
    this.element = popup.element;
  }
}
