import { type Command, EXIT } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import { locate, placementOf, readHost, readPolicyOrExplain } from '#cli/input/load.ts';
import { scriptText } from '#core/model/nft/script.ts';
import { planChange } from '#core/plan-change.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';

/**
 * `sgctl compile [FILE]`: prints the nft script and applies nothing. It is the script that boots a host: in the same
 * transaction it removes a table of ours, whatever version and policy that is of.
 */
export const compile: Command = {
  name: 'compile',
  summary:
    'Prints the nft script of the whole policy; loaded by nft -f, it replaces an existing table. Comments name groups, rules and lines.',
  usage: '[FILE] [--as PATH] [--instance NAME]',
  options: { as: OPTION.as, instance: OPTION.instance, json: OPTION.json, help: OPTION.help },
  maxPositionals: 1,
  examples: ['sgctl compile', 'sgctl compile policy.yaml --instance web-1 | less'],
  exitNo: 'the policy is not valid',
  async run(line, streams) {
    const placement = await placementOf(line, line.positionals[0] ?? DEFAULT_POLICY_FILE);
    const policy = await readPolicyOrExplain(placement, streams);
    if (policy === undefined) return EXIT.no;
    const hostPolicy = locate(policy, await readHost(), { named: line.text('instance'), streams });
    const { change, whole } = planChange(hostPolicy, undefined, hashContent);
    const text = scriptText(whole());
    if (line.given('json')) {
      const { contentHash } = change.next;
      streams.out(
        `${JSON.stringify({ instance: hostPolicy.instance, stamp: contentHash, transactions: [text] }, null, 2)}\n`,
      );
      return EXIT.success;
    }
    streams.exact(`# ${hostPolicy.instance}: replaces the table ${TABLE}, whatever it holds\n${text}`);
    return EXIT.success;
  },
};
