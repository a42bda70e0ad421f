import type { ReportedDiagnostic } from '#core/diagnostics/reported-diagnostic.ts';
import type { OtherChain, PublishedPort } from '#core/model/nft/other-table.ts';
import type { VersionOrigin } from '#core/model/policy/policy-version.ts';

/** The daemon's status, as `sgctl status --json` prints it; keys are added, never renamed or removed. */
export interface Status {
  readonly version: string;
  readonly policyFile: string;
  /** The instance of the policy that this host is; null while no policy is in force. */
  readonly instance: string | null;
  /**
   * `enforced`: the newest files are in force. `refused`: they have mistakes, and the policy before them stays in force.
   * `held`: they are valid, and another policy is in force in their place, on trial or pinned. `failing`: the kernel could
   * not be changed. `cleared`: the rules were removed on request.
   */
  readonly state: 'enforced' | 'refused' | 'held' | 'failing' | 'cleared' | 'starting';
  /**
   * Whether rules filter the packets of this host: false where none are in force, and where the policy names none of the
   * host's interfaces and allows everything on interfaces that it does not name.
   */
  readonly protected: boolean;
  readonly inForce: {
    /** Counts the changes of the kernel's rules. */
    readonly generation: number;
    /**
     * The number by which `sgctl history` lists the policy; null if it is on trial, or not in the history. A daemon of an
     * earlier version leaves it out.
     */
    readonly version?: number | null | undefined;
    readonly stamp: string;
    readonly since: string | null;
    readonly ageSeconds: number | null;
  } | null;
  /** A policy on trial: the one before returns when the time is up, unless the trial is confirmed. */
  readonly trial: { readonly file: string; readonly since: string; readonly secondsLeft: number } | null;
  /** A policy in force in place of the policy file, until that file changes: an earlier version, or a confirmed trial. */
  readonly pinned: { readonly origin: VersionOrigin; readonly version: number | null; readonly since: string } | null;
  readonly refusal: {
    readonly since: string;
    readonly diagnostics: readonly ReportedDiagnostic[];
    readonly text: string;
  } | null;
  readonly warnings: readonly ReportedDiagnostic[];
  /** Files that are being written: their earlier text applies until they are complete. */
  readonly waitingFor: readonly WaitingFileReport[];
  readonly troubles: readonly { readonly since: string; readonly message: string }[];
  readonly interfaces: readonly InterfaceStatus[];
  /** Names and globs of the policy that match no interface of the host. */
  readonly absentInterfaces: readonly string[];
  /** Interfaces on which the policy does not do what it seems to say, such as the port of a bridge. */
  readonly interfaceNotes: readonly InterfaceNoteReport[];
  /** Interfaces that the policy does not name, and the verdict on them. */
  readonly unmanagedInterfaces: { readonly names: readonly string[]; readonly action: 'allow' | 'deny' };
  /** Stated, so that nobody relies on the host as a filtering gateway. */
  readonly forwardedTraffic: 'not filtered';
  /** Chains of other tables that the host's packets also traverse; null if they were not read, or nft cannot list them. */
  readonly otherChains: readonly OtherChain[] | null;
  /** Ports that other tables redirect, to containers for example, before our rules see the packets; null if not read. */
  readonly publishedPorts: readonly PublishedPort[] | null;
  /** Kernel features that are missing, each with the consequence. */
  readonly missingFeatures: readonly string[];
  /** Live flows that changes of the inbound rules have revoked. */
  readonly revokedFlows: RevokedFlows;
  readonly changesApplied: number;
  readonly driftsMended: number;
}

/** Revoked flows: packets of the other end stay dropped, even after conntrack has forgotten the flow. */
export interface RevokedFlows {
  /** How many the kernel's sets hold. */
  readonly remembered: number;
  /** How many of the last change did not fit into the sets. */
  readonly leftOut: number;
  /** Why live flows could not be read; the daemon retries. */
  readonly trouble: string | null;
}

/** A file whose new text does not apply yet. */
export interface WaitingFileReport {
  readonly file: string;
  /**
   * `open`: its writer has not closed it. `unfinished-line`: its last line has no end. `empty`: it is empty, and was not
   * before. `written`: it was written in place, and may still be incomplete.
   */
  readonly reason: 'open' | 'unfinished-line' | 'empty' | 'written';
  readonly message: string;
  readonly since: string;
  /** Until it applies as it is; null if its writer has to close it first. */
  readonly secondsLeft: number | null;
}

/** A note on an interface, of the kind that its code names. */
export interface InterfaceNoteReport {
  /** `judges-nothing`, `unnamed-child` or `renamed`; more may come. */
  readonly code: string;
  readonly interface: string;
  readonly message: string;
  readonly help: string;
}

/** An interface of the host, and the groups and rules that apply to it. */
export interface InterfaceStatus {
  readonly name: string;
  /** The name or glob of the policy that applies to it. */
  readonly pattern: string;
  /** `altname`: the pattern is another name of it. `vrf`: the pattern names its VRF. Left out if it names the interface. */
  readonly as?: 'altname' | 'vrf' | undefined;
  readonly groups: readonly string[];
  readonly rules: { readonly inbound: number; readonly outbound: number };
}
