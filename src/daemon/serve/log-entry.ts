import type { LogEntry } from '#api/log-entry.ts';
import { reportRule } from '#api/rule-report.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { formatAddress } from '#core/model/net/address.ts';
import type { LoggedPacket } from '#core/model/packet/logged-packet.ts';
import { type HostPolicy, type HostState, patternMatches } from '#core/model/policy/host.ts';
import { protocolName } from '#core/model/policy/protocol-lookup.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { CountingChain } from '#core/translate/4-compile/counting-chains.ts';
import { chainsOf } from './counting-chains.ts';

/** What a logged packet is interpreted by. */
export interface LogContext {
  /** The policies that may have logged it, the newest first. */
  readonly policies: readonly HostPolicy[];
  readonly host: HostState | undefined;
  readonly now: Date;
}

/** Describes a logged packet and the rule that logged it; undefined if no chain of these policies did. */
export function logEntry(packet: LoggedPacket, { policies, host, now }: LogContext): LogEntry | undefined {
  const chain = policies.map((policy) => chainsOf(policy).get(packet.prefix)).find((found) => found !== undefined);
  if (chain === undefined) return undefined;
  const platform = chain.kind === 'platform' ? chain.name : undefined;
  const rule = ruleOf(chain, packet, { policies, host });
  return {
    time: now.toISOString(),
    verdict: rule?.action ?? 'deny',
    reason: platform === undefined ? reasonOf(rule) : 'platform',
    rule: rule === undefined ? null : reportRule(rule),
    platform: platform ?? null,
    interface: interfaceName(packet, host) ?? null,
    direction: chain.direction,
    protocol: protocolName(packet.protocol, packet.source.family),
    src: formatAddress(packet.source),
    dst: formatAddress(packet.destination),
    sport: packet.sourcePort ?? null,
    dport: packet.destinationPort ?? null,
    icmpType: packet.icmpType ?? null,
    icmpCode: packet.icmpCode ?? null,
    length: packet.length,
  };
}

type Evaluators = Pick<LogContext, 'policies' | 'host'>;

function reasonOf(rule: Rule | undefined): LogEntry['reason'] {
  if (rule === undefined) return 'default';
  return rule.origin.group === undefined ? 'management' : 'rule';
}

function interfaceName({ interfaceIndex }: LoggedPacket, host: HostState | undefined): string | undefined {
  return host?.interfaces.find(({ index }) => index === interfaceIndex)?.name;
}

/** The rule behind a chain that logs; undefined if there is none. */
function ruleOf(chain: CountingChain, packet: LoggedPacket, evaluators: Evaluators): Rule | undefined {
  switch (chain.kind) {
    case 'rule':
      return chain.rule;
    case 'default':
      return denyingRule(packet, chain, evaluators);
    case 'platform':
      return undefined;
  }
}

/** The rule that denied a packet, where many rules share a chain; undefined if no rule matches it. */
function denyingRule(
  packet: LoggedPacket,
  { direction, patterns }: Extract<CountingChain, { readonly kind: 'default' }>,
  { policies, host }: Evaluators,
): Rule | undefined {
  const name = interfaceName(packet, host);
  const [policy] = policies;
  if (policy === undefined || name === undefined) return undefined;
  // A packet that arrives by a member of a VRF is logged with the VRF's name, and was filtered by the member's.
  const isOther = patterns.length > 0 && !patterns.some((pattern) => patternMatches(pattern, name));
  const filteredAs = isOther ? (patterns[0] ?? '').replace(/\*$/, '') : name;
  const { rule } = evaluate(policy, { ...packet, interface: filteredAs, direction, state: 'new', hopLimit: undefined });
  return rule?.action === 'deny' ? rule : undefined;
}
