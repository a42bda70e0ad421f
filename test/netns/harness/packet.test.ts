import { expect, test } from 'vitest';
import { fragmentPacket, isFragment, reassemble } from './fragment.ts';
import { buildPacket, checksum } from './packet.ts';

const ends4 = { source: '192.0.2.1', destination: '198.51.100.2' };
const ends6 = { source: '2001:db8::1', destination: '2001:db8::2' };
const ipv6Addresses = '20010db800000000000000000000000120010db8000000000000000000000002';
// The checksums in these bytes are those that tcpdump -vv calls correct.
test.each([
  ['tcp', 6, '450000280304000040068b95c0000201c633640203e801bb01020304000000005002ffffba020000'],
  ['udp', 17, '450000200304000040118b92c0000201c633640203e801bb000c09f601020304'],
  ['icmp', 1, '4500001c0304000040018ba6c0000201c63364020800f3f901020304'],
  ['gre', 47, '4500001c03040000402f8b78c0000201c63364020000080001020304'],
  ['253', 253, '450000180304000040fd8aaec0000201c633640201020304'],
])('IPv4 %s is built to the byte', (_, protocol, bytes) => {
  const fields = { protocol, identity: 0x01020304, sourcePort: 1000, destinationPort: 443, icmpType: 8 };
  expect(buildPacket({ ...ends4, ...fields }).toString('hex')).toBe(bytes);
});

test.each([
  ['tcp', 6, `6002030400140640${ipv6Addresses}03e801bb01020304000000005002ffff4ac50000`],
  ['udp', 17, `60020304000c1140${ipv6Addresses}03e801bb000c9ab801020304`],
  ['icmp', 58, `6002030400083a40${ipv6Addresses}8000204201020304`],
  ['gre', 47, `6002030400082f40${ipv6Addresses}000086dd01020304`],
  ['253', 253, `600203040004fd40${ipv6Addresses}01020304`],
])('IPv6 %s is built to the byte', (_, protocol, bytes) => {
  const fields = { protocol, identity: 0x01020304, sourcePort: 1000, destinationPort: 443, icmpType: 128 };
  expect(buildPacket({ ...ends6, ...fields }).toString('hex')).toBe(bytes);
});

test('the checksum is that of RFC 1071, also for an odd count of bytes', () => {
  expect(checksum(Buffer.from('0001f203f4f5f6f7', 'hex'))).toBe(0x220d);
  expect(checksum(Buffer.from('0001f203f4f5f6', 'hex'))).toBe(checksum(Buffer.from('0001f203f4f5f600', 'hex')));
});

test.each([ends4, ends6])('fragments from $source add up to their packet in any order', (ends) => {
  const payload = Buffer.from(Array.from({ length: 3001 }, (_, i) => i % 251));
  const whole = buildPacket({ ...ends, protocol: 17, identity: 7, payload });
  const fragments = fragmentPacket(whole, 1400);
  expect(fragments).toHaveLength(3);
  expect(fragments.every(isFragment)).toBe(true);
  expect(isFragment(whole)).toBe(false);
  expect(reassemble(fragments.toReversed())).toEqual({ whole: [whole], partial: [] });
  expect(reassemble(fragments.slice(1))).toEqual({ whole: [], partial: fragments.slice(1) });
});

test('addresses of two families are refused', () => {
  const mixed = { source: '192.0.2.1', destination: '2001:db8::2', protocol: 6, identity: 1 };
  expect(() => buildPacket(mixed)).toThrow(RangeError);
});
