/** The path: the output along the way from the baseline to the input, and the walk along it. */
import type { Path, Picture } from "../data/messages";
import { at, locate } from "../data/walk-frames";
import { context, pictureCanvas } from "../lib/canvas";
import { card } from "../lib/card";
import { Chart } from "../lib/chart";
import { clamp, clipped, h, setAttribute, setClipped, setText, svg } from "../lib/dom";
import { showRange } from "../lib/form-controls";
import { number, position } from "../lib/format";
import { baselineLabel } from "../selection/baselines";
import { currentBaseline, currentPath, currentPicture, presentAlpha } from "../selection/displayed";
import { markOf, pathIsStale } from "../selection/freshness";
import type { State } from "../state/state";

const PLAY = "M3 1.5 10.5 6 3 10.5Z";
const PAUSE = "M2.5 1.5h2.5v9H2.5ZM7 1.5h2.5v9H7Z";
const WALK_MS = 2500;
/** With reduced motion the walk is a few still pictures. */
const STILLS = 5;

/** The position some time after the start of a walk that began at `from`. */
export function walkPosition(from: number, elapsed: number, still: boolean): number {
  const share = clamp(from + elapsed / WALK_MS, 0, 1);
  return still ? Math.max(from, Math.floor(share * STILLS + 1e-9) / STILLS) : share;
}

export function path(state: State, el: HTMLElement): void {
  const { signal } = state;
  const frame = card("as-path", "Path");
  const chart = new Chart();
  const output = key("as-key-main");
  const attributed = key("as-key-second");
  setClipped(
    attributed.label,
    "F(0) + attributed so far",
    "The output at the baseline plus the sum of the attributions accumulated up to here",
  );
  const place = h("span", { class: "as-hint" });
  const input = h("input", {
    class: "as-range",
    type: "range",
    min: 0,
    max: 1,
    step: 0.005,
    "aria-label": "Path position",
  });
  const player = new Player(state);
  const start = end("as-end-start");
  const finish = end("as-end-finish");

  frame.head.append(place);
  frame.element.append(
    h("div", { class: "as-keys" }, output.element, attributed.element),
    chart.element,
    h("div", { class: "as-walk" }, player.element, input),
    h("div", { class: "as-ends" }, start.element, finish.element),
  );
  el.append(frame.element);

  let drawn: Path | undefined;
  let sums: readonly number[] | undefined; // F(baseline) + what is attributed up to each frame

  const drawChart = (): void => {
    const way = currentPath(state);
    if (way === drawn && way) return;
    drawn = way;
    sums = undefined;
    setAttribute(frame.element, "data-empty", way ? undefined : "1");
    if (!way) {
      chart.show([], []);
      return;
    }
    sums = way.totals.map((total) => total + way.scores[0]!);
    chart.show(way.alphas, way.scores, sums);
  };

  const follow = (): void => {
    const alpha = presentAlpha(state);
    const way = currentPath(state);
    const here = way && locate(way.alphas, alpha);
    const score = here && at(way.scores, here);
    chart.mark(alpha, score);
    setText(place, `at α = ${position(alpha)}`);
    output.show(score);
    attributed.show(sums && here && at(sums, here));
    showRange(input, alpha, valueText(alpha, score));
  };

  state.follow(["path", "target", "baseline", "contrast", "example", "status", "alpha", "kernel"], () => {
    drawChart();
    const way = currentPath(state);
    const stale = way ? pathIsStale(state, way) : false;
    frame.mark(markOf(state, stale), stale);
    setClipped(
      output.label,
      way?.targetLabel ? `F(α), output for ${way.targetLabel}` : "F(α), the explained output",
    );
    follow();
  });
  state.follow(["picture", "baseline_picture", "baseline", "baselines"], () => {
    const name = baselineLabel(state);
    start.show(name ? `Baseline: ${name}` : "Baseline", currentBaseline(state));
    finish.show("Input", currentPicture(state));
  });

  const go = (alpha: number): void => {
    player.stop();
    state.drag("alpha", alpha);
  };
  input.addEventListener("input", () => go(Number(input.value)), { signal });
  const point = (event: PointerEvent): void => {
    const box = chart.area.getBoundingClientRect();
    if (box.width > 0) go(clamp(Math.round(((event.clientX - box.left) / box.width) * 200) / 200, 0, 1));
  };
  chart.area.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      chart.area.setPointerCapture(event.pointerId);
      point(event);
    },
    { signal },
  );
  chart.area.addEventListener(
    "pointermove",
    (event) => {
      if (chart.area.hasPointerCapture(event.pointerId)) point(event);
    },
    { signal },
  );
}

/** A line of the chart's key: which curve, and its value at the marker. */
function key(className: string): {
  element: HTMLElement;
  label: HTMLElement;
  show: (value: number | undefined) => void;
} {
  const label = clipped("as-key-label");
  const value = h("span", { class: "as-number" });
  const element = h("span", { class: `as-key ${className}` }, label, value);
  return {
    element,
    label,
    show(now) {
      setAttribute(element, "data-unknown", now === undefined ? "1" : undefined);
      setText(value, now === undefined ? "" : number(now));
    },
  };
}

function valueText(alpha: number, score: number | undefined): string {
  const where = alpha <= 0 ? ", the baseline" : alpha >= 1 ? ", the input" : "";
  return `α = ${position(alpha)}${where}${score === undefined ? "" : `, output ${number(score)}`}`;
}

/** One end of the path: a small picture and its name. */
function end(className: string): {
  element: HTMLElement;
  show: (name: string, picture: Picture | undefined) => void;
} {
  const label = clipped("as-end-name");
  const thumb = h("canvas", {
    class: "as-thumb",
    width: 56,
    height: 56,
    "aria-hidden": "true",
    hidden: true,
  });
  let drawn: Picture | undefined;
  return {
    element: h("span", { class: `as-end ${className}` }, thumb, label),
    show(name, picture) {
      setClipped(label, name);
      thumb.hidden = !picture;
      if (!picture || picture === drawn) return;
      drawn = picture;
      const ctx = context(thumb);
      const side = Math.min(picture.w, picture.h);
      ctx?.drawImage(
        pictureCanvas(picture),
        (picture.w - side) / 2,
        (picture.h - side) / 2,
        side,
        side,
        0,
        0,
        thumb.width,
        thumb.height,
      );
    },
  };
}

/** The play button: walks to the input, from the baseline when it stands at the input. */
class Player {
  readonly element: HTMLButtonElement;
  private frame = 0;
  private readonly icon = svg("path", { d: PLAY });

  constructor(private readonly state: State) {
    this.element = h(
      "button",
      { class: "as-play", type: "button" },
      svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, this.icon),
    );
    this.show(false);
    this.element.addEventListener("click", () => (this.frame ? this.stop() : this.start()), {
      signal: state.signal,
    });
    state.signal.addEventListener("abort", () => this.stop());
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.show(false);
  }

  private start(): void {
    const now = presentAlpha(this.state);
    const from = now < 1 ? now : 0;
    const still = globalThis.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const step = (time: number): void => {
      if (presentAlpha(this.state) >= 1) {
        this.stop(); // someone went to the input in the meantime
        return;
      }
      const alpha = walkPosition(from, Math.max(0, time - begin), still);
      this.state.drag("alpha", alpha);
      if (alpha < 1) this.frame = requestAnimationFrame(step);
      else this.stop();
    };
    this.frame = requestAnimationFrame(step);
    this.state.set("alpha", from);
    this.show(true);
  }

  private show(playing: boolean): void {
    const label = playing ? "Pause the walk" : "Play the walk from baseline to input";
    setAttribute(this.element, "aria-label", label);
    this.element.title = label;
    this.icon.setAttribute("d", playing ? PAUSE : PLAY);
  }
}
