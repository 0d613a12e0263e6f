import { describe, expect, it, vi } from "vitest";
import { heat, path, picture, singleIndex } from "../../src/data/messages";
import { bytes, floats } from "../../src/lib/binary";
import { memo } from "../../src/lib/memo";
import { HEAT, onWire, sampleTraits } from "../support/fake";

describe("typed arrays from the wire", () => {
  it.each([0, 1, 2, 3, 4, 7])("reads float32 at byte offset %i", (offset) => {
    expect([...floats(onWire(HEAT, offset))]).toEqual([...HEAT]);
  });

  it("copies floats only when they are not aligned", () => {
    const aligned = onWire(HEAT, 4);
    expect(floats(aligned).buffer).toBe(aligned.buffer);
    const odd = onWire(HEAT, 3);
    expect(floats(odd).buffer).not.toBe(odd.buffer);
  });

  it("reads no byte outside the view", () => {
    const view = onWire(Uint8Array.of(1, 2, 3), 5);
    expect([...bytes(view)]).toEqual([1, 2, 3]);
    expect(bytes(view).buffer).toBe(view.buffer);
  });

  it("takes plain buffers and typed arrays too, as other hosts give them", () => {
    expect([...bytes(Uint8Array.of(9, 8).buffer)]).toEqual([9, 8]);
    expect([...floats(HEAT.subarray(1, 3))]).toEqual([-0.5, 0]);
  });
});

describe("decoding traits", () => {
  it("gives width and height in the right order", () => {
    const { w, h } = heat(sampleTraits().heat!)!;
    expect([w, h]).toEqual([3, 2]);
  });

  it("takes an empty trait for nothing, silently", () => {
    const warn = vi.spyOn(console, "warn");
    expect(heat({})).toBeUndefined();
    expect(picture({})).toBeUndefined();
    expect(path({})).toBeUndefined();
    expect(warn).not.toHaveBeenCalled();
  });

  it("refuses data that does not fit its shape, and says so", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const { heat: map, picture: image, path: way } = sampleTraits();
    expect(heat({ ...map, shape: [3, 3] })).toBeUndefined();
    expect(picture({ ...image, shape: [2, 2] })).toBeUndefined();
    expect(path({ ...way, shape: [2, 4] })).toBeUndefined();
    expect(path({ ...way, scores: [1] })).toBeUndefined();
    expect(path({ ...way, totals: [1] })).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(5);
    expect(picture({ ...image, shape: [0, 3] })).toBeUndefined();
  });

  it("keeps a missing gap apart from a gap of zero", () => {
    const raw = sampleTraits().heat!;
    expect(heat({ ...raw, gap: null })!.gap).toBeUndefined();
    expect(heat({ ...raw, gap: 0 })!.gap).toBe(0);
  });

  it("lives with a result that answers no request, as of an overlay standing alone", () => {
    expect(heat({ ...sampleTraits().heat, request: null })!.request).toEqual({});
  });

  it("decodes one object once", () => {
    const raw = sampleTraits().heat!;
    expect(heat(raw)).toBe(heat(raw));
    const make = vi.fn(() => undefined);
    const ask = memo(make);
    const key = {};
    ask(key);
    ask(key);
    expect(make).toHaveBeenCalledTimes(1);
  });

  it("names the single class of a target", () => {
    expect(singleIndex(4)).toBe(4);
    expect(singleIndex([4])).toBe(4);
    expect(singleIndex([4, 2])).toBeUndefined();
    expect(singleIndex(null)).toBeUndefined();
    expect(singleIndex(undefined)).toBeUndefined();
  });
});
