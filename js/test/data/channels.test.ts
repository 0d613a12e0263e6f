import { describe, expect, it, vi } from "vitest";
import { channels, neuronInfo, valuesOf, whatIf } from "../../src/data/channels";
import { neuronKey } from "../../src/data/neurons";
import { currentNeuronInfo } from "../../src/selection/channels";
import type { RawChannels } from "../../src/state/messages.generated";
import { State } from "../../src/state/state";
import type { Traits } from "../../src/state/traits.generated";
import { View } from "../../src/state/view";
import { FakeModel, onWire, sampleTraits } from "../support/fake";
import { infoOf, SIX, withLayer } from "../support/inside-traits";
import { useViews } from "../support/view";

useViews();
describe("channels off the wire", () => {
  it("are values again: scale times code", () => {
    const six = channels(SIX)!;
    const values = valuesOf(six.activation);
    expect([...values.subarray(8, 12)].map((v) => Number(v.toFixed(2)))).toEqual([0, 0.66, 1.34, 2]);
    expect([six.rows, six.columns, six.h, six.w]).toEqual([4, 4, 2, 2]);
    expect(channels(SIX)).toBe(six);
  });

  it("count as not there when they do not fit, and say so", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const bad = (changes: Partial<RawChannels>): void =>
      expect(channels({ ...SIX, ...changes })).toBeUndefined();
    bad({ count: 7 });
    bad({ shape: [2, 3] });
    bad({ scales: onWire(new Float32Array(5)) });
    bad({ thumbs: onWire(new Int8Array(3)) });
    expect(warn).toHaveBeenCalledTimes(4);
    const { parts, ...without } = SIX;
    expect(parts).toBeDefined();
    expect(channels(without)).toBeUndefined();
    bad({ count: 0 });
    bad({ count: 1.5 });
    bad({ size: [0, 4] });
    expect(channels({})).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(4);
  });

  it("live with odd labels and heads", () => {
    const odd = channels({ ...SIX, positions: ["one"], heads: 5, layout: "knot" as "map" })!;
    expect(odd).toMatchObject({ positions: [], heads: 0, layout: "other" });
  });

  it("a neuron and a change of predictions need what is said about them", () => {
    expect(neuronInfo({})).toBeUndefined();
    expect(neuronInfo({ title: "x", classes: 3 as unknown as [] })).toBeUndefined();
    expect(neuronInfo({ title: "x" })).toMatchObject({ activation: undefined, classes: [] });
    expect(whatIf({})).toBeUndefined();
    expect(whatIf({ request: {} })).toBeUndefined();
    expect(whatIf({ request: {}, message: "cannot" })).toMatchObject({ items: [], message: "cannot" });
    const items = [
      { index: 1, label: "cat", before: null, after: 0.5, before_score: null, after_score: null },
    ];
    expect(whatIf({ request: {}, items })!.items).toEqual([
      { index: 1, label: "cat", before: NaN, after: 0.5, afterScore: NaN }, // JSON knows no NaN
    ]);
  });

  it("know a neuron however it is written, and not under another target", () => {
    expect(neuronKey(3)).toBe(neuronKey([3]));
    expect(neuronKey([3, 0])).not.toBe(neuronKey(3));
    expect(neuronKey(0)).not.toBe(neuronKey(null));
    const viewOf = (changes: Partial<Traits>): View =>
      new State(
        new FakeModel(sampleTraits(withLayer(SIX, { neuron: 5, neuron_info: infoOf([5]), ...changes }))),
        new AbortController().signal,
      ).view;
    expect(currentNeuronInfo(viewOf({}))?.activation).toBe(1.31);
    expect(currentNeuronInfo(viewOf({ neuron: [5, 0, 0] }))).toBeUndefined();
    expect(currentNeuronInfo(viewOf({ target: 2 }))).toBeUndefined();
    expect(currentNeuronInfo(viewOf({ layer: "stem.conv" }))).toBeUndefined();
  });
});
