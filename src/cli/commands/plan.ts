import {
  type Command,
  CommandError,
  type CommandLine,
  EXIT,
  type Streams,
  UsageError,
} from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION, socketPath } from '#cli/framework/options.ts';
import { locateTexts, policyInForce } from '#cli/input/in-force.ts';
import { alongText, filesAlong, inPlaceOf } from '#cli/input/in-place.ts';
import { readLiveFlows, readOwnSession } from '#cli/input/live-flows.ts';
import {
  locate,
  placementOf,
  printDiagnostics,
  readHost,
  readPolicy,
  readPolicyOrExplain,
  warnWhereUnprotected,
} from '#cli/input/load.ts';
import { warnWhereRefused } from '#cli/input/refused-files.ts';
import { WITHIN, workWithin } from '#cli/input/within-option.ts';
import { changeToJson, formatChange } from '#cli/present/format-change.ts';
import { changeEffects } from '#core/change-effects.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { type Placement, shownName } from '#host/files/placed-reader.ts';

/** `sgctl plan [FILE]`: shows what a policy would change, as traffic. */
export const plan: Command = {
  name: 'plan',
  summary:
    'Shows what a policy would change: packets newly allowed and newly denied, with the rules that decide before and after, live connections it would cut (your own ssh session first), and members of groups. FILE replaces the policy file and uses its drop-ins, and those of its lists that are not beside FILE; a FILE with drop-ins of its own, or compared with another file, is used as it is. The output names the drop-ins and lists that were used. FILE may be a FIFO, or - for standard input.',
  usage: '[FILE] [--as PATH | --alone] [--against FILE] [--instance NAME] [--within SECONDS]',
  options: {
    as: { ...OPTION.as, help: `${OPTION.as.help} (default ${DEFAULT_POLICY_FILE})` },
    alone: OPTION.alone,
    against: {
      type: 'string',
      value: 'FILE',
      help: 'compare with this policy instead of with the one in force',
    },
    instance: OPTION.instance,
    'runtime-dir': OPTION.runtimeDir,
    within: WITHIN,
    json: OPTION.json,
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: [
    'sgctl plan new-policy.yaml',
    'generate-policy | sgctl plan -',
    'sgctl plan new-policy.yaml --against policy.yaml --instance web-1',
    "sgctl plan new-policy.yaml --json | jq '.changes'",
  ],
  exitNo: 'a policy is not valid',
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const placement = await placeOf(line, file);
    const loaded = await readPolicy(placement);
    await warnWhereRefused({ file, at: line.text('as'), loaded }, streams);
    printDiagnostics(loaded, streams);
    const { policy } = loaded;
    if (policy === undefined) return EXIT.no;
    const along = filesAlong(loaded);
    const host = await readHost();
    const base = await baseOf(line, host, streams);
    if (base === undefined) return EXIT.no;
    if (placement.at !== undefined && loaded.documents.length === 1 && base.dropIns.length > 0)
      streams.err(
        `${shownName(file)} is used without drop-ins, but the policy in force has some: ${base.dropIns.join(', ')}\nhelp: --as PATH uses those of the policy file PATH\n`,
      );
    const named = line.text('instance') ?? instanceIn(policy, base);
    const after = locate(policy, host, { named, streams });
    // With --instance the plan may be for another host.
    if (line.text('instance') === undefined) warnWhereUnprotected(after, host, streams);
    const change = { before: base.policy, after };
    const changed = { host, liveFlows: await readLiveFlows(), session: await readOwnSession() };
    const effects = await workWithin(line, { streams, what: 'comparing' }, (patience) =>
      changeEffects(change, changed, patience),
    );
    streams.out(
      line.given('json')
        ? `${JSON.stringify({ ...changeToJson(effects, host), with: along }, null, 2)}\n`
        : formatChange(effects, `${shownName(file)}${alongText(along)} against ${base.name}, as ${after.instance}`),
    );
    return effects.leftOut.length > 0 ? EXIT.failed : EXIT.success;
  },
};

/** The path at which the file is evaluated. Throws a UsageError. */
async function placeOf(line: CommandLine, file: string): Promise<Placement> {
  const isPlaced = line.text('as') !== undefined;
  if (isPlaced && line.given('alone')) throw new UsageError('--as and --alone exclude each other');
  const isAlone = line.given('alone') || line.text('against') !== undefined;
  return isPlaced || isAlone ? placementOf(line, file) : inPlaceOf(DEFAULT_POLICY_FILE, file);
}

interface Base {
  readonly name: string;
  /** Undefined if nothing is in force. */
  readonly policy: HostPolicy | undefined;
  readonly dropIns: readonly string[];
}

/** The instance that the policy in force is for, if the policy has it too. */
function instanceIn(policy: Policy, { policy: base }: Base): InstanceName | undefined {
  return base !== undefined && policy.instances.has(base.instance) ? base.instance : undefined;
}

/** What the policy is compared with; undefined after printing the mistakes of an invalid file. */
async function baseOf(line: CommandLine, host: HostState, streams: Streams): Promise<Base | undefined> {
  const against = line.text('against');
  if (against !== undefined) {
    const policy = await readPolicyOrExplain({ file: against }, streams);
    if (policy === undefined) return undefined;
    const located = locate(policy, host, { named: line.text('instance'), streams });
    return { name: against, policy: located, dropIns: [] };
  }
  const inForce = await policyInForce(socketPath(line));
  if (inForce.kind === 'nothing')
    return { name: 'nothing in force: all traffic passes', policy: undefined, dropIns: [] };
  const { texts, version } = inForce;
  const located = await locateTexts(texts, host);
  if (located === undefined)
    throw new CommandError(
      'this sgctl cannot read the policy that the daemon has in force: are both of the same version?',
    );
  return {
    name: `what is in force${version === undefined ? '' : ` (version ${version})`}`,
    policy: located,
    dropIns: texts.documents.slice(1),
  };
}
