import { isUtf8 } from 'node:buffer';

/** The offset of the first byte that begins no well-formed UTF-8 character; undefined if `bytes` is valid UTF-8. */
export function invalidUtf8Offset(bytes: Uint8Array): number | undefined {
  if (isUtf8(bytes)) return undefined;
  let offset = 0;
  while (offset < bytes.length) {
    const length = characterBytes(bytes[offset] ?? 0);
    if (length === 0 || offset + length > bytes.length || !isUtf8(bytes.subarray(offset, offset + length)))
      return offset;
    offset += length;
  }
  return offset;
}

function characterBytes(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}
