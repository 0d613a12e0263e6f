/** Numbers as people read them: a true minus sign, three significant digits. */
const minus = (text: string): string => text.replace(/-/g, "−");

export function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e5) return minus(value.toExponential(1).replace("e+", "e"));
  return minus(size >= 1000 ? value.toFixed(0) : value.toPrecision(3));
}

/** Numbers along an axis: as short as they can be, but no two alike, and each the number that it stands at. */
export function tickTexts(ticks: readonly number[]): string[] {
  const step = Math.min(...ticks.slice(1).map((tick, i) => Math.abs(tick - ticks[i]!)));
  const slack = Number.isFinite(step) ? step * 1e-3 : 0;
  for (let digits = 3; digits < 17; digits++) {
    const found = ticks.map((tick) => shortest(tick, digits));
    if (found.every((text, i) => Math.abs(Number(text) - ticks[i]!) <= slack)) return found.map(minus);
  }
  return ticks.map((tick) => minus(String(tick)));
}

/** A number with at most so many digits, and no zeros at its end. */
function shortest(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const rounded = Number(value.toPrecision(digits));
  if (size >= 1e-3 && size < 1e5) return String(rounded);
  const [mantissa, exponent] = rounded.toExponential().split("e");
  return `${mantissa}e${Number(exponent)}`;
}

export function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value);
}

/** A number with its sign where there is little room: two significant digits. */
export function brief(value: number): string {
  const size = Math.abs(value);
  if (!(size >= 1e-3 && size < 1e4)) return signed(value);
  const text = size >= 100 ? size.toFixed(0) : size.toPrecision(2);
  return `${value > 0 ? "+" : "−"}${text}`;
}

/** Numbers that stand below one another: as many decimals for all as the largest needs; rough ones say so. */
export function aligned(values: readonly number[], rough = false): string[] {
  if (rough) return aligned(values).map((text) => `≈ ${text}`);
  const largest = Math.max(0, ...values.map(Math.abs).filter(Number.isFinite));
  if (largest < 1e-3 || largest >= 1e5) return values.map(number);
  const decimals = Math.min(5, Math.max(0, 2 - Math.floor(Math.log10(largest))));
  return values.map((value) => (Number.isFinite(value) ? minus(value.toFixed(decimals)) : number(value)));
}

/** A share as a percentage with one decimal; a share that is not nothing never reads as 0.0%. */
export function percent(share: number): string {
  if (Number.isNaN(share)) return "NaN";
  if (share > 0 && share < 0.0005) return "<0.1%";
  return `${(share * 100).toFixed(1)}%`;
}

/** The same without decimals, where there is no room for them. */
export function wholePercent(share: number): string {
  if (Number.isNaN(share)) return "NaN";
  return share > 0 && share < 0.005 ? "<1%" : `${(share * 100).toFixed(0)}%`;
}

/** A change of a share in percentage points, with its sign. */
export function points(change: number): string {
  if (Number.isNaN(change)) return "NaN";
  const text = (Math.abs(change) * 100).toFixed(1);
  return text === "0.0" ? "±0.0" : `${change > 0 ? "+" : "−"}${text}`;
}

/** A count with at most three digits: 864, 30.7 k, 4.65 M. */
export function count(value: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (value >= size) {
      const scaled = value / size;
      return `${scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${unit}`;
    }
  }
  return String(value);
}

export function shape(dims: readonly number[]): string {
  return dims.length === 0 ? "scalar" : dims.join(" × ");
}

export const position = (alpha: number): string => alpha.toFixed(2);
