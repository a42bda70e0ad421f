import type { Logger } from 'pino';
import { findInstance } from '#core/model/policy/find-instance.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { locateHost, type LocatedHost } from '#core/read/3-resolve/locate-host.ts';
import type { Trouble } from './enforcement.ts';

/** Finds the host in policies, and keeps what it is found to be while others can change its name. */
export interface HostFinder {
  /** Finds the host in a policy; `anew` by the name that it has now, as at the start. */
  find(policy: Policy, host: HostState, anew: boolean): LocatedHost;
  /** What is in doubt about the instance found last; undefined where nothing is. */
  doubt(): Trouble | undefined;
}

/**
 * A finder that has found nothing yet; `instance` is the one that the host is said to be.
 *
 * INVARIANT: a host that is an instance of its own becomes another one when a person asks for it, by a reload or a
 * restart, and not because its name has changed: a host without a static name has the one that the DHCP server gives it.
 * A host that is `*` follows its name, which may be set after the daemon has started.
 */
export function createHostFinder(instance: string | undefined, log: Logger): HostFinder {
  let nameFoundBy: string | undefined;
  let found: string | undefined;
  let doubt: Trouble | undefined;

  const note = (message: string | undefined): void => {
    if (message === doubt?.message) return;
    doubt = message === undefined ? undefined : { since: new Date(), message };
    if (message !== undefined) log.warn(message);
  };

  const nameToGoBy = (policy: Policy, host: HostState, anew: boolean): string => {
    if (anew || nameFoundBy === undefined) return host.hostname;
    const before = findInstance(policy, { ...host, hostname: nameFoundBy });
    return before === undefined || before === '*' ? host.hostname : nameFoundBy;
  };

  return {
    find(policy, host, anew) {
      if (instance !== undefined) return locateHost(policy, host, instance);
      const hostname = nameToGoBy(policy, host, anew);
      const located = locateHost(policy, { ...host, hostname }, undefined);
      if (located.kind === 'absent') return located;
      const is = located.hostPolicy.instance;
      if (found !== undefined && found !== is && nameFoundBy !== hostname)
        log.warn(
          { hostname, instance: is },
          `the host name is \`${hostname}\` now: this host is the instance \`${is}\`, no longer \`${found}\``,
        );
      nameFoundBy = hostname;
      found = is;
      const now = findInstance(policy, host);
      note(now === is ? withHelp(located.doubt) : keptMessage({ host, is, hostname, now }));
      return located;
    },
    doubt: () => doubt,
  };
}

function withHelp(doubt: { readonly message: string; readonly help: string } | undefined): string | undefined {
  return doubt === undefined ? undefined : `${doubt.message}; ${doubt.help}`;
}

interface Kept {
  readonly host: HostState;
  readonly is: string;
  readonly hostname: string;
  readonly now: string | undefined;
}

function keptMessage({ host, is, hostname, now }: Kept): string {
  const wouldBe = now === undefined ? 'no instance of the policy' : `the instance \`${now}\``;
  return `the host name is \`${host.hostname}\` now, by which this host would be ${wouldBe}; it stays \`${is}\`, which it was by the name \`${hostname}\`, until a reload or a restart`;
}
