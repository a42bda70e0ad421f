import { beforeAll, describe, expect, test } from 'vitest';
import { loadPolicy } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import { scriptText } from '#core/model/nft/script.ts';
import type { HeldPolicy } from '#core/model/policy/held-policy.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Action } from '#daemon/reconcile/action.ts';
import { expectedTable } from '#daemon/reconcile/check-table.ts';
import { type Configuration, decide } from '#daemon/reconcile/decide.ts';
import { repairDelay } from '#daemon/reconcile/drift.ts';
import { toFailure } from '#daemon/reconcile/failure.ts';
import type { Observation, ObservationOf, ObservedPolicy, ObservedTable } from '#daemon/reconcile/observation.ts';
import { type DaemonState, INITIAL_STATE, identityOf, phaseOf } from '#daemon/reconcile/state.ts';
import { policyTexts, readerOfTexts } from '#host/files/policy-texts.ts';
import { NftError } from '#kernel/errors.ts';

const CONFIGURATION: Configuration = {
  instance: undefined,
  bootConf: { sshPorts: [{ from: 22, to: 22 }], isOpen: false },
};
const HOST: HostState = {
  hostname: 'web-1',
  machineId: '',
  interfaces: [{ index: 2, name: 'eth0', addresses: [] }],
};
const ABSENT: ObservedTable = { found: undefined, is: 'other', isExpected: false, writers: [] };

const policyText = (port: number): string => `version: 1
securityGroups: { web: { inbound: [{ protocol: tcp, ports: ${port}, source: any }] } }
instances:
  web-1: { interfaces: { eth0: { securityGroups: [web] } } }
  web-2: {}
`;

async function load(text: string): Promise<LoadedPolicy> {
  return loadPolicy(readerOfTexts({ documents: ['policy.yaml'], texts: { 'policy.yaml': text } }));
}

let old: LoadedPolicy;
let newer: LoadedPolicy;
let newest: LoadedPolicy;
let mistaken: LoadedPolicy;
let otherHosts: LoadedPolicy;
/** The old policy is in force, recorded, and the boot script says so. */
let enforced: DaemonState;

beforeAll(async () => {
  old = await load(policyText(8000));
  newer = await load(policyText(8001));
  newest = await load(policyText(8002));
  mistaken = await load(policyText(8000).replace('version: 1', 'version: 1\nunknown: 1'));
  otherHosts = await load('{ version: 1, securityGroups: {}, instances: { db-1: {} } }');
  enforced = settle(INITIAL_STATE, seen({ policy: files(old), host: HOST, table: ABSENT, isTracking: false })).state;
});

let now = 1_000_000;

/** What is seen, at a time of its own. */
function at<T extends object>(what: T): T & { readonly at: Observation['at'] } {
  now += 1;
  return { ...what, at: { date: new Date(now), milliseconds: now } };
}

function seen(what: Partial<ObservationOf<'seen'>>): Observation {
  return at({ kind: 'seen', isReplacementRequested: false, ...what } as const);
}

/** What the policy files say, whole and at rest. */
function files(loaded: LoadedPolicy, more: Partial<ObservedPolicy> = {}): ObservedPolicy {
  return {
    kind: loaded.policy === undefined ? 'invalid' : 'valid',
    loaded,
    files: loaded.files,
    waiting: [],
    recheckMilliseconds: undefined,
    isSettling: false,
    isProofNew: false,
    settleAt: 0,
    ...more,
  };
}

/** A file that keeps the policy waiting. */
const AMID_A_WRITE = {
  file: 'policy.yaml',
  reason: 'open',
  since: new Date(0),
  until: undefined,
  lookAgain: 5_000,
  isNeeded: true,
} as const;

function waitingFor(loaded: LoadedPolicy): ObservedPolicy {
  return files(loaded, { kind: 'wait', waiting: [AMID_A_WRITE], recheckMilliseconds: 5_000 });
}

function drifted(found: InForce | undefined, more: Partial<ObservedTable> = {}): Observation {
  return seen({ table: { found, is: 'other', isExpected: true, writers: [], ...more }, isTracking: true });
}

function trial(loaded: LoadedPolicy): HeldPolicy {
  const deadline = { bootId: 'boot', uptimeSeconds: 100 };
  const [texts, before] = [policyTexts(loaded, 'web-1'), policyTexts(old, 'web-1')];
  return { kind: 'tried', texts, before, files: identityOf(old), deadline };
}

function pin(loaded: LoadedPolicy): HeldPolicy {
  return { kind: 'pinned', texts: policyTexts(loaded, 'web-1'), files: identityOf(old), origin: 'try', of: null };
}

function overriddenBy(policy: HeldPolicy, loaded: LoadedPolicy): DaemonState {
  const override = { policy, loaded, since: new Date(0) };
  return settle(
    decide(enforced, at({ kind: 'override-set', override } as const), CONFIGURATION).state,
    seen({ host: HOST }),
  ).state;
}

interface Outcome {
  readonly state: DaemonState;
  /** What was to be done, the log apart. */
  readonly actions: readonly Action[];
  /** In short: the kinds of the actions, and what tells one from another. */
  readonly does: readonly string[];
  readonly log: readonly string[];
}

function outcome(state: DaemonState, observation: Observation, configuration = CONFIGURATION): Outcome {
  const decision = decide(state, observation, configuration);
  const actions = decision.actions.filter(({ kind }) => kind !== 'log');
  const log = decision.actions.flatMap((action) =>
    action.kind === 'log' ? [`${action.level}: ${action.message}`] : [],
  );
  return { state: decision.state, actions, does: actions.map(inShort), log };
}

function inShort(action: Action): string {
  switch (action.kind) {
    case 'apply':
      return `apply ${action.rendered.change.kind}, keep ${action.persist}`;
    case 'restore-last-good':
      return `restore-last-good for ${action.purpose}`;
    case 'recheck-files':
    case 'retry':
      return `${action.kind} after ${action.afterMilliseconds}`;
    case 'write-override':
      return `write-override ${action.policy?.kind ?? 'none'}`;
    case 'record-writers':
      return `record-writers ${action.isOn ? 'on' : 'off'}`;
    case 'follow-up':
      return `follow-up${action.flows === undefined ? '' : ' flows'}${action.record === undefined ? '' : ` record ${action.record.origin}`}`;
    default:
      return action.kind;
  }
}

/** Decides until nothing is left to do, where all that is asked for works. */
function settle(before: DaemonState, first: Observation): Outcome {
  let { state, actions, log } = outcome(before, first);
  const all = [...actions];
  const logged = [...log];
  for (let step = 0; step < 10; step += 1) {
    const next = answer(actions);
    if (next === undefined) return { state, actions: all, does: all.map(inShort), log: logged };
    ({ state, actions, log } = outcome(state, next));
    all.push(...actions);
    logged.push(...log);
  }
  throw new Error('the cycle does not end');
}

/** What becomes of actions where all goes well, and nothing is kept on disk from before. */
function answer(actions: readonly Action[]): Observation | undefined {
  const action = actions.at(-1);
  switch (action?.kind) {
    case 'apply':
      return applied(action);
    case 'follow-up':
      return at({ kind: 'followed-up', action, version: action.record === undefined ? undefined : 7 } as const);
    case 'restore-last-good':
      return at({ kind: 'restored', action, isLoaded: false, table: undefined, failure: undefined } as const);
    case 'relabel':
      return at({ kind: 'relabelled', action, failure: undefined } as const);
    case 'free-labels':
      return at({ kind: 'labels-freed', isDone: true, failure: undefined } as const);
    default:
      return undefined;
  }
}

function applied(action: Action | undefined, error?: Error): Observation {
  if (action?.kind !== 'apply') throw new Error('nothing is applied');
  const failure = error === undefined ? undefined : toFailure(error);
  const isBootScriptCurrent = action.persist === 'boot-script' && error === undefined;
  return at({ kind: 'applied', action, isBootScriptCurrent, failure, saves: [] } as const);
}

test('a policy comes into force, is recorded, and live flows are judged by it', () => {
  const first = settle(INITIAL_STATE, seen({ policy: files(old), host: HOST, table: ABSENT, isTracking: false }));
  expect(first.does).toEqual(['apply swap, keep boot-script', 'settle-later', 'follow-up flows record file']);
  expect(first.log).toEqual(['info: policy in force']);
  expect(first.state).toMatchObject({ applied: 1, version: 7, isBootScriptStale: false, isTableNew: false });
  expect(phaseOf(first.state).kind).toBe('enforced');
  expect(settle(first.state, seen({ policy: files(old), host: HOST })).does).toEqual([]);
});

/** One promise: what is so, what is seen, and what follows. */
interface Row {
  readonly name: string;
  readonly given: () => DaemonState;
  readonly seen: () => Observation;
  readonly does: readonly string[];
  readonly state?: Partial<DaemonState>;
  readonly phase?: ReturnType<typeof phaseOf>['kind'];
  readonly log?: readonly RegExp[];
  readonly configuration?: Configuration;
  /** Whether what is refused is the policy with a mistake. */
  readonly isMistakeShown?: boolean;
}

const APPLY = 'apply swap, keep boot-script';
const MEMBERS = 'apply elements, keep boot-script';
/** The table as a process finds it that has not made it. */
const found = (state: DaemonState): ObservedTable => ({
  ...ABSENT,
  found: { ...inForceOf(state), rendered: undefined, labels: 'unknown' },
});
const gone = (): Observation => drifted(undefined);
const foreign = (): Observation => drifted({ ...inForceOf(enforced), rendered: undefined });
const lastGoodIsMissing = (loaded: LoadedPolicy): DaemonState =>
  settle(INITIAL_STATE, seen({ policy: files(loaded), host: HOST, table: ABSENT, isTracking: true })).state;

function inForceOf({ inForce }: DaemonState): InForce {
  if (inForce === undefined) throw new Error('nothing is in force');
  return inForce;
}

/** A trial that is asked for, and not in force yet. */
function tryingBefore(): DaemonState {
  const override = { policy: trial(newer), loaded: newer, since: new Date(0) };
  return decide(enforced, at({ kind: 'override-set', override } as const), CONFIGURATION).state;
}

const cleared = (): DaemonState => decide(enforced, at({ kind: 'cleared' } as const), CONFIGURATION).state;

const ROWS: readonly Row[] = [
  {
    name: 'a policy with a mistake changes nothing that is in force',
    given: () => enforced,
    seen: () => seen({ policy: files(mistaken) }),
    does: [],
    state: { applied: 1 },
    phase: 'rejected',
    log: [/^error: policy refused, nothing in force changes: policy\.yaml:/],
  },
  {
    name: 'a policy with a mistake is refused once',
    given: () => outcome(enforced, seen({ policy: files(mistaken) })).state,
    seen: () => seen({ policy: files(mistaken) }),
    does: [],
    phase: 'rejected',
    log: [],
  },
  {
    name: 'a reload with a mistake in the policy does not even make the table anew',
    given: () => enforced,
    seen: () => seen({ policy: files(mistaken), isReplacementRequested: true }),
    does: [],
    phase: 'rejected',
  },
  {
    name: 'a daemon that starts changes nothing that is right, and writes what boots the host',
    given: () => INITIAL_STATE,
    seen: () => seen({ policy: files(old), host: HOST, table: found(enforced) }),
    does: ['apply none, keep boot-script'],
  },
  {
    name: 'a daemon that starts with a mistake in the policy leaves the rules that it finds',
    given: () => INITIAL_STATE,
    seen: () => seen({ policy: files(mistaken), host: HOST, table: found(enforced) }),
    does: [],
    phase: 'rejected',
  },
  {
    name: 'a daemon that starts makes anew a table that is not what the policy says',
    given: () => INITIAL_STATE,
    seen: () => seen({ policy: files(newer), host: HOST, table: found(enforced) }),
    does: [APPLY],
  },
  {
    name: 'a first policy with a mistake has the rules loaded that were last in force',
    given: () => INITIAL_STATE,
    seen: () => seen({ policy: files(mistaken), host: HOST, table: ABSENT }),
    does: ['restore-last-good for start'],
    phase: 'rejected',
  },
  {
    name: 'a first policy with a mistake, and none before it, changes nothing',
    given: () => lastGoodIsMissing(mistaken),
    seen: () => seen({ host: HOST, table: ABSENT }),
    does: [],
    phase: 'rejected',
  },
  {
    name: 'a newer policy is applied',
    given: () => enforced,
    seen: () => seen({ policy: files(newer) }),
    does: [APPLY],
  },
  {
    name: 'a reload makes the table anew though the policy is the same',
    given: () => enforced,
    seen: () => seen({ policy: files(old), isReplacementRequested: true }),
    does: [APPLY],
  },
  {
    name: 'a table that is gone comes back from disk first, for the host stands open',
    given: () => enforced,
    seen: gone,
    does: ['restore-last-good for repair'],
    state: { repairs: 1, inForce: undefined },
    log: [/somebody changed our table; putting it right/],
  },
  {
    name: 'a table that is gone amid a trial is made anew: what is on disk is not what is tried',
    given: () => overriddenBy(trial(newer), newer),
    seen: gone,
    does: ['apply swap, keep nothing'],
    state: { repairs: 1 },
  },
  {
    name: 'a table that is gone as a trial begins is made of what is tried, not of what is on disk',
    given: () => tryingBefore(),
    seen: gone,
    does: ['apply swap, keep nothing'],
    state: { repairs: 1 },
  },
  {
    name: 'a table that is gone is made anew where what is on disk may be another',
    given: () => ({ ...enforced, isBootScriptStale: true }),
    seen: gone,
    does: [APPLY],
  },
  {
    name: 'a table that another process changed is replaced, and the log says who',
    given: () => enforced,
    seen: () => drifted(inForceOf(enforced), { writers: ['nft (process 9)'] }),
    does: [APPLY],
    state: { repairs: 1 },
    log: [/somebody changed our table: nft \(process 9\); putting it right/],
  },
  {
    name: 'a table that is changed beside others is made anew without being called drift',
    given: () => enforced,
    seen: () => drifted(inForceOf(enforced), { is: 'uncertain' }),
    does: [APPLY],
    state: { repairs: 0 },
    log: [/^debug: /],
  },
  {
    name: 'a table that is as it was left stays',
    given: () => enforced,
    seen: () => drifted(inForceOf(enforced), { is: 'same' }),
    does: [],
    state: { repairs: 0 },
  },
  {
    name: 'drift is repaired while the policy file has a mistake',
    given: () => outcome(enforced, seen({ policy: files(mistaken) })).state,
    seen: foreign,
    does: [APPLY],
    state: { repairs: 1 },
    phase: 'rejected',
  },
  {
    name: 'drift is repaired while a proof is under way',
    given: () => outcome(enforced, seen({ policy: files(newer, { kind: 'proving', isProofNew: true }) })).state,
    seen: foreign,
    does: [APPLY],
    state: { repairs: 1 },
  },
  {
    name: 'a proof that begins leaves what is in force',
    given: () => enforced,
    seen: () => seen({ policy: files(newer, { kind: 'proving', isProofNew: true }) }),
    does: [],
    log: [/is being proved; what is in force stays/],
    phase: 'enforced',
  },
  {
    name: 'a file amid a write is waited for',
    given: () => enforced,
    seen: () => seen({ policy: waitingFor(newer) }),
    does: ['recheck-files after 5000'],
    log: [/^info: waiting for policy\.yaml: its writer has not closed it$/],
    phase: 'enforced',
  },
  {
    name: 'a reload of a file amid a write changes nothing yet',
    given: () => enforced,
    seen: () => seen({ policy: waitingFor(newer), isReplacementRequested: true }),
    does: ['recheck-files after 5000'],
  },
  {
    name: 'a reload of a file amid a write is still to come',
    given: () => outcome(enforced, seen({ policy: waitingFor(newer), isReplacementRequested: true })).state,
    seen: () => seen({ policy: files(old) }),
    does: [APPLY],
  },
  {
    name: 'a first policy amid a write has the rules loaded that were last in force',
    given: () => INITIAL_STATE,
    seen: () => seen({ policy: waitingFor(newer), host: HOST, table: ABSENT }),
    does: ['restore-last-good for start'],
  },
  {
    name: 'a first policy amid a write, and none before it, is taken as it is',
    given: () => lastGoodIsMissing(mistaken),
    seen: () => seen({ policy: waitingFor(newer) }),
    does: ['accept-files'],
  },
  {
    name: 'a first policy that others can change, and none before it, closes the host but for ssh',
    given: () => lastGoodIsMissing({ ...mistaken, isUntrusted: true }),
    seen: () => seen({ host: HOST, table: ABSENT }),
    does: ['load-limited'],
  },
  {
    name: 'a first policy that others can change leaves a host open that is said to stand open',
    given: () => ({ ...lastGoodIsMissing(mistaken), isUntrusted: true }),
    seen: () => seen({ host: HOST, table: ABSENT }),
    does: [],
    configuration: { ...CONFIGURATION, bootConf: { sshPorts: [], isOpen: true } },
  },
  {
    name: 'a policy that others can change, later, changes nothing that is in force',
    given: () => enforced,
    seen: () => seen({ policy: files({ ...mistaken, isUntrusted: true }) }),
    does: [],
    phase: 'rejected',
  },
  {
    name: 'rules stay away after a clear',
    given: cleared,
    seen: () => seen({ host: HOST, table: ABSENT, isTracking: true }),
    does: [],
    phase: 'cleared',
  },
  {
    name: 'rules stay away after a clear while the policy has a mistake',
    given: cleared,
    seen: () => seen({ policy: files(mistaken), isReplacementRequested: true }),
    does: [],
    phase: 'cleared',
  },
  {
    name: 'rules stay away after a clear where no policy has been valid since the start',
    given: () => decide(lastGoodIsMissing(mistaken), at({ kind: 'cleared' } as const), CONFIGURATION).state,
    seen: () => seen({ policy: files({ ...mistaken, isUntrusted: true }) }),
    does: [],
    phase: 'cleared',
  },
  {
    name: 'the rules last in force are not loaded after a clear where no policy has been valid since the start',
    given: () => ({ ...INITIAL_STATE, isCleared: true }),
    seen: () => seen({ policy: files(mistaken), host: HOST, table: ABSENT }),
    does: [],
    phase: 'cleared',
  },
  {
    name: 'rules return after a clear when the policy is read anew',
    given: cleared,
    seen: () => seen({ policy: files(old), table: ABSENT, isTracking: true }),
    does: [APPLY],
  },
  {
    name: 'a policy on trial is not kept for the next boot',
    given: () => tryingBefore(),
    seen: () => seen({ host: HOST }),
    does: ['apply swap, keep nothing'],
  },
  {
    name: 'rules return after a clear when an earlier policy is asked for',
    given: () => {
      const override = { policy: pin(newer), loaded: newer, since: new Date(0) };
      return decide(cleared(), at({ kind: 'override-set', override } as const), CONFIGURATION).state;
    },
    seen: () => seen({ host: HOST, table: ABSENT, isTracking: true }),
    does: [APPLY],
  },
  {
    name: 'a policy on trial outlives a change of the files',
    given: () => overriddenBy(trial(newer), newer),
    seen: () => seen({ policy: files(old) }),
    does: [],
    phase: 'overridden',
  },
  {
    name: 'a pinned policy stays while the files say what they did',
    given: () => overriddenBy(pin(newer), newer),
    seen: () => seen({ policy: files(old) }),
    does: [],
    phase: 'overridden',
  },
  {
    name: 'a pinned policy gives way to files that say something new',
    given: () => overriddenBy(pin(newer), newer),
    seen: () => seen({ policy: files(newest) }),
    does: ['write-override none', APPLY],
    state: { override: undefined },
    log: [/the policy file changed, and is in force again/],
  },
  {
    name: 'a pinned policy gives way to files that say the same',
    given: () => overriddenBy(pin(newer), newer),
    seen: () => seen({ policy: files(newer) }),
    does: ['write-override none'],
    state: { override: undefined },
    log: [/the policy file says what is in force again/],
  },
  {
    name: 'a pinned policy gives way to files that always said the same',
    given: () => overriddenBy(pin(old), old),
    seen: () => seen({ policy: files(old) }),
    does: ['write-override none'],
    state: { override: undefined },
  },
  {
    name: 'a pinned policy gives way to a reload',
    given: () => overriddenBy(pin(newer), newer),
    seen: () => seen({ policy: files(old), isReplacementRequested: true }),
    does: ['write-override none', APPLY],
    state: { override: undefined },
  },
  {
    name: 'a pinned policy does not give way to a reload of files with a mistake',
    given: () => overriddenBy(pin(newer), newer),
    seen: () => seen({ policy: files(mistaken), isReplacementRequested: true }),
    does: [],
    phase: 'rejected',
  },
  {
    name: 'a host that the policy does not name may be in a file that is still to come',
    given: () => enforced,
    seen: () => seen({ policy: files(otherHosts, { settleAt: now + 200 }) }),
    does: [expect.stringMatching(/^recheck-files after 1?\d\d$/)],
    phase: 'enforced',
  },
  {
    name: 'a host that the policy does not name keeps its rules',
    given: () => enforced,
    seen: () => seen({ policy: files(otherHosts) }),
    does: [],
    phase: 'rejected',
    log: [/no instance of the policy is this host/],
  },
  {
    name: 'a mistake in newer files is reported rather than that those before do not name the host',
    given: () => {
      const absent = outcome(enforced, seen({ policy: files(otherHosts) })).state;
      return outcome(absent, seen({ policy: files(mistaken) })).state;
    },
    seen: () => seen({ host: HOST }),
    does: [],
    isMistakeShown: true,
  },
  {
    name: 'a host whose name changes stays the instance that it was',
    given: () => enforced,
    seen: () => seen({ host: { ...HOST, hostname: 'web-2' } }),
    does: [],
    log: [/it stays `web-1`, which it was by the name `web-1`, until a reload or a restart/],
  },
  {
    name: 'a host whose name has changed becomes the other instance by a reload',
    given: () => outcome(enforced, seen({ host: { ...HOST, hostname: 'web-2' } })).state,
    seen: () => seen({ policy: files(old), isReplacementRequested: true }),
    does: [APPLY],
    log: [/this host is the instance `web-2`, no longer `web-1`/],
  },
];

describe('what the daemon promises', () => {
  test.each(ROWS)('$name', ({ given, seen: observation, does, state, phase, log, configuration, isMistakeShown }) => {
    const before = given();
    const after = outcome(before, observation(), configuration);
    expect(after.does).toEqual(does);
    if (state !== undefined) expect(after.state).toMatchObject(state);
    if (phase !== undefined) expect(phaseOf(after.state).kind).toBe(phase);
    if (isMistakeShown === true) expect(after.state.refusal?.diagnostics).toBe(mistaken.diagnostics);
    if (log !== undefined) expect(after.log).toEqual(log.map((line) => expect.stringMatching(line)));
  });
});

describe('a table that is gone', () => {
  test('is loaded from disk, and then replaced by one that is known', () => {
    const [action] = outcome(enforced, gone()).actions;
    if (action?.kind !== 'restore-last-good') throw new Error('nothing is restored');
    const given = outcome(enforced, gone()).state;
    const table = { ...ABSENT, found: inForceOf(enforced) };
    const loaded = at({ kind: 'restored', action, isLoaded: true, table, failure: undefined } as const);
    expect(outcome(given, loaded).does).toEqual([APPLY]);
    const failed = at({
      kind: 'restored',
      action,
      isLoaded: false,
      table: undefined,
      failure: toFailure(new Error('x')),
    } as const);
    expect(outcome(given, failed)).toMatchObject({
      does: [APPLY],
      log: [expect.stringMatching(/could not be put back/)],
    });
  });

  test('again and again is repaired less and less often, and the log says who does it; a minute later it is over', () => {
    let state = enforced;
    const waits: number[] = [];
    for (let times = 1; times <= 7; times += 1) {
      const { does, state: after } = outcome(state, drifted(inForceOf(enforced), { writers: ['nft (process 9)'] }));
      expect(does).toEqual(times <= 5 ? [APPLY] : ['record-writers on', APPLY]);
      waits.push(repairDelay(after.recentRepairs, now));
      expect(after.interference?.message.includes('nft (process 9)')).toBe(times <= 5 ? undefined : true);
      state = { ...enforced, recentRepairs: after.recentRepairs, interference: after.interference };
    }
    expect(waits).toEqual([0, 0, 0, 0, 0, 1_000, 2_000]);
    now += 60_000;
    expect(outcome(state, drifted(inForceOf(enforced), { is: 'same' }))).toMatchObject({
      does: ['record-writers off'],
      state: { interference: undefined },
    });
  });

  test('is no drift after a failure or a clear, when nobody knows what is there', () => {
    expect(expectedTable(enforced)).toBe(enforced.inForce);
    expect(expectedTable({ ...enforced, isTableKnown: false })).toBeUndefined();
    expect(expectedTable({ ...enforced, isCleared: true })).toBeUndefined();
    expect(expectedTable(INITIAL_STATE)).toBeUndefined();
  });
});

test.each([
  [false, true],
  [true, false],
])(
  'a first change: conntrack tracks flows already (%s), the change turns tracking on (%s)',
  (isTracking, isUntracked) => {
    const { actions } = outcome(INITIAL_STATE, seen({ policy: files(old), host: HOST, table: ABSENT, isTracking }));
    const [action] = actions;
    if (action?.kind !== 'apply') throw new Error('nothing is applied');
    expect(action).toMatchObject({ isFirst: true, interfaces: HOST.interfaces });
    const scripts = action.rendered.change.transactions.map(({ script }) => scriptText(script)).join('');
    expect(scripts.includes('untracked.in')).toBe(isUntracked);
    const [later] = outcome(enforced, seen({ policy: files(newer) })).actions;
    expect(later).toMatchObject({ isFirst: false });
  },
);

describe('what the kernel refuses', () => {
  const span = { file: 'policy.yaml', line: 2, column: 1, endLine: 2, endColumn: 2 };
  const refused = new NftError('refused', 'no such thing', { span });

  test('is told once, tried again within bounds, and leaves what is in force', () => {
    let state = enforced;
    const waits: string[] = [];
    const log: string[] = [];
    for (let times = 1; times <= 8; times += 1) {
      const planned = outcome(state, seen({ policy: files(newer), table: { ...ABSENT, found: inForceOf(enforced) } }));
      const failed = outcome(planned.state, applied(planned.actions.at(-1), refused));
      expect(failed.state).toMatchObject({ isTableKnown: false, applied: 1, hostPolicy: enforced.hostPolicy });
      expect(failed.state.refusal?.diagnostics).toMatchObject([{ code: 'kernel-refused', span }]);
      waits.push(...failed.does);
      log.push(...failed.log);
      ({ state } = failed);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => `retry after ${seconds * 1_000}`));
    expect(log.filter((line) => line.includes('policy refused'))).toHaveLength(1);
    const mended = settle(state, seen({ policy: files(newer), table: { ...ABSENT, found: inForceOf(enforced) } }));
    expect(mended.state).toMatchObject({ refusal: undefined, kernelProblem: undefined, retryMilliseconds: 1_000 });
    expect(phaseOf(mended.state).kind).toBe('enforced');
  });

  test('does not hide a newer mistake in the policy files', () => {
    const given = outcome(enforced, seen({ policy: files(mistaken) })).state;
    const planned = outcome(given, foreign());
    const failed = outcome(planned.state, applied(planned.actions.at(-1), refused));
    expect(failed.state.refusal).toBe(given.refusal);
    expect(failed.state.kernelProblem?.message).toContain('no such thing');
  });

  test('and what cannot be read at all: what the files say is known all the same', () => {
    const failure = toFailure(new NftError('missing', 'nft is not there'));
    const failed = outcome(enforced, seen({ policy: files(mistaken), failure }));
    expect(failed.does).toEqual(['retry after 1000']);
    expect(failed.state.refusal?.diagnostics).toBe(mistaken.diagnostics);
    expect(failed.state.kernelProblem?.message).toBe('the kernel was not changed: nft is not there');
  });
});

describe('a trial', () => {
  test('that is confirmed is kept for the next boot and in the history', () => {
    const tried = overriddenBy(trial(newer), newer);
    expect(tried).toMatchObject({ isBootScriptStale: true, version: undefined });
    const override = { policy: pin(newer), loaded: newer, since: new Date(0) };
    const given = decide(tried, at({ kind: 'override-set', override } as const), CONFIGURATION).state;
    const after = settle(given, seen({ host: HOST }));
    expect(after.does).toEqual(['apply none, keep boot-script', 'follow-up record try']);
    expect(after.state).toMatchObject({ isBootScriptStale: false, version: 7, applied: 2 });
  });

  test('that runs out gives way to what was in force before', () => {
    const tried = overriddenBy(trial(newer), newer);
    const given = decide(tried, at({ kind: 'override-set', override: undefined } as const), CONFIGURATION).state;
    const after = settle(given, seen({ host: HOST }));
    expect(after.does).toEqual([APPLY, 'settle-later', 'follow-up flows']);
    expect(after.state).toMatchObject({ filesInForce: enforced.filesInForce, version: 7, isBootScriptStale: false });
  });
});

test('a change of members alone is a change of elements, appended to the boot script where that is current', async () => {
  const listOf = (members: string): Promise<LoadedPolicy> =>
    load(
      `version: 1\naddressGroups: { some: { addresses: [${members}] } }\nsecurityGroups: { web: { inbound: [{ protocol: tcp, ports: 1, source: { addressGroup: some } }] } }\ninstances: { web-1: { interfaces: { eth0: { securityGroups: [web] } } } }\n`,
    );
  const many = Array.from({ length: 40 }, (_, host) => `192.0.2.${2 * host}`);
  const first = settle(enforced, seen({ policy: files(await listOf(many.join(','))) })).state;
  const more = files(await listOf([...many, '198.51.100.1'].join(',')));
  const [current, stale] = [first, { ...first, isBootScriptStale: true }].map((state) =>
    outcome(state, seen({ policy: more })),
  );
  expect([current?.does, stale?.does]).toEqual([[MEMBERS], [MEMBERS]]);
  expect(current?.actions).toMatchObject([{ canAppend: true }]);
  expect(stale?.actions).toMatchObject([{ canAppend: false }]);
});

test('a disk that is full keeps nothing out of force, and is told once', () => {
  const full = toFailure(new Error('no space left'));
  const planned = outcome(enforced, seen({ policy: files(newer) }));
  const after = outcome(planned.state, { ...applied(planned.actions.at(-1)), saves: [full, full] });
  expect(after.state.savingProblem?.message).toBe('what is in force is not kept for the next boot: no space left');
  expect(after.log.filter((line) => line.startsWith('error: '))).toHaveLength(1);
  expect(after.state.applied).toBe(2);
  expect(outcome(after.state, at({ kind: 'saved', saves: [undefined] } as const)).state.savingProblem).toBeUndefined();
});

describe('rules that were loaded and are gone again', () => {
  test('are a failure that is tried again', () => {
    const asked = outcome(INITIAL_STATE, seen({ policy: files(mistaken), host: HOST, table: ABSENT }));
    const [action] = asked.actions;
    if (action?.kind !== 'restore-last-good') throw new Error('nothing is restored');
    const restored = (inForce: InForce | undefined): Observation =>
      at({
        kind: 'restored',
        action,
        isLoaded: true,
        table: { ...ABSENT, found: inForce },
        failure: undefined,
      } as const);
    expect(outcome(asked.state, restored(undefined)).does).toEqual(['retry after 1000']);
    expect(outcome(asked.state, restored(inForceOf(enforced)))).toMatchObject({
      does: [],
      state: { isLastGoodMissing: false },
    });
  });
});

describe('labels of flows', () => {
  const settled = (isTracking: boolean): Observation => at({ kind: 'settled', isTracking } as const);

  test('are used anew a while after a change', () => {
    const { does, state } = settle(enforced, settled(true));
    expect(does).toEqual(['relabel']);
    expect(state.inForce?.labels).not.toEqual(enforced.inForce?.labels);
  });

  test('that are used up are put out of use, freed a while later, and used again', () => {
    let state = enforced;
    for (let times = 0; state.inForce?.labels !== 'none'; times += 1) {
      if (times > 200) throw new Error('labels are never used up');
      const after = settle(state, settled(true));
      expect(after.does).toEqual(after.state.inForce?.labels === 'none' ? ['relabel', 'settle-later'] : ['relabel']);
      ({ state } = after);
    }
    const freed = settle(state, settled(true));
    expect(freed.does).toEqual(['free-labels', 'relabel']);
    expect(freed.state.inForce?.labels).not.toBe('none');
  });

  test('that the kernel refuses to change are trouble, and the table is looked at where nobody knows what became of it', () => {
    const [action] = outcome(enforced, settled(true)).actions;
    if (action?.kind !== 'relabel') throw new Error('nothing is relabelled');
    const failing = (error: Error): Observation =>
      at({ kind: 'relabelled', action, failure: toFailure(error) } as const);
    expect(outcome(enforced, failing(new NftError('refused', 'x'))).state.isTableKnown).toBe(true);
    expect(outcome(enforced, failing(new NftError('died', 'x'))).state.isTableKnown).toBe(false);
  });
});

test('decide is a function: the same state and observation have the same outcome, and neither is changed', () => {
  const observation = drifted(undefined);
  const before = structuredClone({ ...enforced, inForce: undefined, hostPolicy: undefined });
  const [first, second] = [decide(enforced, observation, CONFIGURATION), decide(enforced, observation, CONFIGURATION)];
  expect(first).toEqual(second);
  expect(structuredClone({ ...enforced, inForce: undefined, hostPolicy: undefined })).toEqual(before);
});
