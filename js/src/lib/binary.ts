/** Binary values as typed arrays, without a copy where that can be. */
/** A binary value: ipywidgets gives a DataView, other hosts may give what lies under it. */
export type Binary = DataView | ArrayBuffer | ArrayBufferView;

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The bytes of a binary value without a copy: views may start anywhere in their buffer. */
export function bytes(data: Binary): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** Little-endian float32 values; copied only when they do not start at a multiple of four. */
export function floats(data: Binary): Float32Array {
  const raw = bytes(data);
  const count = raw.byteLength >> 2;
  if (!LITTLE_ENDIAN) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    return Float32Array.from({ length: count }, (_, i) => view.getFloat32(i * 4, true));
  }
  return raw.byteOffset % 4 === 0
    ? new Float32Array(raw.buffer, raw.byteOffset, count)
    : new Float32Array(raw.slice(0, count * 4).buffer);
}
