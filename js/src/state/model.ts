/** The widget model that the page is drawn from. */
import type { AnyModel } from "@anywidget/types";

type Whole = AnyModel<Record<string, unknown>>;

/** Hears of an event; of a message ("msg:custom") what it says, and its buffers. */
export type Listener = (content?: unknown, buffers?: unknown) => void;

/** As much of an anywidget model as the page needs. */
export type Model = Pick<Whole, "get" | "set" | "off" | "save_changes" | "send"> & {
  /** Also what is no part of anywidget's promise, such as "comm_live_update". */
  on(name: string, callback: Listener): void;
  /** In Jupyter hosts only. */
  readonly widget_manager?: unknown;
};
