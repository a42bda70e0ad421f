import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { type HostPolicy, type HostState, patternMatches } from '#core/model/policy/host.ts';

/** Which interfaces of a host a policy judges, `lo` apart, which is never filtered. */
export interface Coverage {
  /** Names and globs of the policy for which the host has no interface. */
  readonly absent: readonly string[];
  /** Interfaces that the policy names, and whose packets go by another name: ports of bridges, members of bonds. */
  readonly idle: readonly string[];
  /** Interfaces of the host that the policy does not name. */
  readonly unnamed: readonly string[];
  /**
   * Whether rules judge the host's packets: a policy that names none of its interfaces filters nothing, however valid it
   * is, unless it denies what it does not name. A host without interfaces has nothing to be protected from.
   */
  readonly isProtected: boolean;
}

/** What `policy` covers of the interfaces that `host` has. */
export function coverageOf(
  { bindings, unmanagedInterfaces }: Pick<HostPolicy, 'bindings' | 'unmanagedInterfaces'>,
  { interfaces }: Pick<HostState, 'interfaces'>,
): Coverage {
  const all = interfaces
    .filter(({ name }) => name !== 'lo')
    .map((one) => ({ ...one, binding: bindings.find(({ pattern }) => patternMatches(pattern, one.name)) }));
  const named = all.filter(({ binding }) => binding !== undefined);
  // By its own name goes what has no master, and what is in a VRF.
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

/** Says that a host is not protected by a policy that names none of its interfaces, or none whose packets go by its name. */
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

/** The interface that a policy most likely means by a name that the host has not: one written alike, or the only one. */
export function interfaceMeantBy(pattern: string, unnamed: readonly string[]): string | undefined {
  return didYouMean(pattern, unnamed) ?? (unnamed.length === 1 ? unnamed[0] : undefined);
}

/** Why a policy does not protect a host; undefined where it does. */
export function whyUnprotected(
  policy: Pick<HostPolicy, 'bindings' | 'unmanagedInterfaces'>,
  host: Pick<HostState, 'interfaces'>,
): Unprotected | undefined {
  const coverage = coverageOf(policy, host);
  return coverage.isProtected ? undefined : describeUnprotected(coverage);
}

/** What a daemon's status says of the coverage. */
export interface ReportedCoverage {
  readonly protected?: boolean | undefined;
  readonly inForce: object | null;
  readonly state: string;
  readonly absentInterfaces: readonly string[];
  readonly unmanagedInterfaces: { readonly names: readonly string[] };
  readonly interfaceNotes?: readonly { readonly code: string; readonly interface: string }[] | undefined;
}

/** As {@link whyUnprotected}, from a status; undefined also where nothing is in force, which status says itself. */
export function whyStatusUnprotected(status: ReportedCoverage): Unprotected | undefined {
  if (status.protected !== false || status.inForce === null || status.state === 'cleared') return undefined;
  const notes = status.interfaceNotes ?? [];
  const idle = notes.filter(({ code }) => code === 'judges-nothing').map((note) => note.interface);
  return describeUnprotected({ absent: status.absentInterfaces, idle, unnamed: status.unmanagedInterfaces.names });
}
