import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { AddressGroupName, GroupName } from './names.ts';
import type { IcmpProtocol, PortProtocol } from './protocols.ts';
import type { Span } from './span.ts';

/** Inbound: packets the host receives for itself. Outbound: packets the host itself sends. */
export type Direction = 'inbound' | 'outbound';

/** Both directions, in the order of all output. */
export const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];

/** What a rule does with the packets it matches. */
export type Action = 'allow' | 'deny';

/** Ports `from` to `to`, both included, 0..65535; a policy can only write 1..65535. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The traffic a rule matches, its remote apart.
 * `protocol` covers a whole IP protocol number, TCP, UDP and ICMP included; `ports` are destination ports of a flow's
 * first packet, disjoint and ascending, never empty; an ICMP `code` of `any` is every code of the type.
 */
export type Traffic =
  | { readonly kind: 'all' }
  | { readonly kind: 'protocol'; readonly protocol: number }
  | { readonly kind: 'ports'; readonly protocol: PortProtocol; readonly ports: readonly PortRange[] }
  | { readonly kind: 'icmp'; readonly protocol: IcmpProtocol; readonly type: number; readonly code: number | 'any' };

/** The other end of a rule: where inbound traffic comes from, where outbound traffic goes. */
export type Remote =
  | { readonly kind: 'any' }
  | { readonly kind: 'interval'; readonly interval: Interval }
  | { readonly kind: 'addressGroup'; readonly name: AddressGroupName }
  | { readonly kind: 'securityGroup'; readonly name: GroupName };

/** Where a rule was written, as people name it. */
export interface RuleOrigin {
  /** The security group; absent for a management rule. */
  readonly group: GroupName | undefined;
  readonly direction: Direction;
  /** Position, from 0, in the list it stands in: the group's own list, the template's, or `management`. */
  readonly index: number;
  /** The template that brought the rule, if any; its span is then that of the `template` key. */
  readonly template: string | undefined;
  readonly span: Span;
}

/** One enabled rule of one family. A rule written for both families is two of these with one origin. */
export interface Rule {
  readonly origin: RuleOrigin;
  readonly action: Action;
  /** 1 (first) to 100 (last). */
  readonly priority: number;
  /** Whether the policy gives it; else it is the default. */
  readonly priorityWritten: boolean;
  readonly family: Family;
  readonly traffic: Traffic;
  readonly remote: Remote;
  /** Whether packets that it decides on are logged; undefined follows the policy's setting for denied packets. */
  readonly log: boolean | undefined;
  readonly description: string | undefined;
}

/**
 * How people and comments name a rule: `web inbound[3]`, `web template default inbound[0]`, `management[1]`. The rules of a
 * template are counted by themselves, so their names say so before the number.
 */
export function formatRuleName({ group, direction, index, template }: NamedRule): string {
  if (group === undefined || group === null) return `management[${index}]`;
  const of = template === undefined || template === null ? '' : ` template ${template}`;
  return `${group}${of} ${direction}[${index}]`;
}

/** The parts of a rule's name; JSON has null for absent ones. */
interface NamedRule {
  readonly group: string | null | undefined;
  readonly direction: Direction;
  readonly index: number;
  readonly template: string | null | undefined;
}
