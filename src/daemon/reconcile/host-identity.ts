import { findInstance } from '#core/model/policy/find-instance.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { type LocatedHost, locateHost } from '#core/read/3-resolve/locate-host.ts';
import type { HostIdentity } from './state.ts';

/** What the host is looked for with. */
export interface HostQuestion {
  readonly policy: Policy;
  readonly host: HostState;
  /** The instance that the host is said to be; undefined to find out. */
  readonly instance: string | undefined;
  /** Whether the host is looked for by the name that it has now, as at the start. */
  readonly isAnew: boolean;
  readonly now: Date;
}

/** Where the host is in the policy, and what it is from now on. */
export interface IdentifiedHost {
  readonly located: LocatedHost;
  readonly identity: HostIdentity;
  /** What is to be logged as a warning. */
  readonly warnings: readonly { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];
}

/**
 * Finds the host in the policy.
 *
 * INVARIANT: a host that is an instance of its own becomes another one when a person asks for it, by a reload or a
 * restart, and not because its name has changed: a host without a static name has the one that the DHCP server gives it.
 * A host that is `*` follows its name, which may be set after the daemon has started.
 */
export function identifyHost(
  before: HostIdentity,
  { policy, host, instance, isAnew, now }: HostQuestion,
): IdentifiedHost {
  if (instance !== undefined) return { located: locateHost(policy, host, instance), identity: before, warnings: [] };
  const hostname = nameToFindBy(before, { policy, host, isAnew });
  const located = locateHost(policy, { ...host, hostname }, undefined);
  if (located.kind === 'absent') return { located, identity: before, warnings: [] };
  const is = located.hostPolicy.instance;
  const isOther = before.instance !== undefined && before.instance !== is && before.foundByName !== hostname;
  const change = isOther
    ? [
        {
          message: `the host name is \`${hostname}\` now: this host is the instance \`${is}\`, no longer \`${before.instance}\``,
          fields: { hostname, instance: is },
        },
      ]
    : [];
  const byCurrentName = findInstance(policy, host);
  const message = byCurrentName === is ? withHelp(located.doubt) : keptMessage({ host, is, hostname, byCurrentName });
  const isDoubtNew = message !== undefined && message !== before.doubt?.message;
  const doubt = isDoubtNew ? { since: now, message } : message === undefined ? undefined : before.doubt;
  return {
    located,
    identity: { instance: is, foundByName: hostname, doubt },
    warnings: isDoubtNew ? [...change, { message, fields: {} }] : change,
  };
}

function nameToFindBy(
  { foundByName }: HostIdentity,
  { policy, host, isAnew }: Pick<HostQuestion, 'policy' | 'host' | 'isAnew'>,
): string {
  if (isAnew || foundByName === undefined) return host.hostname;
  const before = findInstance(policy, { ...host, hostname: foundByName });
  return before === undefined || before === '*' ? host.hostname : foundByName;
}

function withHelp(doubt: { readonly message: string; readonly help: string } | undefined): string | undefined {
  return doubt === undefined ? undefined : `${doubt.message}; ${doubt.help}`;
}

interface Kept {
  readonly host: HostState;
  readonly is: string;
  readonly hostname: string;
  readonly byCurrentName: string | undefined;
}

function keptMessage({ host, is, hostname, byCurrentName }: Kept): string {
  const wouldBe = byCurrentName === undefined ? 'no instance of the policy' : `the instance \`${byCurrentName}\``;
  return `the host name is \`${host.hostname}\` now, by which this host would be ${wouldBe}; it stays \`${is}\`, which it was by the name \`${hostname}\`, until a reload or a restart`;
}
