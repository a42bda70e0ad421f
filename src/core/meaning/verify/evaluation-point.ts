import { forgedSources } from '#core/meaning/evaluate/own-address.ts';
import {
  interfaceClasses,
  type RuleDecision,
  type RuleList,
  type RuleMatch,
  ruleListOf,
} from '#core/meaning/headerspace/rule-list.ts';
import { endpointOn } from '#core/meaning/headerspace/witness.ts';
import type { Family } from '#core/model/net/address.ts';
import type { ListedTable } from '#core/model/nft/listed-table.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import { PLATFORM_FLOWS } from '#core/model/policy/platform.ts';
import { UDP } from '#core/model/policy/protocols.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import type { NamedInterface } from './table-difference.ts';
import { namesIn } from './table-fields.ts';

/** Where packets are compared: one interface, direction and family. */
export interface EvaluationPoint {
  readonly policy: HostPolicy;
  /** The interface class; undefined is every interface that neither the policy nor the table names. */
  readonly named: string | undefined;
  /** The name of an interface of the class. */
  readonly name: string;
  /** The name of a VRF that neither the policy nor the table names. */
  readonly vrf: string;
  readonly direction: Direction;
  readonly family: Family;
}

/** The interfaces that the policy or the table tells apart. */
export function interfacesOf(policy: HostPolicy, table: ListedTable): readonly NamedInterface[] {
  const withoutGroups = { groups: [], invalid: 'drop', inbound: [], outbound: [] } as const;
  const patterns = new Set<string>(policy.bindings.map(({ pattern }) => pattern));
  const others = [...namesIn(table)].filter((name) => !patterns.has(name));
  const rankOf = (pattern: string): number => (pattern.endsWith('*') ? 1 : 0);
  const bindings = [
    ...policy.bindings,
    ...others.map((name) => ({ ...withoutGroups, pattern: name as InterfacePattern })),
  ].toSorted((a, b) => rankOf(a.pattern) - rankOf(b.pattern) || b.pattern.length - a.pattern.length);
  const extended: HostPolicy = { ...policy, bindings };
  return interfaceClasses(extended).map((named) => ({
    named,
    name:
      named === undefined
        ? unnamedInterface(bindings.map(({ pattern }) => pattern))
        : endpointOn(named, extended, 'ipv4').interface,
  }));
}

/** A name that no pattern matches. */
export function unnamedInterface(patterns: readonly string[]): string {
  const names = Array.from({ length: patterns.length + 1 }, (_, i) => `other${i}`);
  const isNamed = (name: string): boolean => patterns.some((pattern) => patternMatches(pattern, name));
  return names.find((name) => !isNamed(name)) ?? 'other';
}

/** What evaluates packets at a point. */
export interface RuleLists {
  /** For new flows: built-in traffic that addresses and a port tell apart, then forged sources, then the rules. */
  readonly new: RuleList;
  /** For the flows that replies belong to. */
  readonly inbound: RuleList;
  /** Whether the policy does not name the interface, and allows everything there. */
  readonly isOpen: boolean;
  readonly invalid: 'drop' | 'match';
}

/** What evaluates packets at a point. */
export function ruleListsAt({ policy, named, name, direction, family }: EvaluationPoint): RuleLists {
  const list = ruleListOf(policy, named, { direction, family });
  const isOpen = list.otherwise.reason === 'unmanaged';
  const platform = PLATFORM_FLOWS.filter(
    (flow) => flow.direction === direction && flow.family === family && policy.platform[flow.name],
  ).flatMap(({ match, source, destination }): readonly RuleMatch[] =>
    // Other built-in traffic has ports, hop limits or addresses that the packets of no template have.
    match.kind !== 'udp' || match.sourcePort !== 'any' || destination !== undefined
      ? []
      : [
          {
            traffic: {
              kind: 'ports',
              protocol: UDP,
              ports: [{ from: match.destinationPort, to: match.destinationPort }],
            },
            addresses: source ?? 'any',
            decision: { action: 'allow', reason: 'rule', rule: undefined },
          },
        ],
  );
  const sources = direction === 'inbound' ? forgedSources(policy, name, family) : [];
  const forged: readonly RuleMatch[] =
    sources.length > 0 ? [{ traffic: { kind: 'all' }, addresses: sources, decision: FORGED }] : [];
  const binding = policy.bindings.find(({ pattern }) => pattern === named);
  return {
    new: { ...list, rules: isOpen ? [] : [...platform, ...forged, ...list.rules] },
    inbound: ruleListOf(policy, named, { direction: 'inbound', family }),
    isOpen,
    invalid: binding?.invalid ?? 'drop',
  };
}

/** Denies inbound packets from an address of the host itself. */
export const FORGED: RuleDecision = { action: 'deny', reason: 'rule', rule: undefined };
