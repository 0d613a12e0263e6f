/** What the kernel (or the page itself) would not take, said at the control that asked for it. */
import { freshId } from "../lib/disclosure";
import { h, setAttribute, setText } from "../lib/dom";
import { sameValue } from "../lib/equality";
import type { State, TraitName } from "../state/state";
import type { RawRefusal } from "../state/traits";

/** After a refusal the kernel puts the old value back; a change that comes later is somebody's new choice. */
const PUT_BACK_MS = 600;

export class Refusal {
  /** To be placed below the control. */
  readonly element = h("div", {
    class: "as-refusal",
    id: freshId(),
    dir: "auto",
    "aria-live": "polite",
    hidden: true,
  });
  private seen: number;
  private at = 0;
  private value: unknown;

  /** `concerns` tells which of the refusals of a trait belong to this control. */
  constructor(
    state: State,
    trait: TraitName,
    private readonly controls: readonly HTMLElement[],
    concerns: (refused: RawRefusal) => boolean = () => true,
  ) {
    this.seen = state.get("refused")?.count ?? 0; // what was refused before is no news
    this.value = state.get(trait);
    state.follow(["refused", trait], () => {
      const refused = state.get("refused") ?? {};
      const now = state.get(trait);
      const news = (refused.count ?? 0) > this.seen;
      this.seen = refused.count ?? this.seen;
      if (news && refused.reason && refused.trait === trait && concerns(refused)) this.show(refused.reason);
      else if (refused.reason === undefined && refused.count === undefined && this.at) this.clear();
      else if (!sameValue(now, this.value) && Date.now() - this.at > PUT_BACK_MS) this.clear();
      this.value = now;
    });
  }

  show(reason: string): void {
    this.at = Date.now();
    setText(this.element, reason);
    this.element.hidden = false;
    this.mark("true");
  }

  /** Somebody tries again, or something else holds now. */
  clear(): void {
    if (this.element.hidden) return;
    this.at = 0;
    this.element.hidden = true;
    setText(this.element, "");
    this.mark(undefined);
  }

  private mark(invalid: "true" | undefined): void {
    for (const control of this.controls) {
      setAttribute(control, "aria-invalid", invalid);
      const others = (control.getAttribute("aria-describedby") ?? "")
        .split(" ")
        .filter((id) => id && id !== this.element.id);
      const ids = invalid ? [...others, this.element.id] : others;
      setAttribute(control, "aria-describedby", ids.length ? ids.join(" ") : undefined);
    }
  }
}
