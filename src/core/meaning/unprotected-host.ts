import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { bindingOf, type HostPolicy, type HostState } from '#core/model/policy/host.ts';

/** Which interfaces of a host a policy judges; without `lo`, which is never filtered. */
export interface Coverage {
  /** Names and globs of the policy for which the host has no interface. */
  readonly absent: readonly string[];
  /** Interfaces that the policy names but whose packets have another interface's name: ports of bridges, members of bonds. */
  readonly idle: readonly string[];
  /** Interfaces of the host that the policy does not name. */
  readonly unnamed: readonly string[];
  /**
   * Whether rules judge the host's packets. A policy that names none of the host's interfaces filters nothing, unless it
   * denies unnamed interfaces. A host without interfaces has nothing to be protected from.
   */
  readonly isProtected: boolean;
}

/** Which of the host's interfaces `policy` covers. */
export function coverageOf(
  { bindings, unmanagedInterfaces }: Pick<HostPolicy, 'bindings' | 'unmanagedInterfaces'>,
  { interfaces }: Pick<HostState, 'interfaces'>,
): Coverage {
  const all = interfaces
    .filter(({ name }) => name !== 'lo')
    .map((link) => ({ ...link, binding: bindingOf({ bindings }, link.name) }));
  const named = all.filter(({ binding }) => binding !== undefined);
  // Packets have the interface's own name if it has no master, or is in a VRF.
  const kinds = new Map(interfaces.map(({ index, kind }) => [index, kind]));
  const idle = named.filter(({ master }) => master !== undefined && kinds.get(master) !== 'vrf');
  const judged = new Set(named.map(({ binding }) => binding?.by?.pattern ?? binding?.pattern));
  return {
    absent: bindings
      .filter(({ by, pattern }) => by === undefined && !judged.has(pattern))
      .map(({ pattern }) => pattern),
    idle: idle.map(({ name }) => name),
    unnamed: all.filter(({ binding }) => binding === undefined).map(({ name }) => name),
    isProtected: unmanagedInterfaces === 'deny' || all.length === 0 || idle.length < named.length,
  };
}

/** What to report of a host that is not protected, and what to do about it. */
export interface Unprotected {
  readonly message: string;
  readonly help: string;
}

/** Describes a host that the policy does not protect: it names no interface of the host, or none whose packets have its name. */
function describeUnprotected({ absent, idle, unnamed }: Omit<Coverage, 'isProtected'>): Unprotected {
  const words = [...idle, ...absent];
  const named = words.length === 0 ? 'names no interface' : `names only ${words.join(', ')}`;
  const meant = words.flatMap((word) => {
    const name = interfaceMeantBy(word, unnamed);
    return name === undefined ? [] : [`did you mean \`${name}\`, not \`${word}\`?`];
  });
  const there = unnamed.length === 0 ? 'by whose name no packet goes' : `and this host has ${unnamed.join(', ')}`;
  return {
    message: `NOT PROTECTED: everything passes. The policy ${named}, ${there}`,
    help: meant[0] ?? `name the interface to filter in the policy: ${unnamed.join(', ') || 'sgctl lint says which'}`,
  };
}

/** The interface that a policy most likely means by a name that the host does not have: a similar name, or the only one. */
export function interfaceMeantBy(pattern: string, unnamed: readonly string[]): string | undefined {
  return didYouMean(pattern, unnamed) ?? (unnamed.length === 1 ? unnamed[0] : undefined);
}

/** Why a policy does not protect a host; undefined if it does. */
export function whyUnprotected(
  policy: Pick<HostPolicy, 'bindings' | 'unmanagedInterfaces'>,
  host: Pick<HostState, 'interfaces'>,
): Unprotected | undefined {
  const coverage = coverageOf(policy, host);
  return coverage.isProtected ? undefined : describeUnprotected(coverage);
}

/** The part of a daemon's status that is about coverage. */
export interface ReportedCoverage {
  readonly protected?: boolean | undefined;
  readonly inForce: object | null;
  readonly state: string;
  readonly absentInterfaces: readonly string[];
  readonly unmanagedInterfaces: { readonly names: readonly string[] };
  readonly interfaceNotes?: readonly { readonly code: string; readonly interface: string }[] | undefined;
}

/** As {@link whyUnprotected}, from a status; undefined also if nothing is in force, which status reports itself. */
export function whyStatusUnprotected(status: ReportedCoverage): Unprotected | undefined {
  if (status.protected !== false || status.inForce === null || status.state === 'cleared') return undefined;
  const notes = status.interfaceNotes ?? [];
  const idle = notes.filter(({ code }) => code === 'judges-nothing').map((note) => note.interface);
  return describeUnprotected({ absent: status.absentInterfaces, idle, unnamed: status.unmanagedInterfaces.names });
}
