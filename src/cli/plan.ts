import type { HostPolicy, HostState } from '../model/host.ts';
import type { InstanceName } from '../model/names.ts';
import { type Command, type CommandLine, EXIT, type Streams, UnableError } from './command.ts';
import { locateTexts, policyInForce } from './in-force.ts';
import { locate, placementOf, readHost, readPolicyOrExplain } from './load.ts';
import { DEFAULT_POLICY_FILE, OPTION, socketPath } from './options.ts';
import { formatPlanned, NOTHING, planOf, plannedToJson } from './planned-change.ts';

/** `sgctl plan [FILE]`: what a policy would change, as traffic. */
export const plan: Command = {
  name: 'plan',
  summary:
    'Shows what a policy would change: packets newly allowed and newly denied, with the rules that decide before and after, live connections it would cut (your own ssh session first), and members of groups.',
  usage: '[FILE] [--against FILE] [--instance NAME]',
  options: {
    against: {
      type: 'string',
      value: 'FILE',
      help: 'compare with this policy, and not with what the daemon has in force',
    },
    instance: OPTION.instance,
    'runtime-dir': OPTION.runtimeDir,
    json: OPTION.json,
    help: OPTION.help,
  },
  mostPositionals: 1,
  examples: [
    'sgctl plan new-policy.yaml',
    'sgctl plan new-policy.yaml --against policy.yaml --instance web-1',
    "sgctl plan new-policy.yaml --json | jq '.changes'",
  ],
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const policy = await readPolicyOrExplain(await placementOf(line, file), streams);
    if (policy === undefined) return EXIT.no;
    const host = await readHost();
    const base = await baseOf(line, host, streams);
    if (base === undefined) return EXIT.no;
    const named = line.text('instance') ?? (policy.instances.has(base.instance) ? base.instance : undefined);
    const after = locate(policy, host, named);
    const planned = await planOf(base.policy, after, host);
    streams.out(
      line.given('json')
        ? `${JSON.stringify(plannedToJson(planned, host), null, 2)}\n`
        : formatPlanned(planned, `${file} against ${base.name}, as ${after.instance}`),
    );
    return EXIT.fine;
  },
};

interface Base {
  readonly name: string;
  readonly instance: InstanceName;
  readonly policy: HostPolicy;
}

/** What the policy is compared with; undefined once the mistakes of a file are printed. */
async function baseOf(line: CommandLine, host: HostState, streams: Streams): Promise<Base | undefined> {
  const against = line.text('against');
  if (against !== undefined) {
    const policy = await readPolicyOrExplain({ file: against }, streams);
    if (policy === undefined) return undefined;
    const located = locate(policy, host, line.text('instance'));
    return { name: against, instance: located.instance, policy: located };
  }
  const inForce = await policyInForce(socketPath(line));
  if (inForce.kind === 'nothing') {
    return { name: 'nothing in force: every packet passes', instance: NOTHING.instance, policy: NOTHING };
  }
  const { texts, generation } = inForce;
  const located = await locateTexts(texts, host);
  if (located === undefined)
    throw new UnableError('this sgctl cannot read the policy that the daemon has in force: are both of one version?');
  return { name: `what is in force (generation ${generation})`, instance: located.instance, policy: located };
}
