/** The path: the output along the way from the baseline to the input, and the walk along it. */
import type { Path } from "../data/messages";
import { at, locate } from "../data/walk-frames";
import { card } from "../lib/card";
import { Chart } from "../lib/chart";
import { clamp, h, setAttribute, setClipped, setText } from "../lib/dom";
import { showRange } from "../lib/form-controls";
import { number, position } from "../lib/format";
import { currentPath, presentAlpha } from "../selection/displayed";
import { methodOnShow } from "../selection/scope";
import { isComputing, markOf, pathIsStale } from "../selection/freshness";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { ChartKey } from "./chart-key";
import { PathEnds } from "./path-ends";
import { PathPlayer } from "./path-player";

function valueText(alpha: number, score: number | undefined): string {
  const where = alpha <= 0 ? ", the baseline" : alpha >= 1 ? ", the input" : "";
  return `α = ${position(alpha)}${where}${score === undefined ? "" : `, output ${number(score)}`}`;
}

export class PathCard {
  readonly node: HTMLElement;
  readonly #frame = card("as-path", "Integrated gradients path");
  readonly #chart = new Chart();
  readonly #output = new ChartKey("as-key-main");
  readonly #attributed = new ChartKey("as-key-second");
  readonly #hint = h("span", { class: "as-hint" });
  readonly #input = h("input", {
    class: "as-range",
    type: "range",
    min: 0,
    max: 1,
    step: 0.005,
    "aria-label": "Path position",
  });
  readonly #player: PathPlayer;
  #drawn: Path | undefined;
  /** F(baseline) + what is attributed up to each frame. */
  #sums: readonly number[] | undefined;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
    const frame = this.#frame;
    const output = this.#output;
    const attributed = this.#attributed;
    const chart = this.#chart;
    const input = this.#input;
    const { signal } = state;
    this.node = frame.element;
    this.#player = new PathPlayer(state);
    setClipped(
      attributed.label,
      "F(0) + attributed so far",
      "The output at the baseline plus the sum of the attributions accumulated up to here",
    );
    frame.head.append(this.#hint);
    frame.element.append(
      h("div", { class: "as-keys" }, output.element, attributed.element),
      chart.element,
      h("div", { class: "as-walk" }, this.#player.element, input),
      new PathEnds(state).node,
    );
    this.#drawChart(undefined);
    input.addEventListener("input", () => this.#go(Number(input.value)), { signal });
    for (const element of [input, chart.area]) {
      for (const event of ["pointerup", "blur"])
        element.addEventListener(event, () => this.#letGo(), { signal });
    }
    chart.area.addEventListener("pointerdown", (event) => this.#take(event), { signal });
    chart.area.addEventListener(
      "pointermove",
      (event) => {
        if (chart.area.hasPointerCapture(event.pointerId)) this.#point(event);
      },
      { signal },
    );
    state.follow(this);
  }

  show(view: View): void {
    const way = currentPath(view);
    if (way !== this.#drawn) this.#drawChart(way);
    const stale = way ? pathIsStale(view, way) : false;
    const awaited = !way && isComputing(view);
    this.#frame.mark(way || awaited ? markOf(view, stale) : "not computed", stale);
    setAttribute(this.#frame.element, "data-empty", awaited ? "1" : undefined);
    setClipped(
      this.#output.label,
      way?.targetLabel ? `F(α), output for ${way.targetLabel}` : "F(α), the explained output",
    );
    this.#showAlpha(presentAlpha(view), way);
  }

  #drawChart(way: Path | undefined): void {
    this.#drawn = way;
    this.#sums = way?.totals.map((total) => total + way.scores[0]!);
    this.#chart.show(way?.alphas ?? [], way?.scores ?? [], this.#sums);
  }

  #showAlpha(alpha: number, way: Path | undefined): void {
    const sums = this.#sums;
    const here = way && locate(way.alphas, alpha);
    const score = here && at(way.scores, here);
    this.#chart.mark(alpha, score);
    setText(this.#hint, `at α = ${position(alpha)}`);
    this.#output.show(score);
    this.#attributed.show(sums && here && at(sums, here));
    showRange(this.#input, alpha, valueText(alpha, score));
  }

  #go(alpha: number): void {
    this.#player.stop();
    this.#state.drag("alpha", alpha);
  }

  /** The path is that of integrated gradients: whoever has chosen another method sees its map again. */
  #letGo(): void {
    const state = this.#state;
    const { scope, name } = methodOnShow(state.view);
    const isPath = scope === "input" && name === "IntegratedGradients";
    if (!isPath && state.view.has("method")) state.set("alpha", 1);
  }

  #take(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#chart.area.setPointerCapture(event.pointerId);
    this.#point(event);
  }

  #point(event: PointerEvent): void {
    const box = this.#chart.area.getBoundingClientRect();
    if (box.width > 0)
      this.#go(clamp(Math.round(((event.clientX - box.left) / box.width) * 200) / 200, 0, 1));
  }
}
