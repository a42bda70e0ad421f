import type { LintCode } from '#core/diagnostics/lint-codes.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { AddressGroupName, GroupName, InstanceName } from '#core/model/policy/names.ts';
import type { RuleOrigin } from '#core/model/policy/rule.ts';
import type { Span } from '#core/model/policy/span.ts';

/** What a lint check reports about one thing. */
export interface LintFinding {
  readonly code: LintCode;
  readonly span: Span;
  readonly subject: LintSubject;
  readonly message: string;
  readonly help: string;
  /** Other rules that take part, such as those that cover a shadowed one. */
  readonly related: readonly { readonly span: Span; readonly message: string }[];
  /** A packet that shows the finding, and its instance. */
  readonly witness: LintWitness | undefined;
}

/** The subject of a finding; a rule is part of its group. */
export type LintSubject =
  | { readonly kind: 'rule'; readonly origin: RuleOrigin }
  | { readonly kind: 'securityGroup'; readonly name: GroupName }
  | { readonly kind: 'addressGroup'; readonly name: AddressGroupName }
  | { readonly kind: 'policy' };

/** A packet, and the instance that evaluates it. */
export interface LintWitness {
  readonly instance: InstanceName;
  readonly packet: Packet;
}
