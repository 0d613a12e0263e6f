/** Bars that may reach to both sides of zero. */
/** Where a bar begins and ends, as shares of the track: scores may lie on both sides of zero. */
export function barSpan(value: number, low: number, high: number): { from: number; to: number } {
  const zero = (0 - low) / (high - low);
  const end = (value - low) / (high - low);
  if (!Number.isFinite(zero) || !Number.isFinite(end)) return { from: 0, to: 0 };
  return { from: Math.min(zero, end), to: Math.max(zero, end) };
}
