import { FAMILIES } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import type { Match, NftChain, NftRule, PacketEnd } from '#core/model/nft/ruleset.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { LINK_LOCAL, LOOPBACK, MULTICAST, OWN_ADDRESS } from '#core/model/policy/platform.ts';
import { builtIn } from './built-in-rule.ts';
import { logRules } from './log-rules.ts';

const COMMENT = `platform:${OWN_ADDRESS}`;
const SOURCES_CHAIN = objectName('platform', 'own-source');
const LOOPBACK_CHAIN = objectName('platform', 'to-loopback');

/** The chain that drops packets from outside whose source is an address of this host, or whose destination is loopback. */
export const OWN_ADDRESS_CHAIN = objectName('platform', OWN_ADDRESS);

/**
 * Sends packets with a source of the host's own, or to loopback, to the chains that drop them. They stand behind the
 * rules for live flows: what another table's NAT returns from a container to 127.0.0.1 answers a flow the host opened.
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
  const exempt = (matches: readonly Match[], comment: string): NftRule => builtIn(matches, { kind: 'return' }, comment);
  const sources: readonly NftRule[] = [
    // Link-local addresses are unique on a link only: a neighbour on another link may have the host's.
    ...LINK_LOCAL.map((interval) =>
      exempt(
        [addressIn('source', interval), { kind: 'sourceType', of: 'interface', isLocal: false }],
        'of another link',
      ),
    ),
    // A VRF has addresses of its own, which may equal addresses outside it; kernels before 6.16 look up the latter.
    exempt([{ kind: 'inVrf' }], 'of a VRF'),
    // The host receives copies of its own multicasts and broadcasts; a forged one cannot be told from these.
    exempt([{ kind: 'toMany' }, { kind: 'family', family: 'ipv4' }, { kind: 'manyIpv4' }], 'a copy'),
    exempt([{ kind: 'toMany' }, addressIn('destination', MULTICAST.ipv6)], 'a copy'),
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
      // Another table redirected the packet there on purpose; it came in for another address.
      rules: [exempt([{ kind: 'translated' }], 'sent there by another table'), drop],
    },
  ];
}

/** Whether rules can look up the type of an address; assumed if it is unknown. */
function hasRouteLookups({ routeLookups }: HostPolicy): boolean {
  return routeLookups !== false;
}

function addressIn(end: PacketEnd, interval: Interval): Match {
  return { kind: 'address', end, family: interval.family, address: interval };
}
