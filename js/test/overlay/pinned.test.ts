/** A map that was kept: beside the present one, on one scale. */
import { describe, expect, it } from "vitest";
import type { RawPinned } from "../../src/state/messages.generated";
import type { Traits } from "../../src/state/traits.generated";
import { HEAT, onWire, sampleTraits } from "../support/fake";
import { layerTraits } from "../support/layer-traits";
import {
  all,
  buttonOf,
  canvas,
  draw,
  find,
  inputOf,
  press,
  puts,
  slide,
  useViews,
  view,
} from "../support/view";

useViews();

const PINNED: RawPinned = {
  id: 3,
  heat: {
    ...sampleTraits().heat,
    data: onWire(HEAT.map((value) => value * 4)),
    title: "Grad-CAM at stem for dog",
    request: { target: 2, layer: "stem" },
  },
  picture: { shape: [2, 3], data: onWire(new Uint8Array(18).fill(90)) },
  title: "Grad-CAM at stem for dog",
};

const show = (changes: Partial<Traits> = {}): void =>
  draw(layerTraits({ pinned: [PINNED], beside: [3], ...changes }));
const kept = (): HTMLCanvasElement => find(".as-pinned canvas") as HTMLCanvasElement;
const present = (): HTMLCanvasElement => find(".as-view:not(.as-pinned) canvas") as HTMLCanvasElement;

describe("pinning", () => {
  it("asks the kernel to keep what is on show, after what was scrubbed", () => {
    show({ pinned: [], beside: [] });
    expect(all("canvas[role=img]")).toHaveLength(1);
    press(canvas(), "]");
    view.frame();
    buttonOf("Pin").click();
    expect(view.model.saves).toEqual([{ layer: "stem" }]);
    expect(view.model.sent).toEqual([{ type: "pin" }]);
  });

  it("is not offered where there is nothing to keep, or nobody to keep it", () => {
    show({ heat: {}, pinned: [], beside: [] });
    expect(buttonOf("Pin").disabled).toBe(true);
    view.model.receive({ heat: sampleTraits().heat! });
    view.frame();
    expect(buttonOf("Pin").disabled).toBe(false);
    view.model.receive({ alpha: 0.5 });
    view.frame();
    expect(buttonOf("Pin").disabled).toBe(true); // a walk is no map of the kernel's
    expect(buttonOf("Pin").title).toContain("go to alpha 1");
    view.model.receive({ alpha: 1, pinned: [{ ...PINNED, heat: { ...sampleTraits().heat } }] });
    view.frame();
    expect(buttonOf("Pin").title).toBe("This map is pinned"); // again would change nothing
    view.end();
    show({ _live: false });
    expect([buttonOf("Pin").disabled, buttonOf("Unpin").disabled]).toEqual([true, true]);
  });

  it("leaves the map alone that was just pinned, until another is on show", () => {
    const { heat, picture } = sampleTraits();
    const same = {
      ...PINNED,
      id: 4,
      heat: heat!,
      picture: picture!,
    };
    show({ pinned: [PINNED, same], beside: [4] });
    expect(all("canvas[role=img]")).toHaveLength(1);
    buttonOf("Pins (2)").click();
    expect(find(".as-tray .as-note").textContent).toMatch(/^This is the map on show: choose another/);
    view.model.receive({ beside: [3, 4] });
    view.frame();
    expect(all("canvas[role=img]")).toHaveLength(2); // with another pin it is compared
    view.model.receive({ beside: [4], heat: { ...heat, title: "Saliency for cat", request: { target: 7 } } });
    view.frame();
    expect(all("canvas[role=img]")).toHaveLength(2);
  });

  it("keeps the focus on its button when the map is kept", () => {
    show({ pinned: [], beside: [] });
    buttonOf("Pin").focus();
    view.model.receive({ pinned: [{ ...PINNED, heat: { ...sampleTraits().heat } }] });
    view.frame();
    expect(buttonOf("Pin").title).toBe("This map is pinned");
    expect(document.activeElement).toBe(buttonOf("Pin"));
  });

  it("is no part of views whose kernel knows nothing of it", () => {
    draw();
    expect(buttonOf("Pin")).toBeUndefined();
  });
});

describe("two maps", () => {
  it("stand side by side, each under its title, and the kept one goes when it is let go", () => {
    show();
    expect(all("canvas[role=img]")).toEqual([kept(), present()]);
    // Each has its title over its own picture, and the card says what the two are.
    expect(find(".as-pinned .as-pin-title").textContent).toBe("Grad-CAM at stem for dog");
    expect(find(".as-view:not(.as-pinned) .as-pin-title").textContent).toBe("Integrated Gradients for cat");
    expect(find(".as-overlay .as-title").textContent).toBe("A pinned map, and the map on show");
    expect(kept().getAttribute("aria-label")).toMatch(
      /^Pinned: Grad-CAM at stem for dog, over the picture\./,
    );
    buttonOf("Unpin").focus();
    buttonOf("Unpin").click();
    expect(view.model.sent).toEqual([{ type: "unpin", pin: 3 }]);
    view.model.receive({ pinned: [], beside: [] });
    view.frame();
    expect(all("canvas[role=img]")).toHaveLength(1);
    expect(document.activeElement).toBe(buttonOf("Pin"));
  });

  it("share one scale, that of the larger, and the legend says so", () => {
    show();
    expect(find(".as-ticks").textContent).toBe("−4.0004.00");
    expect(find(".as-notes").textContent).toContain("one scale for both maps");
    view.model.receive({ scale_limit: 2 });
    view.frame();
    expect(find(".as-ticks").textContent).toBe("−2.0002.00");
    expect(find(".as-notes").textContent).toContain("scale held");
    view.model.receive({ scale_limit: null, pinned: [], beside: [] });
    view.frame();
    expect(find(".as-ticks").textContent).toBe("−1.0001.00");
    expect(find(".as-notes").textContent).not.toContain("both maps");
  });

  it("are told of by the one of which more lies beyond the scale", () => {
    show();
    expect(find(".as-notes").textContent).toContain("nothing clipped");
    view.model.receive({ scale_limit: 2 }); // beyond which only the kept one goes
    view.frame();
    expect(find(".as-notes").textContent).toMatch(/\d% beyond the scale/);
    view.model.receive({ pinned: [], beside: [] });
    view.frame();
    expect(find(".as-notes").textContent).toContain("nothing clipped");
  });

  it("are styled together, and the kept one is not drawn again for a walk of the other", () => {
    show();
    slide("Opacity", 0.9);
    view.frame();
    expect([kept().dataset.drawn, present().dataset.drawn]).toEqual(["2", "2"]);
    slide("Path position", 0.5);
    view.frame();
    expect([kept().dataset.drawn, present().dataset.drawn]).toEqual(["2", "3"]);
    const painted = puts();
    view.model.receive({ message: "on and on", status: "running" });
    view.frame();
    expect(puts()).toBe(painted);
  });

  it("are zoomed and read together, from either of them", () => {
    const picture = { shape: [32, 48], data: onWire(new Uint8Array(32 * 48 * 3)) } as const;
    const small = { shape: [16, 24], data: onWire(new Uint8Array(16 * 24 * 3)) } as const;
    show({ picture, pinned: [{ ...PINNED, picture: small }] });
    press(kept(), "+");
    view.frame();
    expect(present().dataset.zoomed).toBe("1");
    press(present(), "0");
    view.frame();
    expect(kept().dataset.zoomed).toBeUndefined();
    press(present(), "ArrowLeft"); // the middle
    view.frame();
    expect(find(".as-readout").textContent).toBe("x 23, y 15: −0.500; pinned −2.00");
    expect(all(".as-cross").filter(({ hidden }) => !hidden)).toHaveLength(2);
    canvas().dispatchEvent(new Event("blur"));
    present().dispatchEvent(new Event("blur"));
    view.frame();
    expect(find(".as-readout").textContent).toBe("");
  });

  it("make do with the kept one where the present layer has no map", () => {
    show({ layer: "fc", heat: {} });
    expect(find(".as-ticks").textContent).toBe("−4.0004.00");
    expect(find(".as-notes").textContent).toMatch(/^no map: layer fc gives 10 numbers/);
    expect(inputOf("Opacity").disabled).toBe(false);
  });
});
