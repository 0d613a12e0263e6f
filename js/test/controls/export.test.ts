import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { onWire } from "../support/fake";
import { buttonOf, draw, find, useViews, view } from "../support/view";

useViews();

interface Download {
  readonly name: string;
  readonly type: string;
  readonly bytes: number[];
}

describe("files of what is on show", () => {
  let made: Blob[] = [];
  let revoked: string[] = [];
  const downloads: Promise<Download>[] = [];

  beforeEach(() => {
    made = [];
    revoked = [];
    downloads.length = 0;
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => `blob:${made.push(blob as Blob) - 1}`);
    vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void revoked.push(url));
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      expect(this.isConnected).toBe(true);
      const blob = made[Number(this.getAttribute("href")!.slice("blob:".length))]!;
      downloads.push(
        blob.arrayBuffer().then((data) => ({
          name: this.download,
          type: blob.type,
          bytes: [...new Uint8Array(data)],
        })),
      );
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  const words = (): string => find(".as-share-panel > .as-done").textContent;
  const sent = (): { what: string; request: string } =>
    view.model.sent.at(-1) as { what: string; request: string };
  const answer = (about: object, ...buffers: DataView[]): void => {
    view.model.happen("msg:custom", { type: "exported", request: sent().request, ...about }, buffers);
    view.frame();
  };

  it.each([
    ["Figure", "figure", "cat.png", "image/png"],
    ["Slide", "slide", "cat-slide.png", "image/png"],
    ["Web page", "html", "cat.html", "text/html"],
  ])("asks for the %s and hands it to the browser", async (label, what, name, type) => {
    draw();
    buttonOf(label).click();
    view.frame();
    expect(view.model.sent).toEqual([{ type: "export", what, request: sent().request }]);
    expect(words()).toBe("Preparing the file");
    const waits = (one: string): boolean => buttonOf(one).getAttribute("aria-disabled") === "true";
    expect(["Figure", "Slide", "Web page"].map(waits)).toEqual([true, true, true]);
    const asked = view.model.sent.length;
    buttonOf(label).click(); // not once more
    expect(view.model.sent.length).toBe(asked);
    expect(buttonOf(label).disabled).toBe(false); // or the focus would be lost
    answer({ name }, onWire(Uint8Array.of(1, 2, 250)));
    expect(await Promise.all(downloads)).toEqual([{ name, type, bytes: [1, 2, 250] }]);
    expect(words()).toBe(`Downloaded ${name}`);
    expect(waits(label)).toBe(false);
    expect(document.querySelector("a[download]")).toBeNull();
    expect(revoked).toEqual([]);
    view.end();
    expect(revoked).toEqual(["blob:0"]);
  });

  it("takes only what this view has asked for, and only once", async () => {
    draw();
    buttonOf("Slide").click();
    view.frame();
    const file = onWire(Uint8Array.of(1));
    for (const content of [
      null,
      "exported",
      { type: "other" },
      { type: "exported", request: "somebody else's", name: "no.png" },
    ]) {
      view.model.happen("msg:custom", content, [file]);
    }
    expect(downloads).toEqual([]);
    answer({ name: "yes.png" }, file);
    answer({ name: "again.png" }, file);
    expect((await Promise.all(downloads)).map(({ name }) => name)).toEqual(["yes.png"]);
  });

  it("asks anew each time by another name", () => {
    draw();
    const requests = ["Figure", "Figure"].map((label) => {
      buttonOf(label).click();
      view.frame();
      answer({ reason: "no" });
      return sent().request;
    });
    expect(new Set(requests).size).toBe(2);
  });

  it("says why there is none", () => {
    draw();
    buttonOf("Slide").click();
    view.frame();
    answer({ reason: "there is no map" });
    expect(words()).toBe("there is no map");
    expect(downloads).toEqual([]);
    expect(buttonOf("Slide").getAttribute("aria-disabled")).toBeNull();
  });

  it("needs a kernel, and waits no more when that is gone", () => {
    draw({ _live: false });
    expect(buttonOf("Figure").disabled).toBe(true);
    expect(buttonOf("Figure").title).toContain("without its kernel");
    view.end();
    draw();
    buttonOf("Figure").click();
    view.frame();
    Object.assign(view.model.values, { layout: { comm_live: false } });
    view.model.happen("comm_live_update");
    return new Promise<void>((done) =>
      setTimeout(() => {
        view.frame();
        expect(words()).toBe("");
        expect(buttonOf("Figure").title).toContain("kernel is gone");
        done();
      }),
    );
  });

  it("counts as a sign of life", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    draw();
    buttonOf("Figure").click();
    vi.advanceTimersByTime(6_000);
    view.frame();
    expect(find(".as-kernel").hidden).toBe(false);
    answer({ reason: "no" });
    expect(find(".as-kernel").hidden).toBe(true);
  });
});
