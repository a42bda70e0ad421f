import { FAMILIES } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import { LINK_LOCAL, LOOPBACK, MULTICAST, OWN_ADDRESS } from '#core/model/policy/platform.ts';
import type { Match, NftChain, NftRule, PacketEnd } from '#core/model/nft/ruleset.ts';
import { builtIn } from './built-in-rule.ts';
import { logRules } from './log-rules.ts';

const COMMENT = `platform:${OWN_ADDRESS}`;
const SOURCES_CHAIN = objectName('platform', 'own-source');
const LOOPBACK_CHAIN = objectName('platform', 'to-loopback');

/** The chain that drops what comes in with an address of this host, or for loopback. */
export const OWN_ADDRESS_CHAIN = objectName('platform', OWN_ADDRESS);

/**
 * Leads what comes in with a source that the host itself has, or for loopback, to the chains that drop it. Behind live
 * flows: what another table's NAT brings back from a container to 127.0.0.1 answers a flow that the host opened.
 */
export function ownAddressRules(policy: HostPolicy): readonly NftRule[] {
  if (!policy.platform.ownAddress) return [];
  const sources = hasRouteLookups(policy)
    ? [builtIn([{ kind: 'sourceType', of: 'host', isLocal: true }], { kind: 'jump', chain: SOURCES_CHAIN }, COMMENT)]
    : [];
  const loopback = LOOPBACK.map((interval) =>
    builtIn([addressIn('destination', interval)], { kind: 'jump', chain: LOOPBACK_CHAIN }, COMMENT),
  );
  return [...sources, ...loopback];
}

/** The chains that {@link ownAddressRules} lead to. */
export function ownAddressChains(policy: HostPolicy): readonly NftChain[] {
  const { platform, accounts } = policy;
  if (!platform.ownAddress) return [];
  const drop = builtIn([], { kind: 'goto', chain: OWN_ADDRESS_CHAIN }, COMMENT);
  const spared = (matches: readonly Match[], comment: string): NftRule => builtIn(matches, { kind: 'return' }, comment);
  const sources: readonly NftRule[] = [
    // A neighbour on another link may have the address that the host has here: link-local ones are unique on a link only.
    ...LINK_LOCAL.map((interval) =>
      spared(
        [addressIn('source', interval), { kind: 'sourceType', of: 'interface', isLocal: false }],
        'of another link',
      ),
    ),
    // The addresses of a VRF are its own, and those of others may be the same; kernels before 6.16 look among the others.
    spared([{ kind: 'inVrf' }], 'of a VRF'),
    // The host gets copies of what it sends to many; a forgery among these cannot be told from them.
    spared([{ kind: 'toMany' }, { kind: 'family', family: 'ipv4' }, { kind: 'manyIpv4' }], 'a copy'),
    spared([{ kind: 'toMany' }, addressIn('destination', MULTICAST.ipv6)], 'a copy'),
    drop,
  ];
  return [
    {
      name: OWN_ADDRESS_CHAIN,
      hook: undefined,
      rules: [
        ...(accounts.logDenied
          ? logRules({ action: 'deny', direction: 'inbound', families: FAMILIES, prefix: OWN_ADDRESS_CHAIN }, accounts)
          : []),
        { ...builtIn([], { kind: 'drop' }, COMMENT), counted: true },
      ],
    },
    ...(hasRouteLookups(policy) ? [{ name: SOURCES_CHAIN, hook: undefined, rules: sources }] : []),
    {
      name: LOOPBACK_CHAIN,
      hook: undefined,
      // Another table has sent it there on purpose; it came in for another address.
      rules: [spared([{ kind: 'translated' }], 'sent there by another table'), drop],
    },
  ];
}

/** Whether the kernel can be asked whose an address is; it is taken for able where nobody has asked. */
function hasRouteLookups({ routeLookups }: HostPolicy): boolean {
  return routeLookups !== false;
}

function addressIn(end: PacketEnd, interval: Interval): Match {
  return { kind: 'address', end, family: interval.family, address: interval };
}
