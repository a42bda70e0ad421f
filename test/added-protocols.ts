import type * as Protocols from '#core/model/policy/protocols.ts';

/** The table of protocols with two more that have ports, in the place of rows that it may have for them. */
export function withAddedProtocols(known: typeof Protocols): object {
  const others = known.PROTOCOLS.filter(({ number }) => !NUMBERS.includes(number));
  return { ...known, PROTOCOLS: [...others, ...ROWS] };
}

const ROWS: readonly Protocols.ProtocolRow[] = [
  { number: 132, name: 'sctp', nft: 'sctp', title: 'SCTP', selector: 'ports', revocation: 'none' },
  { number: 136, name: 'udplite', nft: 'udplite', title: 'UDP-Lite', selector: 'ports', revocation: 'none' },
];
const NUMBERS: readonly number[] = ROWS.map(({ number }) => number);
