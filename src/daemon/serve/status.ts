import type { RevokedFlows, Status } from '#api/status.ts';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { diagnosticToJson } from '#core/diagnostics/diagnostic-json.ts';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { interfaceNotes } from '#core/meaning/lint/interface-notes.ts';
import { coverageOf } from '#core/meaning/unprotected-host.ts';
import { patternMatches } from '#core/model/policy/host.ts';
import {
  type DaemonState,
  type Phase,
  type Problem,
  phaseOf,
  type Refusal,
  WHY_WAITING,
} from '#daemon/reconcile/state.ts';

/** What a status reports beyond the daemon's state. */
export interface StatusContext {
  readonly policyFile: string;
  readonly version: string;
  readonly now: Date;
  /** Since the machine booted. */
  readonly uptimeSeconds: number;
  readonly missingFeatures: readonly string[];
  readonly revokedFlows: RevokedFlows;
}

/** The phases of the daemon in the words of the status, which are a contract. */
const STATES: Readonly<Record<Phase['kind'], Status['state']>> = {
  cleared: 'cleared',
  rejected: 'refused',
  failing: 'failing',
  starting: 'starting',
  overridden: 'held',
  enforced: 'enforced',
};

/** The daemon's state as of `now`, for people and scripts. */
export function describeStatus(
  state: DaemonState,
  { policyFile, version, now, uptimeSeconds, missingFeatures, revokedFlows }: StatusContext,
): Status {
  const { hostPolicy, host, refusal, inForce, appliedAt } = state;
  const bindings = hostPolicy?.bindings ?? [];
  const names = (host?.interfaces ?? []).map(({ name }) => name).filter((name) => name !== 'lo');
  const bindingOf = new Map(names.map((name) => [name, bindings.find(({ pattern }) => patternMatches(pattern, name))]));
  const coverage = coverageOf(
    { bindings, unmanagedInterfaces: hostPolicy?.unmanagedInterfaces ?? 'allow' },
    { interfaces: host?.interfaces ?? [] },
  );
  const troubles = [state.kernelProblem, state.interference, state.savingProblem, state.identity.doubt].filter(
    (trouble): trouble is Problem => trouble !== undefined,
  );
  return {
    version,
    policyFile,
    instance: hostPolicy?.instance ?? null,
    state: STATES[phaseOf(state).kind],
    // The interfaces of rules found in the kernel are unknown.
    protected: inForce !== undefined && !state.isCleared && (hostPolicy === undefined || coverage.isProtected),
    inForce:
      inForce === undefined
        ? null
        : {
            generation: inForce.generation,
            version: state.version ?? null,
            stamp: inForce.contentHash,
            since: appliedAt?.toISOString() ?? null,
            ageSeconds:
              appliedAt === undefined ? null : Math.max(0, Math.round((now.getTime() - appliedAt.getTime()) / 1000)),
          },
    trial: trialOf(state, uptimeSeconds),
    pinned: pinnedOf(state),
    refusal:
      refusal === undefined
        ? null
        : {
            since: refusal.since.toISOString(),
            diagnostics: refusal.diagnostics.map(diagnosticToJson),
            text: textOf(refusal),
          },
    warnings: state.warnings.map(diagnosticToJson),
    waitingFor: waitingOf(state, now),
    troubles: troubles.map(({ since, message }) => ({ since: since.toISOString(), message })),
    interfaces: names.flatMap((name) => {
      const binding = bindingOf.get(name);
      if (binding === undefined) return [];
      const { by, groups, inbound, outbound } = binding;
      const pattern = by?.pattern ?? binding.pattern;
      return [
        {
          name,
          pattern,
          as: by?.as,
          groups,
          rules: { inbound: ruleCount(inbound), outbound: ruleCount(outbound) },
        },
      ];
    }),
    absentInterfaces: coverage.absent,
    interfaceNotes:
      hostPolicy === undefined || host === undefined
        ? []
        : interfaceNotes(hostPolicy, host).map(({ pattern: _pattern, ...note }) => note),
    unmanagedInterfaces: {
      names: coverage.unnamed,
      action: hostPolicy?.unmanagedInterfaces ?? 'allow',
    },
    forwardedTraffic: 'not filtered',
    otherChains: null,
    publishedPorts: null,
    missingFeatures,
    revokedFlows,
    changesApplied: state.applied,
    driftsMended: state.repairs,
  };
}

const texts = new WeakMap<Refusal, string>();

/** The text of a refusal, made once: finding lines in long files takes time. */
function textOf(refusal: Refusal): string {
  const { diagnostics, sources } = refusal;
  const format = (diagnostic: Diagnostic): string => formatDiagnostic(diagnostic, (file) => sources.get(file));
  const text = texts.get(refusal) ?? diagnostics.map(format).join('\n');
  texts.set(refusal, text);
  return text;
}

function waitingOf({ waiting }: DaemonState, now: Date): Status['waitingFor'] {
  return waiting.map(({ file, reason, since, until, isNeeded }) => {
    const secondsLeft = until === undefined ? null : Math.max(0, Math.ceil((until.getTime() - now.getTime()) / 1000));
    const why = `${WHY_WAITING[reason]}${isNeeded ? ', and every edit of the policy waits with it' : ''}`;
    const message = `${why}${secondsLeft === null ? '' : `; it counts as it is in ${secondsLeft} s`}`;
    return { file, reason, message, since: since.toISOString(), secondsLeft };
  });
}

function trialOf({ override }: DaemonState, uptimeSeconds: number): Status['trial'] {
  if (override?.policy.kind !== 'tried') return null;
  const secondsLeft = Math.max(0, Math.ceil(override.policy.deadline.uptimeSeconds - uptimeSeconds));
  const { file = override.policy.texts.documents[0] ?? '' } = override.policy;
  return { file, since: override.since.toISOString(), secondsLeft };
}

function pinnedOf({ override }: DaemonState): Status['pinned'] {
  if (override?.policy.kind !== 'pinned') return null;
  return { origin: override.policy.origin, version: override.policy.of, since: override.since.toISOString() };
}

/** The number of rules as written: a rule for both families counts once. */
function ruleCount(rules: readonly { readonly origin: object }[]): number {
  return new Set(rules.map(({ origin }) => origin)).size;
}
