/** A button that opens and closes something, and other things that need names for each other. */
import { h, setAttribute } from "./dom";
import { button } from "./form-controls";

// Pages may hold this code several times: one more than counting keeps the names apart.
const prefix = `as-${Math.random().toString(36).slice(2, 8)}`;
let last = 0;

/** An id that nothing else on the page has. */
export function freshId(): string {
  return `${prefix}-${++last}`;
}

export interface Disclosure {
  readonly button: HTMLButtonElement;
  readonly panel: HTMLElement;
  readonly open: boolean;
}

/** `toggled` runs after each opening and closing. */
export function disclosure(
  label: string,
  className: string,
  signal: AbortSignal,
  toggled?: (open: boolean) => void,
): Disclosure {
  const panel = h("div", {
    class: `as-panel ${className}`,
    id: freshId(),
    hidden: true,
    role: "group",
    "aria-label": label,
  });
  const toggle = button("as-disclose", label, signal, () => {
    panel.hidden = !panel.hidden;
    setAttribute(toggle, "aria-expanded", String(!panel.hidden));
    toggled?.(!panel.hidden);
  });
  setAttribute(toggle, "aria-expanded", "false");
  setAttribute(toggle, "aria-controls", panel.id);
  return {
    button: toggle,
    panel,
    get open() {
      return !panel.hidden;
    },
  };
}
