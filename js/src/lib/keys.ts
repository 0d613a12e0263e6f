/** Keys pressed inside the widget belong to it: JupyterLab's command mode would act on them otherwise. */
const NAMED = new Set([
  "ArrowLeft",
  "ArrowRight",
  "ArrowUp",
  "ArrowDown",
  "Home",
  "End",
  "PageUp",
  "PageDown",
  "Enter",
  "Backspace",
  "Delete",
]);

/** True for the keys our controls use; Escape, Tab and the notebook's own combinations stay the notebook's. */
export function isOurs(event: KeyboardEvent): boolean {
  const { target } = event;
  const typing =
    target instanceof HTMLTextAreaElement ||
    (target instanceof HTMLInputElement && (target.type === "search" || target.type === "text"));
  if ((event.ctrlKey || event.metaKey || event.altKey) && (!typing || event.key === "Enter")) return false;
  if (event.key === "Enter" && event.shiftKey) return false; // runs the cell
  return event.key.length === 1 || NAMED.has(event.key);
}

export function keepKeys(root: HTMLElement, signal: AbortSignal): void {
  root.addEventListener(
    "keydown",
    (event) => {
      if (isOurs(event)) event.stopPropagation();
    },
    { signal },
  );
}
