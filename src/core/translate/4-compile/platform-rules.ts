import { objectName } from '#core/model/nft/object-name.ts';
import type { NftChain, NftRule } from '#core/model/nft/ruleset.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { PLATFORM_FLOWS, type PlatformFlow } from '#core/model/policy/platform.ts';
import { ICMPV6 } from '#core/model/policy/protocols.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { builtIn } from './built-in-rule.ts';
import { platformMatches } from './match-terms.ts';

/**
 * The rules that accept built-in traffic, told from other packets by the cheapest test: ICMPv6 by its protocol, in a
 * chain of its own, IGMP by its protocol, DHCP by the port.
 */
export function platformRules({ platform }: HostPolicy, direction: Direction): readonly NftRule[] {
  const flows = PLATFORM_FLOWS.filter((flow) => flow.direction === direction && platform[flow.name]);
  const rules = flows.filter(({ match }) => match.kind !== 'icmpv6').flatMap(rulesOf);
  if (!flows.some(({ match }) => match.kind === 'icmpv6')) return rules;
  const chain = chainName(direction);
  return [builtIn([{ kind: 'protocol', protocol: ICMPV6 }], { kind: 'jump', chain }, 'platform'), ...rules];
}

/** The chain that accepts built-in ICMPv6 traffic. */
export function platformChain({ platform }: HostPolicy, direction: Direction): NftChain {
  const flows = PLATFORM_FLOWS.filter((flow) => flow.direction === direction && platform[flow.name]);
  const rules = flows.filter(({ match }) => match.kind === 'icmpv6').flatMap(rulesOf);
  return { name: chainName(direction), hook: undefined, rules };
}

function rulesOf(flow: PlatformFlow): readonly NftRule[] {
  return platformMatches(flow).map((matches) => builtIn(matches, { kind: 'accept' }, `platform:${flow.name}`));
}

function chainName(direction: Direction): string {
  return objectName('platform', direction === 'inbound' ? 'in' : 'out');
}
