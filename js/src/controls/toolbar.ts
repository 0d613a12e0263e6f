/** The toolbar: what is computed, and how far that is. */
import { Announcer } from "../lib/announcer";
import { h, setAttribute, setText, setVariable } from "../lib/dom";
import { button, select } from "../lib/form-controls";
import { pickMethod } from "../selection/methods";
import type { State } from "../state/state";
import type { Status } from "../state/traits";
import { baselineControls } from "./baseline-controls";
import { needKernel, whyOff } from "./needs-kernel";
import { Refusal } from "./refusal";
import { settingsForm } from "./settings-form";

export function toolbar(state: State, el: HTMLElement): void {
  const { signal } = state;
  const method = select("Method", signal, (value) => {
    methodRefusal.clear();
    pickMethod(state, value);
  });
  needKernel(state, method.input);
  const methodRefusal = new Refusal(state, "method", [method.input]);
  const settings = settingsForm(state);
  const baseline = baselineControls(state);
  el.append(
    h(
      "div",
      { class: "as-toolbar" },
      h("div", { class: "as-choice" }, method.element, settings.button, methodRefusal.element),
      h("div", { class: "as-choice" }, baseline.element, baseline.button, baseline.refusal),
      ...job(state),
    ),
    settings.panel,
    baseline.panel,
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
}

/** What is going on, and the buttons that start and stop it. */
function job(state: State): HTMLElement[] {
  const { signal } = state;
  const status = h("div", { class: "as-status", "aria-hidden": "true" });
  const spoken = new Announcer(signal);
  const again = button("as-button", "Recompute", signal, () => state.send({ type: "recompute" }));
  const cancel = button("as-button", "Cancel", signal, () => state.send({ type: "cancel" }));
  const progress = h("div", {
    class: "as-progress",
    role: "progressbar",
    "aria-label": "Progress",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  let before: Status | undefined;
  let spokenIdle = "";
  const show = (): void => {
    const { reachable } = state;
    const told = state.get("status") ?? "idle";
    const now = told === "running" && !reachable ? "cancelled" : told;
    const message = state.get("message") ?? "";
    const share = Math.round(Math.min(1, Math.max(0, state.get("progress") ?? 0)) * 100);
    const nobody = state.kernel === "static" ? "Saved page" : "No kernel";
    const words = {
      idle: message || (reachable ? "Ready" : nobody), // a message while idle: the kernel refused a choice
      running: message || "Computing",
      cancelled: reachable ? "Cancelled" : nobody,
      error: "Failed",
    }[now];
    setText(status, words);
    setAttribute(status, "title", now === "error" ? undefined : message || undefined);
    const news = now !== before || (now === "idle" && words !== spokenIdle);
    spoken.say(words, news);
    before = now;
    spokenIdle = now === "idle" ? words : "";

    const why = whyOff(state.kernel);
    cancel.disabled = now !== "running" || why !== undefined;
    again.disabled = why !== undefined;
    again.title = why ?? "Compute the present choice anew, for instance after more training";
    cancel.title = why ?? "";
    setAttribute(progress, "aria-valuenow", String(share));
    setVariable(progress, "--as-progress", share / 100);
    progress.hidden = now !== "running";
  };
  state.follow(["status", "progress", "message", "kernel"], show);
  return [h("div", { class: "as-job" }, status, spoken.element, again, cancel), progress];
}
