/** The picked region over the picture, and the one that is being drawn: lines along the edges of pixels. */
import { setAttribute, setVariable, svg } from "../lib/dom";
import { paneSpan } from "./panes";
import type { Stage } from "./stage";

/** A line that is seen on dark and on light, in whatever colour the map is. */
function line(className: string): { readonly element: SVGGElement; draw(path: string): void } {
  const under = svg("path", { class: "as-region-under" });
  const over = svg("path", { class: "as-region-over" });
  return {
    element: svg("g", { class: className }, under, over),
    draw(path) {
      setAttribute(under, "d", path);
      setAttribute(over, "d", path);
    },
  };
}

class Pane {
  readonly picked = line("as-region-picked");
  readonly draft = line("as-region-draft");
  readonly element = svg(
    "svg",
    { class: "as-region", "aria-hidden": "true", preserveAspectRatio: "none" },
    this.picked.element,
    this.draft.element,
  );
}

export class RegionLayer {
  readonly #panes = [new Pane(), new Pane()] as const;

  get nodes(): readonly SVGElement[] {
    return this.#panes.map(({ element }) => element);
  }

  /** Draws two lines, given in pixels of the picture, where the stage has the picture now. */
  show({ panes, viewport, width, height }: Stage, picked: string, draft: string): void {
    const { zoom, left, top } = viewport;
    const view = `${left * width} ${top * height} ${width / zoom} ${height / zoom}`;
    this.#panes.forEach((pane, i) => {
      const { element } = pane;
      const hidden = i >= panes.count || (!picked && !draft);
      pane.picked.draw(picked);
      pane.draft.draw(draft);
      setAttribute(element, "hidden", hidden ? "" : undefined);
      if (hidden) return;
      const span = paneSpan(panes, i);
      setVariable(element, "--as-from", span.from);
      setVariable(element, "--as-width", span.width);
      setAttribute(element, "viewBox", view);
    });
  }
}
