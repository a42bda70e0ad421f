import type { Family } from '#core/model/net/address.ts';
import type { OtherChain, PublishedPort } from '#core/model/nft/other-table.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostState } from '#core/model/policy/host.ts';
import { protocolName } from '#core/model/policy/protocol-lookup.ts';
import type { Action } from '#core/model/policy/rule.ts';

/** The chains and redirections of other programs' tables. */
interface OtherRules {
  readonly chains: readonly OtherChain[];
  readonly publishedPorts: readonly PublishedPort[];
}

/** A chain of another table that a packet traverses beside ours, as scripts read it: a contract. */
export interface MetChain extends OtherChain {
  /** `drop`: it can drop the packet though the policy allows it. `redirect`: it can change the destination before our rules see it. */
  readonly effect: 'drop' | 'redirect';
  /** Where a rule of its table sends packets for this port; null if no rule is known to. */
  readonly to: string | null;
}

/** The families of tables that packets of a family traverse; those of family bridge only on a bridge. */
const TABLE_FAMILIES: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['ip', 'inet', 'netdev'],
  ipv6: ['ip6', 'inet', 'netdev'],
};

const HOOKS: Readonly<Record<Packet['direction'], readonly string[]>> = {
  inbound: ['ingress', 'prerouting', 'input'],
  outbound: ['output', 'postrouting'],
};

/**
 * The chains that a packet traverses beside ours and what they can do to it. A packet that our rules deny is not
 * dropped again. Undefined if the tables are unknown.
 */
export function chainsMet(
  others: OtherRules | undefined,
  { packet, verdict }: { readonly packet: Packet; readonly verdict: Action },
  { interfaces }: Pick<HostState, 'interfaces'>,
): readonly MetChain[] | undefined {
  if (others === undefined) return undefined;
  const { chains, publishedPorts } = others;
  const isBridge = interfaces.some(({ name, kind }) => name === packet.interface && kind === 'bridge');
  const families = [...TABLE_FAMILIES[packet.source.family], ...(isBridge ? ['bridge'] : [])];
  return chains
    .filter(({ table, hook }) => families.includes(familyOf(table)) && HOOKS[packet.direction].includes(hook))
    .filter(({ type }) => type === 'nat' || verdict === 'allow')
    .map((chain) =>
      chain.type === 'nat'
        ? { ...chain, effect: 'redirect', to: targetOf(publishedPorts, chain.table, packet) }
        : { ...chain, effect: 'drop', to: null },
    );
}

function familyOf(table: string): string {
  return table.slice(0, table.indexOf(' '));
}

function targetOf(published: readonly PublishedPort[], table: string, packet: Packet): string | null {
  const { protocol, destinationPort, source } = packet;
  if (destinationPort === undefined) return null;
  const name = protocolName(protocol, source.family);
  const rule = published.find(
    (port) => port.table === table && port.protocol === name && isAmong(port.port, destinationPort),
  );
  return rule?.to ?? null;
}

/** Whether `ports`, as nft prints them, contain the port; named sets are not looked up. */
function isAmong(ports: string, port: number): boolean {
  if (ports.startsWith('@')) return false;
  return [...ports.matchAll(/(\d+)(?:-(\d+))?/g)].some(
    ([, from, to = from]) => Number(from) <= port && port <= Number(to),
  );
}
