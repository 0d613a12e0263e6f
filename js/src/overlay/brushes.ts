/** Picks a region of the picture: a box, a lasso, or a segment; by the pointer or by keys alone. */
import { maskOf, outlineOf } from "../data/region";
import { h, setAttribute } from "../lib/dom";
import { sameValue } from "../lib/equality";
import type { Point } from "../lib/zoom";
import { placeBox } from "../selection/detail";
import { currentSegments, pickRegion, regionMask } from "../selection/region";
import type { Region } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { BoxDraft, type Draft, LassoDraft } from "./draft";
import type { Brush } from "./pointing";
import { boxAt, boxesOf, onStillClick } from "./places";
import { RegionLayer } from "./region-layer";
import type { Stage } from "./stage";
import { smallButton } from "./zoom-buttons";

type Tool = "box" | "lasso" | "segment";

const TOOLS: readonly {
  readonly name: Tool;
  readonly label: string;
  readonly hint: string;
  readonly icon: string;
}[] = [
  { name: "box", label: "Box", hint: "drag over the picture, or key B", icon: "M1.5 2.5h9v7h-9z" },
  {
    name: "lasso",
    label: "Lasso",
    hint: "draw around something",
    icon: "M6 1.8c2.8 0 4.6 1.2 4.6 2.8S8.8 7.4 6 7.4 1.4 6.2 1.4 4.6 3.2 1.8 6 1.8zM3.3 7c-.9 1.7.9 2.1.3 3.7",
  },
  {
    name: "segment",
    label: "Segment",
    hint: "click something of one colour, or key S",
    icon: "M1.5 1.5h9v9h-9zM1.5 7l3.2-2 1.8 2.5 4-3.5M6.5 7.5v3",
  },
];

/** Said to whoever comes to the picture without seeing it. */
export const KEYS_TEXT =
  "Key B begins a box at the cross: arrows size it, Enter sets it, Escape leaves it. " +
  "Key S picks the segment under the cross, Enter the place. Delete lets go of the region.";

export class Brushes implements Brush {
  readonly element: HTMLElement;
  readonly layer = new RegionLayer();
  readonly #buttons: ReadonlyMap<Tool, HTMLButtonElement>;
  #tool: Tool | undefined;
  #draft: Draft | undefined;
  #hovered = "";
  readonly #state: State;
  readonly #stage: Stage;
  readonly #say: (text: string) => void;

  /** `say` tells who listens what keys have done. */
  constructor(state: State, stage: Stage, say: (text: string) => void) {
    this.#state = state;
    this.#stage = stage;
    this.#say = say;
    this.#buttons = new Map(
      TOOLS.map(({ name, label, hint, icon }) => [
        name,
        smallButton(label, icon, hint, state.signal, () => this.#use(this.#tool === name ? undefined : name)),
      ]),
    );
    this.element = h(
      "div",
      { class: "as-brushes", role: "group", "aria-label": "Pick a region" },
      ...this.#buttons.values(),
    );
    stage.element.append(...this.layer.nodes);
    setAttribute(stage.canvas, "aria-keyshortcuts", "B S Delete");
    onStillClick(stage, state.signal, (point) => this.#ask(point));
    this.#use(undefined);
    state.follow(this);
  }

  show(view: View): void {
    regionMask(view);
    this.#draw();
  }

  /** Shows the region where the picture is now. */
  moved(): void {
    this.#draw();
  }

  get drawing(): boolean {
    return this.#draft !== undefined;
  }

  get active(): boolean {
    return this.#tool !== undefined;
  }

  // --- by the pointer ---

  take(at: Point): void {
    this.#hovered = "";
    if (this.#tool === "box") this.#draft = new BoxDraft(at, this.#stage);
    else if (this.#tool === "lasso") this.#draft = new LassoDraft(at);
    this.#draw();
  }

  drag(at: Point): void {
    this.#draft?.to(at);
    this.#draw();
  }

  drop(at: Point, moved: boolean): void {
    const region = this.#draft?.region;
    this.cancel();
    if (this.#tool === "segment") this.#pickSegment({ x: Math.floor(at.x), y: Math.floor(at.y) });
    else if (moved && region) this.#pick(region);
  }

  cancel(): void {
    this.#draft = undefined;
    this.#draw();
  }

  // --- by keys ---

  /** The cross is elsewhere. */
  pointed(byKeyboard: boolean): void {
    const { point } = this.#stage;
    if (byKeyboard && point && this.#draft instanceof BoxDraft) {
      this.#draft.to({ x: point.x + 0.5, y: point.y + 0.5 });
    }
    if (!this.#draft) this.#hover();
    this.#draw();
  }

  /** Whether a key meant the region. */
  press({ key }: KeyboardEvent): boolean {
    if (!this.#stage.width) return false;
    switch (key) {
      case "b":
      case "B":
        this.#begin();
        return true;
      case "s":
      case "S":
        this.#pickSegment(this.#cross());
        return true;
      case "Enter":
        return this.#enter();
      case "Escape":
        return this.#leave();
      case "Delete":
      case "Backspace":
        if (this.#state.view.get("selection") === null) return false;
        pickRegion(this.#state, null);
        this.#say("No region");
        return true;
    }
    return false;
  }

  #enter(): boolean {
    const draft = this.#draft;
    if (draft?.region) {
      this.cancel();
      this.#pick(draft.region);
      return true;
    }
    if (this.#tool === "box") this.#begin();
    else if (this.#tool === "segment") this.#pickSegment(this.#cross());
    else if (this.#stage.point) return this.#ask(this.#stage.point);
    return this.active;
  }

  #leave(): boolean {
    const meant = this.drawing || this.active;
    if (this.drawing) this.#say("Box left");
    else this.#use(undefined);
    this.cancel();
    return meant;
  }

  #begin(): void {
    const { x, y } = this.#cross();
    const draft = new BoxDraft({ x: x + 0.5, y: y + 0.5 }, this.#stage);
    this.#draft = draft;
    this.#draw();
    this.#say(`Box begun at x ${x}, y ${y}`);
  }

  /** What is being drawn, for those who listen. */
  get text(): string {
    if (!(this.#draft instanceof BoxDraft)) return "";
    const [top, left, bottom, right] = this.#draft.box;
    return `box ${right - left} wide, ${bottom - top} high`;
  }

  /** Where the cross stands; it comes into the middle where there is none. */
  #cross(): Point {
    const stage = this.#stage;
    if (!stage.point) stage.pointAt({ x: (stage.width - 1) >> 1, y: (stage.height - 1) >> 1 }, true);
    return stage.point!;
  }

  // --- what comes of it ---

  #use(tool: Tool | undefined): void {
    this.#tool = tool;
    this.#hovered = "";
    for (const [name, element] of this.#buttons) setAttribute(element, "aria-pressed", String(name === tool));
    setAttribute(this.#stage.canvas, "data-brush", tool);
    this.cancel();
  }

  #pickSegment({ x, y }: Point): void {
    this.#pick({ kind: "segment", point: [x, y] });
  }

  /** Asks about a place without any tool: about the block around it. Asked again, it is let go of. */
  #ask(point: Point): boolean {
    const { view } = this.#state;
    const stage = this.#stage;
    const waits = stage.element.dataset.picking !== undefined; // for a pixel to explain
    if (this.active || waits || boxAt(boxesOf(view), point) !== undefined) return false;
    const region: Region = { kind: "box", box: placeBox(view, point, stage) };
    if (sameValue(view.get("selection"), region)) pickRegion(this.#state, null);
    else this.#pick(region);
    return true;
  }

  #pick(region: Region): void {
    const { width, height } = this.#stage;
    if (maskOf(region, width, height, currentSegments(this.#state.view))?.count === 0) return;
    pickRegion(this.#state, region);
  }

  /** The segment that a click would pick. */
  #hover(): void {
    const { point, width, height } = this.#stage;
    const known = currentSegments(this.#state.view);
    const mask =
      this.#tool === "segment" && point && known
        ? maskOf({ kind: "segment", point: [point.x, point.y] }, width, height, known)
        : undefined;
    this.#hovered = mask ? outlineOf(mask) : "";
  }

  #draw(): void {
    const mask = regionMask(this.#state.view);
    this.layer.show(this.#stage, mask ? outlineOf(mask) : "", this.#draft?.line ?? this.#hovered);
  }
}
