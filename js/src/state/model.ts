/** The widget model that the page is drawn from. */
/** As much of an anywidget model as the page needs. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(name: string, callback: () => void): void;
  off(name: string, callback: () => void): void;
  save_changes(): void;
  send(content: unknown): void;
  /** Jupyter hosts only. */
  readonly widget_manager?: unknown;
}
