import { diagnosticToJson } from '#core/diagnostics/diagnostic-json.ts';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { interfaceNotes } from '#core/meaning/lint/interface-notes.ts';
import { patternMatches } from '#core/model/policy/host.ts';
import type { RevokedFlows, Status } from '#api/status.ts';
import { coverageOf } from '#core/meaning/unprotected-host.ts';
import { type Enforcement, type Refusal, type Trouble, WHY_WAITING } from '#daemon/reconcile/enforcement.ts';

/** What is not known of what is enforced. */
export interface Circumstances {
  readonly policyFile: string;
  readonly version: string;
  readonly now: Date;
  /** Since the machine started. */
  readonly uptimeSeconds: number;
  readonly missingFeatures: readonly string[];
  readonly revokedFlows: RevokedFlows;
}

/** What is known, as of `now`, for people and scripts. */
export function describeStatus(
  known: Enforcement,
  { policyFile, version, now, uptimeSeconds, missingFeatures, revokedFlows }: Circumstances,
): Status {
  const { hostPolicy, host, refusal, inForce, appliedAt } = known;
  const bindings = hostPolicy?.bindings ?? [];
  const names = (host?.interfaces ?? []).map(({ name }) => name).filter((name) => name !== 'lo');
  const bindingOf = new Map(names.map((name) => [name, bindings.find(({ pattern }) => patternMatches(pattern, name))]));
  const coverage = coverageOf(
    { bindings, unmanagedInterfaces: hostPolicy?.unmanagedInterfaces ?? 'allow' },
    { interfaces: host?.interfaces ?? [] },
  );
  const troubles = [known.kernelTrouble, known.fight, known.savingTrouble, known.hostDoubt].filter(
    (trouble): trouble is Trouble => trouble !== undefined,
  );
  return {
    version,
    policyFile,
    instance: hostPolicy?.instance ?? null,
    state: stateOf(known),
    // Of rules that were found in the kernel nobody knows which interfaces they name.
    protected: inForce !== undefined && !known.cleared && (hostPolicy === undefined || coverage.isProtected),
    inForce:
      inForce === undefined
        ? null
        : {
            generation: inForce.generation,
            version: known.version ?? null,
            stamp: inForce.contentHash,
            since: appliedAt?.toISOString() ?? null,
            ageSeconds:
              appliedAt === undefined ? null : Math.max(0, Math.round((now.getTime() - appliedAt.getTime()) / 1000)),
          },
    trial: trialOf(known, uptimeSeconds),
    pinned: pinnedOf(known),
    refusal:
      refusal === undefined
        ? null
        : {
            since: refusal.since.toISOString(),
            diagnostics: refusal.diagnostics.map(diagnosticToJson),
            text: textOf(refusal),
          },
    warnings: known.warnings.map(diagnosticToJson),
    waitingFor: waitingOf(known, now),
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
    changesApplied: known.applied,
    driftsMended: known.mended,
  };
}

const texts = new WeakMap<Refusal, string>();

/** What a refusal says. Lines are looked for in files of any length, so this is done once, however often it is asked for. */
function textOf(refusal: Refusal): string {
  const { diagnostics, sources } = refusal;
  const format = (one: Diagnostic): string => formatDiagnostic(one, (file) => sources.get(file));
  const text = texts.get(refusal) ?? diagnostics.map(format).join('\n');
  texts.set(refusal, text);
  return text;
}

function waitingOf({ waiting }: Enforcement, now: Date): Status['waitingFor'] {
  return waiting.map(({ file, reason, since, until, isNeeded }) => {
    const secondsLeft = until === undefined ? null : Math.max(0, Math.ceil((until.getTime() - now.getTime()) / 1000));
    const why = `${WHY_WAITING[reason]}${isNeeded ? ', and every edit of the policy waits with it' : ''}`;
    const message = `${why}${secondsLeft === null ? '' : `; it counts as it is in ${secondsLeft} s`}`;
    return { file, reason, message, since: since.toISOString(), secondsLeft };
  });
}

function trialOf({ held }: Enforcement, uptimeSeconds: number): Status['trial'] {
  if (held?.policy.kind !== 'tried') return null;
  const secondsLeft = Math.max(0, Math.ceil(held.policy.deadline.uptimeSeconds - uptimeSeconds));
  const { file = held.policy.texts.documents[0] ?? '' } = held.policy;
  return { file, since: held.since.toISOString(), secondsLeft };
}

function pinnedOf({ held }: Enforcement): Status['pinned'] {
  if (held?.policy.kind !== 'pinned') return null;
  return { origin: held.policy.origin, version: held.policy.of, since: held.since.toISOString() };
}

/** Rules as written: one that holds for both families counts once. */
function ruleCount(rules: readonly { readonly origin: object }[]): number {
  return new Set(rules.map(({ origin }) => origin)).size;
}

function stateOf({ refusal, held, kernelTrouble, cleared, appliedAt }: Enforcement): Status['state'] {
  if (cleared) return 'cleared';
  if (refusal !== undefined) return 'refused';
  if (kernelTrouble !== undefined) return 'failing';
  if (appliedAt === undefined) return 'starting';
  return held === undefined ? 'enforced' : 'held';
}
