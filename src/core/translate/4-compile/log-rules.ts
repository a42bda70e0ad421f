import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { LogLimit, NftRule, RecentEnds } from '#core/model/nft/ruleset.ts';
import { recentEnds } from '#core/model/packet/recent-ends.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Accounts } from '#core/model/policy/policy.ts';
import type { Action, Direction, Rule } from '#core/model/policy/rule.ts';

const ACTIONS: readonly Action[] = ['deny', 'allow'];

/** The packets that log rules log. */
export interface Logged {
  readonly action: Action;
  readonly direction: Direction;
  readonly families: readonly Family[];
  /** The prefix of the log messages. */
  readonly prefix: string;
}

/**
 * Rules that log packets within the host's limits. Half of the rate is for any packet, the other half for packets whose
 * end was not logged recently, so that a flood does not hide other senders.
 */
export function logRules({ action, direction, families, prefix }: Logged, accounts: Accounts): readonly NftRule[] {
  const end = direction === 'inbound' ? 'source' : 'destination';
  return families.flatMap((family) =>
    // INVARIANT: in this order no packet is logged twice: an end that was just logged is a recent one.
    [false, true].map((firstOnly): NftRule => {
      const limit = limitOf(action, firstOnly, accounts).name;
      const recent = recentEnds(action, family);
      return {
        // A chain for one family need not match on it.
        matches: families.length === 1 ? [] : [{ kind: 'family', family }],
        counted: false,
        verdict: { kind: 'log', limit, prefix, end, family, recent, firstOnly },
        comment: firstOnly ? 'log:first' : 'log',
        origin: undefined,
      };
    }),
  );
}

/** Whether the packets that a rule decides on are logged. */
export function isLogged({ action, log }: Pick<Rule, 'action' | 'log'>, { logDenied }: Accounts): boolean {
  return log ?? (action === 'deny' && logDenied);
}

/** The limits and sets that the log rules of a host share; empty if nothing is logged. */
export function sharedByLogRules({ accounts, management, bindings }: HostPolicy): {
  readonly limits: readonly LogLimit[];
  readonly recent: readonly RecentEnds[];
} {
  const logs =
    accounts.logDenied ||
    [management, ...bindings].some(({ inbound, outbound }) =>
      [...inbound, ...outbound].some((rule) => isLogged(rule, accounts)),
    );
  if (!logs) return { limits: [], recent: [] };
  return {
    limits: ACTIONS.flatMap((action) => [false, true].map((firstOnly) => limitOf(action, firstOnly, accounts))),
    recent: ACTIONS.flatMap((action) => FAMILIES.map((family) => ({ name: recentEnds(action, family), family }))),
  };
}

/** Its name contains the policy's rate, since a limit that exists keeps the rate it was made with. */
function limitOf(action: Action, firstOnly: boolean, { logRate }: Accounts): LogLimit {
  const word = action === 'deny' ? 'denied' : 'allowed';
  return {
    name: `${word}.${firstOnly ? 'first' : 'any'}.${logRate}`,
    // Half of the rate per second, which may be odd, so it is given per minute.
    packetsPerMinute: 30 * logRate,
    burst: logRate,
  };
}
