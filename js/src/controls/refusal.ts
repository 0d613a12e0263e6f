/** What the kernel (or the page itself) would not take, said at the control that asked for it. */
import { freshId } from "../lib/disclosure";
import { h, setAttribute, setText } from "../lib/dom";
import { sameValue } from "../lib/equality";
import type { RawRefusal } from "../state/messages.generated";
import type { TraitName, View } from "../state/view";

/** After a refusal the kernel puts the old value back; a change that comes later is somebody's new choice. */
const PUT_BACK_MS = 600;

export class Refusal {
  /** To be placed below the control. */
  readonly node = h("div", {
    class: "as-refusal",
    id: freshId(),
    dir: "auto",
    "aria-live": "polite",
    hidden: true,
  });
  #seen: number;
  #at = 0;
  #value: unknown;
  readonly #trait: TraitName;
  readonly #controls: readonly HTMLElement[];
  readonly #concerns: (refused: RawRefusal) => boolean;

  /** `concerns` tells which of the refusals of a trait belong to this control. Its owner shows it each view. */
  constructor(
    view: View,
    trait: TraitName,
    controls: readonly HTMLElement[],
    concerns: (refused: RawRefusal) => boolean = () => true,
  ) {
    this.#trait = trait;
    this.#controls = controls;
    this.#concerns = concerns;
    this.#seen = view.get("refused").count ?? 0; // what was refused before is no news
    this.#value = view.get(trait);
  }

  show(view: View): void {
    const trait = this.#trait;
    const refused = view.get("refused");
    const now = view.get(trait);
    const news = (refused.count ?? 0) > this.#seen;
    this.#seen = refused.count ?? this.#seen;
    if (news && refused.reason && refused.trait === trait && this.#concerns(refused))
      this.say(refused.reason);
    else if (refused.reason === undefined && refused.count === undefined && this.#at) this.clear();
    else if (!sameValue(now, this.#value) && Date.now() - this.#at > PUT_BACK_MS) this.clear();
    this.#value = now;
  }

  say(reason: string): void {
    this.#at = Date.now();
    setText(this.node, reason);
    this.node.hidden = false;
    this.#mark("true");
  }

  /** Somebody tries again, or something else holds now. */
  clear(): void {
    if (this.node.hidden) return;
    this.#at = 0;
    this.node.hidden = true;
    setText(this.node, "");
    this.#mark(undefined);
  }

  #mark(invalid: "true" | undefined): void {
    for (const control of this.#controls) {
      setAttribute(control, "aria-invalid", invalid);
      const others = (control.getAttribute("aria-describedby") ?? "")
        .split(" ")
        .filter((id) => id && id !== this.node.id);
      const ids = invalid ? [...others, this.node.id] : others;
      setAttribute(control, "aria-describedby", ids.length ? ids.join(" ") : undefined);
    }
  }
}
