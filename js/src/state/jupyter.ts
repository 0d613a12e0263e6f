/**
 * What notebook hosts tell about the kernel beyond a widget's own traits. Nothing here is promised by anywidget, so
 * everything is asked for with care: in a host without it, only silence can show that the kernel is gone.
 */
import type { Model } from "./model";

/** Kernel states after which the objects that a page talks to are no more. */
const ENDS = new Set(["restarting", "autorestarting", "terminating", "dead"]);

type Slot<T> = (sender: unknown, value: T) => void;

interface Signal<T> {
  connect(slot: Slot<T>): unknown;
  disconnect(slot: Slot<T>): unknown;
}

interface HostKernel {
  readonly status?: string;
  readonly isDisposed?: boolean;
  readonly statusChanged?: Signal<string>;
  readonly disposed?: Signal<unknown>;
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** The kernel as JupyterLab and Notebook 7 know it; null when there is none any more, undefined elsewhere. */
function kernelOf(model: Model): HostKernel | null | undefined {
  const kernel = property(model.widget_manager, "kernel");
  return typeof kernel === "object" ? kernel : undefined;
}

/**
 * Whether the host has cut the widget's connection. A Jupyter widget's model knows (`comm_live`); anywidget does not
 * pass that on, but the widget's layout is a model of its own and shares its fate.
 */
export function isCut(model: Model): boolean {
  if (property(model.get("layout"), "comm_live") === false) return true;
  const kernel = kernelOf(model);
  return kernel === null || kernel?.isDisposed === true || ENDS.has(kernel?.status ?? "");
}

/** Calls back when the host says that the kernel is gone. */
export function whenCut(model: Model, signal: AbortSignal, cut: () => void): void {
  // The host marks one model after the other: look when all of them are marked.
  const look = (): void => {
    setTimeout(() => {
      if (!signal.aborted && isCut(model)) cut();
    });
  };
  model.on("comm_live_update", look);
  signal.addEventListener("abort", () => model.off("comm_live_update", look));

  const kernel = kernelOf(model);
  if (!kernel) return;
  const status: Slot<string> = (_, value) => {
    if (ENDS.has(value)) cut();
  };
  const disposed: Slot<unknown> = () => cut();
  kernel.statusChanged?.connect(status);
  kernel.disposed?.connect(disposed);
  signal.addEventListener("abort", () => {
    kernel.statusChanged?.disconnect(status);
    kernel.disposed?.disconnect(disposed);
  });
}
