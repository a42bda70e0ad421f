import type { Family } from '#core/model/net/address.ts';
import { ICMP_PROTOCOLS, icmpFamily, nftWord, PORT_PROTOCOLS } from '#core/model/policy/protocol-lookup.ts';
import type { IcmpProtocol, PortProtocol } from '#core/model/policy/protocols.ts';

/** A field of a packet's transport header that rules test. */
export type TransportField =
  | { readonly kind: 'port'; readonly protocol: PortProtocol; readonly end: 'source' | 'destination' }
  | {
      readonly kind: 'icmp';
      readonly protocol: IcmpProtocol;
      readonly family: Family;
      readonly part: 'type' | 'code';
    };

const FIELDS: ReadonlyMap<string, TransportField> = new Map<string, TransportField>([
  ...PORT_PROTOCOLS.flatMap((protocol): (readonly [string, TransportField])[] => [
    [`${nftWord(protocol)}.sport`, { kind: 'port', protocol, end: 'source' }],
    [`${nftWord(protocol)}.dport`, { kind: 'port', protocol, end: 'destination' }],
  ]),
  ...ICMP_PROTOCOLS.flatMap((protocol) =>
    (['type', 'code'] as const).map((part): readonly [string, TransportField] => [
      `${nftWord(protocol)}.${part}`,
      { kind: 'icmp', protocol, family: icmpFamily(protocol), part },
    ]),
  ),
]);

/** Parses a field of a listed table, such as `tcp.dport`; undefined for other fields. */
export function transportField(field: string): TransportField | undefined {
  return FIELDS.get(field);
}
