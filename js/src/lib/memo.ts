/** Remembers the answer for each object asked about, for as long as that object lives. */
export function memo<I extends object, O>(make: (input: I) => O): (input: I) => O {
  const known = new WeakMap<I, { output: O }>();
  return (input) => {
    let entry = known.get(input);
    if (!entry) {
      entry = { output: make(input) };
      known.set(input, entry);
    }
    return entry.output;
  };
}
