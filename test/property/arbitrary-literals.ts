import fc from 'fast-check';
import type { Family } from '#core/model/net/address.ts';
import type { PlainRule } from '../oracle/plain-policy.ts';

/*
 * Texts of addresses and ports from small universes, 10.1.0.0/24, 2001:db8:1::/120 and a few ports, so that what rules
 * say overlaps, touches and is hit often.
 */

/** Members of both universes' edges, where CIDRs and ranges begin and end. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 126, 127, 128, 129, 191, 192, 253, 254, 255];

const OFFSET = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...EDGES) }, fc.integer({ min: 0, max: 255 }));

/** How much of an address's end a CIDR leaves open: bits of its universe. */
const HOST_BITS = fc.constantFrom(0, 1, 2, 4, 5, 6, 7, 8);

const WIDE: Record<Family, readonly string[]> = {
  ipv4: [
    '0.0.0.0/1',
    '128.0.0.0/1',
    '10.0.0.0/8',
    '10.0.255.250-10.1.0.3',
    '10.1.0.252-10.1.1.3',
    '0.0.0.1-10.1.0.127',
    '10.1.0.128-255.255.255.255',
    '255.255.255.255',
  ],
  ipv6: [
    '::/1',
    '8000::/1',
    '2001:db8::/32',
    'fe80::/10',
    '2001:db8:0:ffff:ffff:ffff:ffff:fff0-2001:db8:1::3',
    '2001:db8:1::fe-2001:db8:1::103',
    '::1-2001:db8:1::7f',
    '2001:db8:1::80-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ],
};

const WHOLE: Record<Family, string> = { ipv4: '0.0.0.0/0', ipv6: '::/0' };

/** The address `offset` steps into the universe of `family`. */
function addressText(family: Family, offset: number): string {
  return family === 'ipv4' ? `10.1.0.${offset}` : `2001:db8:1::${offset.toString(16)}`;
}

/** Another spelling of the same address. */
function longText(family: Family, offset: number): string {
  return family === 'ipv4' ? addressText(family, offset) : `2001:0DB8:1:0:0:0:0:${offset.toString(16).toUpperCase()}`;
}

/** One address. */
export function addressOf(family: Family): fc.Arbitrary<string> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 7, arbitrary: OFFSET.map((offset) => addressText(family, offset)) },
    OFFSET.map((offset) => longText(family, offset)),
  );
}

/** An address, a CIDR with or without host bits, or a range; seldom the whole family. */
export function entryOf(family: Family): fc.Arbitrary<string> {
  const bits = family === 'ipv4' ? 32 : 128;
  const cidr = fc.tuple(OFFSET, HOST_BITS).map(([offset, open]) => {
    const network = Math.floor(offset / 2 ** open) * 2 ** open;
    return `${addressText(family, network)}/${bits - open}`;
  });
  const loose = fc.tuple(OFFSET, HOST_BITS).map(([offset, open]) => `${addressText(family, offset)}/${bits - open}`);
  const range = fc.tuple(OFFSET, OFFSET).map(([a, b]) => {
    return `${addressText(family, Math.min(a, b))}-${addressText(family, Math.max(a, b))}`;
  });
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: addressOf(family) },
    { weight: 4, arbitrary: cidr },
    { weight: 3, arbitrary: range },
    { weight: 1, arbitrary: loose },
    { weight: 1, arbitrary: fc.constantFrom(...WIDE[family], WHOLE[family]) },
  );
}

/** What a rule can name as its remote in letters and digits: an entry, or the whole family. */
export function literalOf(family: Family): fc.Arbitrary<string> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 6, arbitrary: entryOf(family) },
    { weight: 1, arbitrary: fc.constant(WHOLE[family]) },
  );
}

const PORT = fc.oneof(
  { withCrossShrink: true },
  { weight: 4, arbitrary: fc.constantFrom(22, 53, 80, 81, 443, 546, 8000) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 65530, max: 65535 }) },
);

const PORT_RANGE = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(PORT, PORT).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`) },
  { weight: 1, arbitrary: fc.constantFrom('79-80', '82-90', '8000-8999', '1-65535', '1024-65535') },
);

const PORT_ITEM = fc.oneof({ withCrossShrink: true }, PORT.map(String), PORT_RANGE);

/** All three spellings of ports: a number, text, and a list of either; with overlaps. */
export const PORTS: fc.Arbitrary<NonNullable<PlainRule['ports']>> = fc.oneof(
  { withCrossShrink: true },
  { weight: 2, arbitrary: PORT },
  { weight: 2, arbitrary: PORT_RANGE },
  { weight: 2, arbitrary: fc.array(PORT_ITEM, { minLength: 1, maxLength: 4 }).map((items) => items.join(',')) },
  { weight: 1, arbitrary: fc.array(fc.oneof(PORT, PORT_ITEM), { minLength: 1, maxLength: 3 }) },
);
