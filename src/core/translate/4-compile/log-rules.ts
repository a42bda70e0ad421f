import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Accounts } from '#core/model/policy/policy.ts';
import { recentEnds } from '#core/model/packet/recent-ends.ts';
import type { Action, Direction, Rule } from '#core/model/policy/rule.ts';
import type { LogLimit, NftRule, RecentEnds } from '#core/model/nft/ruleset.ts';

const ACTIONS: readonly Action[] = ['deny', 'allow'];

/** What log rules tell of. */
export interface Logged {
  readonly action: Action;
  readonly direction: Direction;
  readonly families: readonly Family[];
  /** What the packets are told under. */
  readonly prefix: string;
}

/**
 * Rules that tell of packets within the host's limits: half of what may be told goes to whoever sends, the other half to
 * ends of which nothing was told lately.
 */
export function logRules({ action, direction, families, prefix }: Logged, accounts: Accounts): readonly NftRule[] {
  const end = direction === 'inbound' ? 'source' : 'destination';
  return families.flatMap((family) =>
    // INVARIANT: in this order, nothing is told twice: an end that was just told of is a recent one.
    [false, true].map((firstOnly): NftRule => {
      const limit = limitOf(action, firstOnly, accounts).name;
      const recent = recentEnds(action, family);
      return {
        // Which family it is, a chain for one family need not ask.
        matches: families.length === 1 ? [] : [{ kind: 'family', family }],
        counted: false,
        verdict: { kind: 'log', limit, prefix, end, family, recent, firstOnly },
        comment: firstOnly ? 'log:first' : 'log',
        origin: undefined,
      };
    }),
  );
}

/** Whether packets that a rule decides on are logged. */
export function isLogged({ action, log }: Pick<Rule, 'action' | 'log'>, { logDenied }: Accounts): boolean {
  return log ?? (action === 'deny' && logDenied);
}

/** What the log rules of a host share; nothing where nothing is logged. */
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

/** Called after the rate of the policy: one that is there keeps its own. */
function limitOf(action: Action, firstOnly: boolean, { logRate }: Accounts): LogLimit {
  const word = action === 'deny' ? 'denied' : 'allowed';
  return {
    name: `${word}.${firstOnly ? 'first' : 'any'}.${logRate}`,
    // Half of the rate, which may be odd.
    packetsPerMinute: 30 * logRate,
    burst: logRate,
  };
}
