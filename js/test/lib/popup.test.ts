/** A panel that opens over the page: how it opens and closes, where the focus goes, and on which side it stands. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Popup } from "../../src/lib/popup";
import { manualSizes } from "../support/inside-traits";
import { press } from "../support/view";

let life: AbortController;
let root: HTMLElement;
let button: HTMLButtonElement;
let inside: HTMLInputElement;
let elsewhere: HTMLButtonElement;
let popup: Popup;
let heard: string[];
const opened = vi.fn();

beforeEach(() => {
  life = new AbortController();
  heard = [];
  opened.mockReset();
  root = document.createElement("div");
  root.className = "as-root";
  button = document.createElement("button");
  inside = document.createElement("input");
  elsewhere = document.createElement("button");
  popup = new Popup(button, "as-some-panel", life.signal, opened);
  popup.panel.append(inside);
  root.append(popup.element, elsewhere);
  document.body.append(root);
  document.body.addEventListener("keydown", ({ key }) => heard.push(key), { signal: life.signal });
});
afterEach(() => {
  life.abort();
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

const pointAt = (element: Element): boolean =>
  element.dispatchEvent(new Event("pointerdown", { bubbles: true, composed: true }));

describe("a popup", () => {
  it("opens and closes by its button, and says so", () => {
    expect(popup.open).toBe(false);
    expect(button.getAttribute("aria-expanded")).toBe("false");
    expect(button.getAttribute("aria-controls")).toBe(popup.panel.id);
    button.click();
    expect(popup.open).toBe(true);
    expect(popup.panel.hidden).toBe(false);
    expect(button.getAttribute("aria-expanded")).toBe("true");
    expect(opened).toHaveBeenCalledTimes(1);
    popup.show(); // it is
    expect(opened).toHaveBeenCalledTimes(1);
    inside.focus();
    button.click();
    expect(popup.open).toBe(false);
    expect(document.activeElement).toBe(button);
  });

  it("stays closed while its button is off", () => {
    button.disabled = true;
    popup.show();
    expect(popup.open).toBe(false);
    expect(opened).not.toHaveBeenCalled();
  });

  it("closes by Escape from inside and from its button, and keeps that key to itself", () => {
    button.click();
    inside.focus();
    press(inside, "Escape");
    expect(popup.open).toBe(false);
    expect(document.activeElement).toBe(button);
    button.click();
    button.focus();
    press(button, "Escape");
    expect(popup.open).toBe(false);
    expect(heard).toEqual([]);
    press(button, "Escape");
    expect(heard).toEqual(["Escape"]); // nothing was open
  });

  it("closes when somebody presses or goes elsewhere, and then leaves the focus alone", () => {
    button.click();
    inside.focus();
    pointAt(inside);
    expect(popup.open).toBe(true);
    pointAt(document.body);
    expect(popup.open).toBe(false);
    button.click();
    inside.focus();
    elsewhere.focus();
    expect(popup.open).toBe(false);
    expect(document.activeElement).toBe(elsewhere);
  });

  it("stays while the focus goes to its button, or to another window", () => {
    button.click();
    inside.focus();
    button.focus();
    expect(popup.open).toBe(true);
    inside.focus();
    inside.blur();
    expect(popup.open).toBe(true);
  });

  it("hears nothing more after the end of the view", () => {
    button.click();
    life.abort();
    pointAt(document.body);
    expect(popup.open).toBe(true);
  });
});

describe("where a popup stands", () => {
  const rect = (left: number, top: number, width: number, height: number): DOMRect => ({
    left,
    top,
    width,
    height,
    right: left + width,
    bottom: top + height,
    x: left,
    y: top,
    toJSON: () => undefined,
  });

  /** The widget is 600 wide and 500 high; the button and the panel, which would stand below it, as told. */
  function place(at: { left: number; top: number }, size: { width: number; height: number }): string[] {
    vi.spyOn(root, "getBoundingClientRect").mockReturnValue(rect(100, 50, 600, 500));
    vi.spyOn(button, "getBoundingClientRect").mockReturnValue(rect(at.left, at.top, 60, 26));
    vi.spyOn(popup.panel, "getBoundingClientRect").mockReturnValue(
      rect(at.left, at.top + 30, size.width, size.height),
    );
    popup.show();
    return [popup.panel.style.left, popup.panel.dataset.above ?? "below"];
  }

  it("is below the button, at its left edge", () => {
    expect(place({ left: 120, top: 60 }, { width: 200, height: 300 })).toEqual(["0px", "below"]);
  });

  it("is further left where it would be cut off", () => {
    // From 600 to 800, and the widget ends at 700: with 8 pixels to spare 108 too far.
    expect(place({ left: 600, top: 60 }, { width: 200, height: 300 })).toEqual(["-108px", "below"]);
  });

  it("is placed by the size it has once it is filled", () => {
    const filled = rect(600, 90, 150, 300);
    opened.mockImplementation(() => {
      vi.spyOn(popup.panel, "getBoundingClientRect").mockReturnValue(filled);
    });
    expect(place({ left: 600, top: 60 }, { width: 10, height: 10 })).toEqual(["-58px", "below"]);
  });

  it("is never further left than the widget", () => {
    expect(place({ left: 110, top: 60 }, { width: 800, height: 300 })).toEqual(["-2px", "below"]);
  });

  it("is above the button where there is more room, and below it again when there is", () => {
    expect(place({ left: 120, top: 480 }, { width: 200, height: 300 })).toEqual(["0px", "1"]);
    popup.close(false);
    expect(place({ left: 120, top: 60 }, { width: 200, height: 300 })).toEqual(["0px", "below"]);
  });

  it("is another once the view has another size, as long as it is open", () => {
    const resize = manualSizes();
    expect(place({ left: 600, top: 60 }, { width: 200, height: 300 })).toEqual(["-108px", "below"]);
    vi.spyOn(root, "getBoundingClientRect").mockReturnValue(rect(100, 50, 1000, 500));
    resize(1000, 500);
    expect(popup.panel.style.left).toBe("0px");
    vi.spyOn(button, "getBoundingClientRect").mockReturnValue(rect(600, 500, 60, 26));
    vi.spyOn(popup.panel, "getBoundingClientRect").mockReturnValue(rect(600, 530, 200, 300));
    resize(1000, 500);
    expect(popup.panel.dataset.above).toBe("1");
    popup.close(false);
    popup.panel.style.left = "3px";
    resize(600, 500);
    expect(popup.panel.style.left).toBe("3px");
  });

  it("is below where it fits neither way and there is more room below", () => {
    expect(place({ left: 120, top: 60 }, { width: 200, height: 900 })).toEqual(["0px", "below"]);
  });
});
