import type { InForce } from '#core/model/nft/in-force.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Settling } from '#host/files/settling.ts';
import { isTracking } from '#kernel/conntrack/conntrack-state.ts';
import type { TableWriterLog } from '#kernel/nftables/table-writers.ts';
import { expectedTable } from './check-table.ts';
import { type Failure, toFailure } from './failure.ts';
import type { Instant, ObservationOf, ObservedPolicy, ObservedTable } from './observation.ts';
import type { ResyncTrigger } from './pending-triggers.ts';
import type { PolicySnapshots } from './policy-snapshots.ts';
import type { DaemonState } from './state.ts';
import type { TableMonitor } from './table-monitor.ts';

/** What observing works with. */
export interface ObserverOptions {
  readonly snapshots: PolicySnapshots;
  /** Holds back from `snapshots` what is being written. */
  readonly settling: Pick<Settling, 'waiting'>;
  /** Called with the files that the policy consists of as soon as they are known, before anything follows from them. */
  readonly onFiles: (files: readonly string[]) => void;
  readonly readHost: () => Promise<HostState>;
  readonly table: TableMonitor;
  readonly writers: TableWriterLog;
}

/** The time now. */
export function instant(): Instant {
  return { date: new Date(), milliseconds: performance.now() };
}

/** Reads what the daemon goes by: the policy files, the host's interfaces, our table, conntrack. It changes none of them. */
export class Observer {
  readonly #options: ObserverOptions;
  #proof: Promise<void> | undefined;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** The proof under way for the policy seen last; when it ends, the policy is worth another look. */
  get proof(): Promise<void> | undefined {
    return this.#proof;
  }

  /** Looks at what is pending, and at what is not known. Never rejects: what fails is part of what was seen. */
  async observe(
    state: DaemonState,
    pending: ReadonlySet<ResyncTrigger>,
  ): Promise<Omit<ObservationOf<'seen'>, 'at' | 'isReplacementRequested'>> {
    let policy: ObservedPolicy | undefined;
    let host: HostState | undefined;
    let table: ObservedTable | undefined;
    let isTrackingNow: boolean | undefined;
    let failure: Failure | undefined;
    try {
      if (pending.has('policy')) policy = await this.policy();
      if (pending.has('host') || state.host === undefined) host = await this.#options.readHost();
      if (pending.has('kernel') || !state.isTableKnown) table = await this.table(expectedTable(state));
      isTrackingNow = await isTrackingWithout(table === undefined ? state.inForce : table.found);
    } catch (error) {
      failure = toFailure(error);
    }
    return { kind: 'seen', policy, host, table, isTracking: isTrackingNow, failure };
  }

  /** What the policy files say, as far as they count. Throws what reading throws. */
  async policy(): Promise<ObservedPolicy> {
    const { lookAgain, proof, ...snapshot } = await this.#options.snapshots.look();
    this.#options.onFiles(snapshot.files);
    const isProofNew = proof !== undefined && proof !== this.#proof;
    this.#proof = proof;
    return { ...snapshot, recheckMilliseconds: lookAgain, waiting: this.#options.settling.waiting(), isProofNew };
  }

  /** What the kernel holds of our table. Throws an NftError. */
  async table(expected: InForce | undefined): Promise<ObservedTable> {
    const { found, is, generations } = await this.#options.table.look(expected);
    const isDrift = expected !== undefined && is === 'other';
    const writers =
      isDrift && generations !== undefined ? this.#options.writers.of(generations.after, generations.last) : [];
    return { found, is, isExpected: expected !== undefined, writers };
  }
}

/** Whether conntrack knows flows without our table; undefined where it is there, for then it does not matter. */
export async function isTrackingWithout(found: InForce | undefined): Promise<boolean | undefined> {
  return found === undefined ? isTracking() : undefined;
}
