import { type CountingChain, countingChains } from '#core/translate/4-compile/compile.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { formatAddress } from '#core/model/net/address.ts';
import { type HostPolicy, type HostState, patternMatches } from '#core/model/policy/host.ts';
import type { LoggedPacket } from '#core/model/packet/logged-packet.ts';
import type { CountReport, LogEntry, PlatformReport, Stats } from '#core/model/packet/packet-account.ts';
import { protocolName } from '#core/model/policy/protocol-lookup.ts';
import type { Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import { reportRule } from '#api/rule-report.ts';
import type { Count } from '#kernel/nftables/rule-counters.ts';

const known = new WeakMap<HostPolicy, ReadonlyMap<string, CountingChain>>();

function accountsOf(policy: HostPolicy): ReadonlyMap<string, CountingChain> {
  const accounts = known.get(policy) ?? countingChains(policy);
  known.set(policy, accounts);
  return accounts;
}

/** What a logged packet was, and which rule told of it; undefined where no rule of these policies did. */
export function logEntry(
  packet: LoggedPacket,
  {
    policies,
    host,
    now,
  }: { readonly policies: readonly HostPolicy[]; readonly host: HostState | undefined; readonly now: Date },
): LogEntry | undefined {
  const account = policies.map((policy) => accountsOf(policy).get(packet.prefix)).find((one) => one !== undefined);
  if (account === undefined) return undefined;
  const platform = account.kind === 'platform' ? account.name : undefined;
  const rule = ruleOf(account, packet, { policies, host });
  const reason =
    platform !== undefined
      ? 'platform'
      : rule === undefined
        ? 'default'
        : rule.origin.group === undefined
          ? 'management'
          : 'rule';
  return {
    time: now.toISOString(),
    verdict: rule?.action ?? 'deny',
    reason,
    rule: rule === undefined ? null : reportRule(rule),
    platform: platform ?? null,
    interface: host?.interfaces.find(({ index }) => index === packet.interfaceIndex)?.name ?? null,
    direction: account.direction,
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

interface Judges {
  readonly policies: readonly HostPolicy[];
  readonly host: HostState | undefined;
}

/** The rule that a chain's account is about, as far as there is one. */
function ruleOf(account: CountingChain, packet: LoggedPacket, judges: Judges): Rule | undefined {
  switch (account.kind) {
    case 'rule':
      return account.rule;
    case 'default':
      return ruleThatDenied(packet, account, judges);
    case 'platform':
      return undefined;
  }
}

/** The rule that has denied a packet, where many share a chain; undefined where none has. */
function ruleThatDenied(
  packet: LoggedPacket,
  { direction, patterns }: Extract<CountingChain, { readonly kind: 'default' }>,
  { policies, host }: Judges,
): Rule | undefined {
  const name = host?.interfaces.find(({ index }) => index === packet.interfaceIndex)?.name;
  const [policy] = policies;
  if (policy === undefined || name === undefined) return undefined;
  // What comes in by a member of a VRF is logged as the VRF's, and was judged by the member's name.
  const isOther = patterns.length > 0 && !patterns.some((pattern) => patternMatches(pattern, name));
  const judged = isOther ? (patterns[0] ?? '').replace(/\*$/, '') : name;
  const { rule } = evaluate(policy, { ...packet, interface: judged, direction, state: 'new', hopLimit: undefined });
  return rule?.action === 'deny' ? rule : undefined;
}

/** What was counted, by rule; `counts` are by the names that chains have in the ruleset. */
export function statsOf(policy: HostPolicy, counts: ReadonlyMap<string, Count>): Stats {
  const rules = new Map<RuleOrigin, { readonly rule: Rule; readonly count: Count }>();
  const defaults: Stats['defaults'][number][] = [];
  const platform: PlatformReport[] = [];
  for (const [chain, account] of accountsOf(policy)) {
    const count = counts.get(chain) ?? NOTHING;
    if (account.kind === 'default') {
      defaults.push({ direction: account.direction, interfaces: account.patterns, ...countOf(count) });
      continue;
    }
    if (account.kind === 'platform') {
      platform.push({ name: account.name, direction: account.direction, ...countOf(count) });
      continue;
    }
    const { rule } = account;
    const before = rules.get(rule.origin)?.count ?? NOTHING;
    rules.set(rule.origin, { rule, count: sum(before, count) });
  }
  const ordered = [...rules.values()].toSorted(({ rule: a }, { rule: b }) => inReadingOrder(a.origin, b.origin));
  return {
    counters: [...accountsOf(policy).values()].every((account) => account.kind !== 'rule' || account.isCounted),
    rules: ordered.map(({ rule, count }) => ({ ...reportRule(rule), ...countOf(count) })),
    platform,
    defaults,
  };
}

const NOTHING: Count = { packets: 0n, bytes: 0n };

function sum(one: Count, other: Count): Count {
  return { packets: one.packets + other.packets, bytes: one.bytes + other.bytes };
}

function countOf({ packets, bytes }: Count): CountReport {
  return { packets: Number(packets), bytes: Number(bytes) };
}

function inReadingOrder({ span: a, index: i }: RuleOrigin, { span: b, index: j }: RuleOrigin): number {
  return a.file === b.file ? a.line - b.line || a.column - b.column || i - j : a.file < b.file ? -1 : 1;
}
