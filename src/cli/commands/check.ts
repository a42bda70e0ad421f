import { type Command, EXIT } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import {
  placementOf,
  printDiagnostics,
  readHostIfPossible,
  readPolicy,
  warnWhereUnprotectedHere,
} from '#cli/input/load.ts';
import { warnWhereRefused } from '#cli/input/refused-files.ts';
import { hostNotes } from '#cli/present/host-notes.ts';
import { diagnosticToJson } from '#core/diagnostics/diagnostic-json.ts';
import { shownName } from '#host/files/placed-reader.ts';

/** `sgctl check [FILE]`: whether a policy is valid. */
export const check: Command = {
  name: 'check',
  summary:
    'Parses and validates a policy with its drop-ins and list files; reports every mistake with its place, and notes where a valid policy does not fit this host: no instance is the host, or the host lacks an interface that the policy names. Warns of files that users other than their owner can write, which the daemon refuses. FILE may be a FIFO, or - for standard input. As Ansible checks a template: `validate: sgctl check --as /etc/secgroupd/policy.yaml %s`.',
  usage: '[FILE] [--as PATH]',
  options: { as: OPTION.as, json: OPTION.json, help: OPTION.help },
  maxPositionals: 1,
  examples: [
    'sgctl check',
    'sgctl check new-policy.yaml && sudo mv new-policy.yaml /etc/secgroupd/policy.yaml',
    'sgctl check --as /etc/secgroupd/policy.yaml rendered.yaml',
    'generate-policy | sgctl check - --as /etc/secgroupd/policy.yaml',
  ],
  exitNo: 'the policy is not valid',
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const loaded = await readPolicy(await placementOf(line, file));
    await warnWhereRefused({ file, at: line.text('as'), loaded }, streams);
    if (line.given('json')) {
      streams.out(`${JSON.stringify(loaded.diagnostics.map(diagnosticToJson), null, 2)}\n`);
      return loaded.policy === undefined ? EXIT.no : EXIT.success;
    }
    printDiagnostics(loaded, streams);
    if (loaded.policy === undefined) return EXIT.no;
    const { securityGroups, addressGroups, instances } = loaded.policy;
    const counts = [
      counted(securityGroups.size, 'security group'),
      counted(addressGroups.size, 'address group'),
      counted(instances.size, 'instance'),
    ].join(', ');
    streams.out(`${shownName(file)}: valid (${counts})\n`);
    const host = await readHostIfPossible();
    // The warning names missing interfaces already.
    const isWarned = host !== undefined && warnWhereUnprotectedHere(loaded.policy, host, streams);
    const notes = host === undefined || isWarned ? [] : hostNotes(loaded.policy, host);
    for (const { message, help } of notes) streams.out(`note: ${message}\nhelp: ${help}\n`);
    return EXIT.success;
  },
};

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
