import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { footprint } from './footprint.ts';
import { liveFlows } from './live-flows.ts';
import { machine } from './machine.ts';
import type { Result, Settings } from './measurement.ts';
import { members } from './members.ts';
import { newPackets } from './new-packets.ts';
import { FIREWALLD } from './peers/firewalld.ts';
import { IPTABLES } from './peers/plain.ts';
import { UFW } from './peers/ufw.ts';
import { plot } from './plot.ts';
import { reloads } from './reloads.ts';
import { ruleChanges } from './rule-changes.ts';
import { saves } from './saves.ts';
import { formatResult } from './table.ts';

const MEASUREMENTS: Readonly<Record<string, (settings: Settings) => Promise<readonly Result[]>>> = {
  'new-packets': newPackets,
  'live-flows': liveFlows,
  'rule-changes': ruleChanges,
  members,
  reloads,
  footprint,
  saves,
};

const USAGE = `usage: npm run bench -- [--quick] [--only NAME]... [--json FILE] [--svg FILE] [--from FILE]

  --quick      small counts: a look in some minutes; all of it takes about half an hour
  --only NAME  one of ${Object.keys(MEASUREMENTS).join(', ')}; may be said again
  --json FILE  write all results there
  --svg FILE   draw the plot of test/bench/README.md there
  --from FILE  measure nothing: take the results that --json wrote

Nothing is installed by this: others are measured where they are there already, and
  apt-get install --no-install-recommends firewalld ufw iptables dbus
brings them, on Debian and Ubuntu; keep what they install from starting on a host that you filter otherwise.
`;

/** The content of the file that `--json` writes; keys are added, never renamed or removed. */
interface Report {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly quick: boolean;
  readonly results: readonly Result[];
}

/** What the program is started with; `scratch` is a folder that somebody removes afterwards. */
interface Start extends Pick<Settings, 'root' | 'scratch'> {
  readonly args: readonly string[];
}

/** Runs what the arguments ask for; returns the exit status. */
export async function bench({ args, ...folders }: Start): Promise<number> {
  const options = readOptions(args);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { from, json, svg } = options;
  if (from === undefined && process.getuid?.() !== 0) {
    process.stderr.write('measuring makes network namespaces and loads rules into them, which needs root\n');
    return 3;
  }
  const report =
    from === undefined ? await measure(folders, options) : (JSON.parse(readFileSync(from, 'utf8')) as Report);
  if (from !== undefined) for (const result of report.results) process.stdout.write(formatResult(result));
  if (json !== undefined) keep(report, json);
  if (svg !== undefined) writeFileSync(svg, plot(report.results, report.machine));
  return 0;
}

interface Options {
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly from: string | undefined;
}

function readOptions(args: readonly string[]): Options | 'help' | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: Object.keys(MEASUREMENTS) },
        json: { type: 'string' },
        svg: { type: 'string' },
        from: { type: 'string' },
      },
    });
    if (values.help) return 'help';
    if (!values.only.every((name) => Object.hasOwn(MEASUREMENTS, name))) return undefined;
    return { json: undefined, svg: undefined, from: undefined, ...values };
  } catch {
    return undefined;
  }
}

async function measure(folders: Pick<Settings, 'root' | 'scratch'>, options: Options): Promise<Report> {
  const { quick, only, json } = options;
  const results: Result[] = [];
  const report = { machine: machine(), quick, results };
  const absent = [FIREWALLD, UFW, IPTABLES].filter((peer) => !peer.isPresent()).map(({ name }) => name);
  if (absent.length > 0) process.stderr.write(`without ${absent.join(', ')}, not installed here: see --help\n`);
  for (const name of only) {
    const progress = (text: string): void => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${name}: ${text}`);
    };
    const found = (await MEASUREMENTS[name]?.({ ...folders, quick, progress })) ?? [];
    if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
    for (const result of found) process.stdout.write(formatResult(result));
    results.push(...found);
    // What is measured is measured, should a later one fail.
    if (json !== undefined) keep(report, json);
  }
  return report;
}

function keep(report: Report, file: string): void {
  writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
}
