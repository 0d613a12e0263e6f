/** A panel that opens over the page below a button, and closes when somebody goes elsewhere. */
import { freshId } from "./disclosure";
import { focusNear, h, setAttribute } from "./dom";

/** Room that is left between a panel and the edge of the view, in pixels. */
const MARGIN = 8;

export class Popup {
  /** The button and, while it is open, the panel. */
  readonly element: HTMLElement;
  readonly panel: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #opened: () => void;
  /** While it is open: another size of the view or of the panel is another place. */
  #sizes: ResizeObserver | undefined;

  /** `opened` runs once the panel stands on the page, and may fill it. */
  constructor(
    button: HTMLButtonElement,
    className: string,
    signal: AbortSignal,
    opened: () => void = () => undefined,
  ) {
    this.#button = button;
    this.#opened = opened;
    this.panel = h("div", { class: `as-popup ${className}`, id: freshId(), hidden: true });
    this.element = h("span", { class: "as-popup-anchor" }, button, this.panel);
    setAttribute(button, "aria-expanded", "false");
    setAttribute(button, "aria-controls", this.panel.id);
    button.addEventListener("click", () => (this.open ? this.close(true) : this.show()), { signal });
    this.element.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    this.element.addEventListener("focusout", (event) => this.#left(event), { signal });
    const elsewhere = (event: Event): void => {
      if (this.open && !event.composedPath().includes(this.element)) this.close(false);
    };
    document.addEventListener("pointerdown", elsewhere, { signal, capture: true });
    signal.addEventListener("abort", () => this.#sizes?.disconnect());
  }

  get open(): boolean {
    return !this.panel.hidden;
  }

  show(): void {
    if (this.open || this.#button.disabled) return;
    this.panel.hidden = false;
    setAttribute(this.#button, "aria-expanded", "true");
    this.#opened();
    this.#place(); // now that it has its size
    this.#sizes = new ResizeObserver(() => this.#place());
    this.#sizes.observe(this.panel);
    const around = this.element.closest(".as-root");
    if (around) this.#sizes.observe(around);
  }

  /** `back` gives the focus to the button, where it has been in the panel. */
  close(back: boolean): void {
    if (!this.open) return;
    const inside = this.panel.contains(focusNear(this.panel));
    this.#sizes?.disconnect();
    this.panel.hidden = true;
    setAttribute(this.#button, "aria-expanded", "false");
    if (back && inside) this.#button.focus();
  }

  /** Below the button, or above it where there is more room; within the view, for what lies outside is cut off. */
  #place(): void {
    const { panel } = this;
    panel.style.left = "0px";
    setAttribute(panel, "data-above", undefined);
    const around = this.element.closest(".as-root")?.getBoundingClientRect();
    if (!around) return;
    const { left, right, bottom, top, height } = panel.getBoundingClientRect();
    const over = Math.max(0, right - (around.right - MARGIN));
    panel.style.left = `${Math.max(around.left + MARGIN - left, -over)}px`;
    const above = this.#button.getBoundingClientRect().top - around.top;
    const tooLow = bottom > around.bottom - MARGIN && above > around.bottom - top;
    setAttribute(panel, "data-above", tooLow && height > 0 ? "1" : undefined);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !this.open) return;
    event.preventDefault();
    event.stopPropagation(); // this one is ours: the notebook would leave the cell
    this.close(true);
  }

  #left(event: FocusEvent): void {
    const to = event.relatedTarget;
    // Nothing: the window lost the focus, or what has none was pressed.
    if (to instanceof Node && !this.element.contains(to)) this.close(false);
  }
}
