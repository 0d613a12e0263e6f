/** The toolbar: what is computed, and how far that is. */
import { button, h, select, setAttribute, setText, setVariable } from "./dom";
import type { State } from "./state";

export function toolbar(state: State, el: HTMLElement): void {
  const { signal } = state;
  const method = select("Method", signal, (value) => {
    state.set("method", value);
    state.set("layer", null); // whoever picks a method wants to see it, not a layer
    state.set("alpha", 1);
  });
  const baseline = select("Baseline", signal, (value) => state.set("baseline", value));
  const status = h("div", { class: "as-status", role: "status", "aria-live": "polite" });
  const again = button("as-button", "Run again", signal, () => state.send({ type: "recompute" }));
  const cancel = button("as-button", "Cancel", signal, () => state.send({ type: "cancel" }));
  const progress = h("div", {
    class: "as-progress",
    role: "progressbar",
    "aria-label": "Progress",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  el.append(
    h(
      "div",
      { class: "as-toolbar" },
      method.element,
      baseline.element,
      h("div", { class: "as-job" }, status, again, cancel),
      progress,
    ),
  );

  state.follow(["method", "methods"], () => {
    const methods = state.get("methods") ?? [];
    const name = state.get("method") ?? "";
    method.show(
      methods.map((info) => ({ value: info.name, label: info.label })),
      name,
    );
    method.element.title = methods.find((info) => info.name === name)?.doc ?? "";
  });
  state.follow(["baseline", "baselines"], () => {
    const baselines = state.get("baselines") ?? [];
    baseline.show(
      baselines.map(({ name, label }) => ({ value: name, label })),
      state.get("baseline") ?? "",
    );
  });
  state.follow(["status", "progress", "message"], () => {
    const now = state.get("status") ?? "idle";
    const message = state.get("message") ?? "";
    const share = Math.round(Math.min(1, Math.max(0, state.get("progress") ?? 0)) * 100);
    const words = {
      idle: message || "Ready", // a message while idle: the kernel refused a choice
      running: message || "Computing",
      cancelled: "Cancelled",
      error: "Failed",
    };
    setText(status, words[now]);
    setAttribute(status, "title", now === "error" ? undefined : message || undefined);
    cancel.disabled = now !== "running";
    again.hidden = now !== "cancelled";
    setAttribute(progress, "aria-valuenow", String(share));
    setVariable(progress, "--as-progress", share / 100);
    progress.hidden = now !== "running";
  });
}
