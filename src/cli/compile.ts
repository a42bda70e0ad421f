import { isTracking } from '../host/conntrack.ts';
import { scriptText } from '../model/script.ts';
import { stampOf } from '../nft/stamp.ts';
import { planChange } from '../pipeline.ts';
import { type Command, EXIT } from './command.ts';
import { locate, readHost, readPolicyOrExplain } from './load.ts';
import { DEFAULT_POLICY_FILE, OPTION } from './options.ts';

/** `sgctl compile [FILE]`: the nft script, and nothing done with it. */
export const compile: Command = {
  name: 'compile',
  summary: 'Prints exactly the nft script that would be applied; comments name groups, rules and lines.',
  usage: '[FILE] [--instance NAME]',
  options: { instance: OPTION.instance, json: OPTION.json, help: OPTION.help },
  mostPositionals: 1,
  examples: ['sgctl compile', 'sgctl compile policy.yaml --instance web-1 | less'],
  async run(line, streams) {
    const policy = await readPolicyOrExplain(line.positionals[0] ?? DEFAULT_POLICY_FILE, streams);
    if (policy === undefined) return EXIT.no;
    const hostPolicy = locate(policy, await readHost(), line.text('instance'));
    const { change } = planChange(hostPolicy, (await isTracking()) ? undefined : 'untracked', stampOf);
    const transactions = change.transactions.map(({ script }) => scriptText(script));
    if (line.given('json')) {
      streams.out(
        `${JSON.stringify({ instance: hostPolicy.instance, stamp: change.next.stamp, transactions }, null, 2)}\n`,
      );
      return EXIT.fine;
    }
    transactions.forEach((text, index) => {
      streams.exact(`# ${hostPolicy.instance}: transaction ${index + 1} of ${transactions.length}\n${text}`);
    });
    return EXIT.fine;
  },
};
