import type { Direction } from '#core/model/policy/rule.ts';

/** A rule as programs read it: a contract. */
export interface RuleReport {
  /** Null for a management rule. */
  readonly group: string | null;
  readonly direction: Direction;
  readonly index: number;
  readonly priority: number;
  readonly action: 'allow' | 'deny';
  readonly file: string;
  readonly line: number;
  readonly template: string | null;
}

/** A packet that rules have told of, as `GET /v1/log` answers; keys are added, never renamed or removed. */
export interface LogEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly verdict: 'allow' | 'deny';
  readonly reason: 'rule' | 'management' | 'default' | 'platform';
  /** Null where no rule matches. */
  readonly rule: RuleReport | null;
  /** Which built-in traffic it is, where that is the reason. */
  readonly platform?: string | null | undefined;
  /** Null where it is gone. */
  readonly interface: string | null;
  readonly direction: Direction;
  readonly protocol: string;
  readonly src: string;
  readonly dst: string;
  readonly sport: number | null;
  readonly dport: number | null;
  readonly icmpType: number | null;
  readonly icmpCode: number | null;
  readonly length: number;
}

/** What `GET /v1/stats` answers; keys are added, never renamed or removed. */
export interface Stats {
  /** Whether packets are counted by rule; where they are not, only what no rule matches is counted. */
  readonly counters: boolean;
  /** In the order of the policy's files: every rule that judges packets of this host. */
  readonly rules: readonly (RuleReport & CountReport)[];
  /** Built-in traffic that is denied. */
  readonly platform?: readonly PlatformReport[] | undefined;
  /** What no rule matches. */
  readonly defaults: readonly (CountReport & {
    readonly direction: Direction;
    /** Interfaces, and globs of them; none are those that the policy does not name. */
    readonly interfaces: readonly string[];
  })[];
}

/** Built-in traffic that is denied, and how much of it. */
export interface PlatformReport extends CountReport {
  readonly name: string;
  readonly direction: Direction;
}

/** How much came by since the rule came into force. */
export interface CountReport {
  readonly packets: number;
  readonly bytes: number;
}
