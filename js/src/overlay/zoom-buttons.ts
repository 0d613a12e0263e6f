/** The buttons for zooming, for whoever has no wheel and knows no keys. */
import { h, setAttribute, setText, svg } from "../lib/dom";
import { button } from "../lib/form-controls";
import { STEP, type Viewport, WHOLE, zoomBy } from "../lib/zoom";
import type { Stage } from "./stage";

export function zoomButtons(
  stage: Stage,
  signal: AbortSignal,
  moved: () => void,
): { element: HTMLElement; show: () => void } {
  const look = (view: Viewport): void => {
    stage.look(view);
    moved();
  };
  const factor = h("span", { class: "as-factor" });
  const out = small("Zoom out", "M2 6h8", "Key −", () =>
    look(zoomBy(stage.view, 1 / STEP, stage.largestZoom)),
  );
  const reset = small("Reset zoom", "M4 1H1v3M8 1h3v3M4 11H1V8M8 11h3V8", "Key 0", () => look(WHOLE));
  const closer = small("Zoom in", "M2 6h8M6 2v8", "Key +, or the wheel with Ctrl", () =>
    look(zoomBy(stage.view, STEP, stage.largestZoom)),
  );

  function small(label: string, icon: string, hint: string, pressed: () => void): HTMLButtonElement {
    const element = button("as-button as-small", "", signal, pressed);
    element.append(svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: icon })));
    element.setAttribute("aria-label", label);
    element.title = `${label} (${hint})`;
    return element;
  }

  return {
    element: h("div", { class: "as-zoom", role: "group", "aria-label": "Zoom" }, factor, out, closer, reset),
    show() {
      const { zoom } = stage.view;
      setText(factor, zoom === 1 ? "" : `${zoom >= 10 ? zoom.toFixed(0) : Number(zoom.toFixed(1))}×`);
      // A disabled button loses the focus: they stay enabled, and pressing them at an end does nothing.
      for (const [element, end] of [
        [out, zoom <= 1],
        [reset, zoom <= 1],
        [closer, zoom >= stage.largestZoom - 1e-6],
      ] as const) {
        setAttribute(element, "aria-disabled", String(end));
      }
    },
  };
}
