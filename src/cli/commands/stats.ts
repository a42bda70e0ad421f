import { askRunningDaemon } from '#api/daemon-client.ts';
import { ROUTES } from '#api/routes.ts';
import type { RuleHits } from '#api/rule-hits.ts';
import { type Command, CommandError, EXIT } from '#cli/framework/command.ts';
import { OPTION, socketPath } from '#cli/framework/options.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';

const WATCH_MILLISECONDS = 2_000;

/** `sgctl stats`: shows how often each rule matches. */
export const stats: Command = {
  name: 'stats',
  summary:
    'Shows how many packets each rule has decided on since it came into force, and which rules never did. An allowed connection counts once, and once more after each change of rules; denied packets all count.',
  usage: '[--watch]',
  options: {
    watch: { type: 'boolean', short: 'w', help: 'show it again every two seconds, until interrupted' },
    json: OPTION.json,
    'runtime-dir': OPTION.runtimeDir,
    help: OPTION.help,
  },
  maxPositionals: 0,
  examples: [
    'sudo sgctl stats',
    'sudo sgctl stats --watch',
    "sudo sgctl stats --json | jq '.rules[] | select(.packets == 0)'",
  ],
  async run(line, streams) {
    const socket = socketPath(line);
    for (;;) {
      const hits = await ask(socket);
      if (line.given('watch') && !line.given('json')) streams.clear();
      streams.out(line.given('json') ? `${JSON.stringify(hits, null, 2)}\n` : format(hits));
      if (!line.given('watch')) return EXIT.success;
      await new Promise((resolve) => setTimeout(resolve, WATCH_MILLISECONDS));
    }
  },
};

async function ask(socket: string): Promise<RuleHits> {
  const { stats: hits } = await askRunningDaemon(socket, ROUTES.stats);
  if (hits === null)
    throw new CommandError(
      'no rules are in force, or they are from an earlier run of the daemon, whose policy is unknown',
    );
  return hits;
}

function format({ counters, rules, platform = [], defaults }: RuleHits): string {
  const row = (packets: string, bytes: string, text: string): string =>
    `${packets.padStart(12)} ${bytes.padStart(14)}  ${text}\n`;
  const lines = rules.map((rule) => {
    const never = counters && rule.packets === 0 ? '  never' : '';
    const text = `${rule.action.padEnd(5)}  ${formatRuleName(rule)}  ${rule.file}:${rule.line}${never}`;
    return counters ? row(String(rule.packets), String(rule.bytes), text) : row('-', '-', text);
  });
  const rest = defaults.map(({ direction, interfaces, packets, bytes }) =>
    row(
      String(packets),
      String(bytes),
      `deny   ${counters ? 'no rule matches' : 'no rule matches, or one that is not counted'}, ${direction} on ${interfaces.join(', ') || 'interfaces that the policy does not name'}`,
    ),
  );
  const builtIn = platform.map(({ name, direction, packets, bytes }) =>
    row(String(packets), String(bytes), `deny   platform:${name}, ${direction}`),
  );
  const off = counters
    ? ''
    : 'rules are not counted: an interface has more than 500 a direction (`counters: true` counts them anyway), or the policy has `counters: false`\n';
  return `${off}${row('packets', 'bytes', 'decided by')}${[...lines, ...builtIn, ...rest].join('')}`;
}
