import { TABLE } from '#core/translate/5-render/names.ts';
import type { Decision } from '#core/meaning/evaluate/evaluate.ts';
import type { Family } from '#core/model/net/address.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { protocolName } from '#core/model/policy/protocol-lookup.ts';
import type { OtherChain, PublishedPort } from '#core/model/nft/other-table.ts';
import { createOtherTables, type OtherRules } from '#kernel/nftables/other-tables.ts';

/** A chain of another table that a packet meets beside ours, as scripts read it: a contract. */
export interface MetChain extends OtherChain {
  /** `drop`: it can drop the packet though the policy allows it. `redirect`: it can change the destination before our rules see it. */
  readonly effect: 'drop' | 'redirect';
  /** Where a rule of its table sends packets for this port; null where none is known to. */
  readonly to: string | null;
}

/** The tables of others on this host; undefined where this program may not look. */
export async function readOtherChains(): Promise<OtherRules | undefined> {
  const tables = createOtherTables(TABLE);
  try {
    return await tables.read();
  } finally {
    tables.close();
  }
}

/** The families of tables whose chains packets of a family meet; those of a bridge are met on a bridge alone. */
const TABLE_FAMILIES: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['ip', 'inet', 'netdev'],
  ipv6: ['ip6', 'inet', 'netdev'],
};

const HOOKS: Readonly<Record<Packet['direction'], readonly string[]>> = {
  inbound: ['ingress', 'prerouting', 'input'],
  outbound: ['output', 'postrouting'],
};

/**
 * Which of the chains `packet` meets and what they can do to it; a packet that is denied here is not dropped again.
 * Undefined where the tables are not known: not this host's, or not to be looked at.
 */
export function chainsMet(
  others: OtherRules | undefined,
  { packet, decision: { verdict } }: { readonly packet: Packet; readonly decision: Pick<Decision, 'verdict'> },
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
    (one) => one.table === table && one.protocol === name && isAmong(one.port, destinationPort),
  );
  return rule?.to ?? null;
}

/** Whether `ports`, as nft prints them, name the port; sets by name are not looked up. */
function isAmong(ports: string, port: number): boolean {
  if (ports.startsWith('@')) return false;
  return [...ports.matchAll(/(\d+)(?:-(\d+))?/g)].some(
    ([, from, to = from]) => Number(from) <= port && port <= Number(to),
  );
}

/** The lines about them for people, none where no chain is met. */
export function describeMet(met: readonly MetChain[]): readonly string[] {
  const nameOf = ({ table, chain }: MetChain): string => `table ${table}, chain ${chain}`;
  const drops = met
    .filter(({ effect }) => effect === 'drop')
    .map((one) => `${nameOf(one)}${one.policy === 'drop' ? ' (policy drop)' : ''}`);
  const redirects = met.filter(({ effect }) => effect === 'redirect');
  return [
    ...(drops.length === 0 ? [] : [`but        other tables may still drop it: ${drops.join('; ')}`]),
    ...redirects.map(
      (one) =>
        `before     ${nameOf(one)} may change its destination${one.to === null ? '' : ` to ${one.to}`} before these rules see it`,
    ),
  ];
}
