import type { OtherChain, PublishedPort } from '#core/model/nft/other-table.ts';
import type { VersionOrigin } from '#core/model/policy/policy-version.ts';
import type { ReportedDiagnostic } from '#core/diagnostics/reported-diagnostic.ts';

/** What `GET /v1/status` answers and `sgctl status --json` prints; keys are added, never renamed or removed. */
export interface Status {
  readonly version: string;
  readonly policyFile: string;
  /** Which instance of the policy this host is; null while no policy is in force. */
  readonly instance: string | null;
  /**
   * `enforced`: the newest files are in force. `refused`: they have mistakes, and what was in force before still is.
   * `held`: they are good, and another policy is in force in their place, on trial or pinned.
   */
  readonly state: 'enforced' | 'refused' | 'held' | 'failing' | 'cleared' | 'starting';
  /**
   * Whether rules judge the packets of this host: false where none are in force, and where the policy names none of the
   * host's interfaces and lets everything pass on those that it does not name.
   */
  readonly protected: boolean;
  readonly inForce: {
    /** Counts the changes of the kernel's rules. */
    readonly generation: number;
    /**
     * The number by which `sgctl history` lists the policy; null where it is on trial, or not kept there. A daemon of an earlier
     * version leaves it out.
     */
    readonly version?: number | null | undefined;
    readonly stamp: string;
    readonly since: string | null;
    readonly ageSeconds: number | null;
  } | null;
  /** A policy that is tried; what was in force before comes back when its time is up, unless it is confirmed. */
  readonly trial: { readonly file: string; readonly since: string; readonly secondsLeft: number } | null;
  /** A policy that is in force in place of the policy file, until that changes: an earlier version, or a confirmed one. */
  readonly pinned: { readonly origin: VersionOrigin; readonly version: number | null; readonly since: string } | null;
  readonly refusal: {
    readonly since: string;
    readonly diagnostics: readonly ReportedDiagnostic[];
    readonly text: string;
  } | null;
  readonly warnings: readonly ReportedDiagnostic[];
  /** Files that are being written, and do not count yet: what they said before still does. */
  readonly waitingFor: readonly WaitingFileReport[];
  readonly troubles: readonly { readonly since: string; readonly message: string }[];
  readonly interfaces: readonly InterfaceStatus[];
  /** Names and globs of the policy for which the host has no interface now. */
  readonly absentInterfaces: readonly string[];
  /** Names that judge otherwise than the policy seems to say, such as that of a bridge's port. */
  readonly interfaceNotes: readonly InterfaceNoteReport[];
  /** Interfaces that the policy does not name, and what happens on them. */
  readonly unmanagedInterfaces: { readonly names: readonly string[]; readonly action: 'allow' | 'deny' };
  /** Said plainly, so that nobody takes the host for a gateway that is protected. */
  readonly forwardedTraffic: 'not filtered';
  /** Chains of other tables that the host's packets meet too; null where nobody has looked, or nft cannot tell. */
  readonly otherChains: readonly OtherChain[] | null;
  /** Ports that others redirect to containers and the like before our rules see the packets; null where nobody has looked. */
  readonly publishedPorts: readonly PublishedPort[] | null;
  /** What this kernel cannot do for us, and what follows from it. */
  readonly missingFeatures: readonly string[];
  /** Live flows that changes of the inbound rules have cut. */
  readonly revokedFlows: RevokedFlows;
  readonly changesApplied: number;
  readonly driftsMended: number;
}

/** Flows whose other end is not heard again, though conntrack may have forgotten them. */
export interface RevokedFlows {
  /** How many the kernel remembers. */
  readonly remembered: number;
  /** How many of the last change's there was no room for. */
  readonly leftOut: number;
  /** Why flows could not be looked at; it is tried again. */
  readonly trouble: string | null;
}

/** A file that does not count yet. */
export interface WaitingFileReport {
  readonly file: string;
  /**
   * `open`: its writer has not closed it. `unfinished-line`: its last line has no end. `empty`: it says nothing, and
   * said something before. `written`: it was written in place, and nobody knows whether its writer is done.
   */
  readonly reason: 'open' | 'unfinished-line' | 'empty' | 'written';
  readonly message: string;
  readonly since: string;
  /** When it counts as it is; null where its writer has to close it first. */
  readonly secondsLeft: number | null;
}

/** What is noteworthy of an interface; its code says of what kind it is. */
export interface InterfaceNoteReport {
  /** `judges-nothing`, `unnamed-child` or `renamed`; more may come. */
  readonly code: string;
  readonly interface: string;
  readonly message: string;
  readonly help: string;
}

/** One interface of the host and what judges it. */
export interface InterfaceStatus {
  readonly name: string;
  /** The name or glob of the policy that it is judged by. */
  readonly pattern: string;
  /** `altname`: that is another name of it. `vrf`: that names the VRF it is in. Left out where it names the interface. */
  readonly as?: 'altname' | 'vrf' | undefined;
  readonly groups: readonly string[];
  readonly rules: { readonly inbound: number; readonly outbound: number };
}
