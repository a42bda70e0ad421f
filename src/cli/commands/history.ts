import { askRunningDaemon } from '#api/daemon-client.ts';
import { OVERRIDE_ROUTE, ROUTES } from '#api/routes.ts';
import { type Command, type CommandLine, EXIT, type ExitStatus, type Streams } from '#cli/framework/command.ts';
import { OPTION, socketPath } from '#cli/framework/options.ts';
import { locateTexts } from '#cli/input/in-force.ts';
import { readHost } from '#cli/input/load.ts';
import { readVersion } from '#cli/input/version-number.ts';
import { formatPlace } from '#cli/present/format-place.ts';
import { formatRemotes } from '#cli/present/format-remotes.ts';
import { formatTraffic } from '#cli/present/format-traffic.ts';
import { comparePolicies, type Difference } from '#core/meaning/compare/compare-policies.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { KeptPolicy, PolicyVersion } from '#core/model/policy/policy-version.ts';
import { localTime } from '#host/local-time.ts';

/** `sgctl history [N]`: lists the policies that were in force, or prints one. */
export const history: Command = {
  name: 'history',
  summary:
    'Lists the policies that were in force, newest first, with what each newly allowed and denied; or prints the policy file of one version. Successive changes of list files alone are kept as one version, the latest.',
  usage: '[VERSION]',
  options: { json: OPTION.json, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  maxPositionals: 1,
  words: [],
  examples: ['sgctl history', 'sgctl history 12 > policy-12.yaml', 'sudo sgctl rollback 12'],
  async run(line, streams) {
    const number = readVersion(line.positionals[0]);
    return number === undefined ? listVersions(line, streams) : printVersion(number, line, streams);
  },
};

async function listVersions(line: CommandLine, streams: Streams): Promise<ExitStatus> {
  const socket = socketPath(line);
  const { versions } = await askRunningDaemon(socket, ROUTES.history);
  const { trial } = await askRunningDaemon(socket, OVERRIDE_ROUTE);
  const host = await readHost();
  const rows: object[] = [];
  if (trial !== null && !line.given('json'))
    streams.out(`   try  ${localTime(trial.since)}  ${trial.file}, on trial: active for ${trial.secondsLeft} s more\n`);
  let newer = await keptOf(versions[0], socket);
  for (const [place, version] of versions.entries()) {
    const older = await keptOf(versions[place + 1], socket);
    const changes = await changesOf(older, newer, host);
    const came = originText(version, versions[place + 1]);
    newer = older;
    if (line.given('json')) {
      const { number, time, origin, of, instance, documents } = version;
      const summary = changes === undefined ? null : summaryLines(changes);
      rows.push({ number, time, origin, of, instance, documents, inForce: place === 0 && trial === null, summary });
      continue;
    }
    const now = place === 0 && trial === null ? ', active' : '';
    streams.out(`${String(version.number).padStart(6)}  ${localTime(version.time)}  ${came}${now}\n`);
    for (const text of changes === undefined ? [] : summaryLines(changes)) streams.out(`        ${text}\n`);
  }
  if (line.given('json')) streams.out(`${JSON.stringify(rows, null, 2)}\n`);
  return EXIT.success;
}

async function printVersion(number: number, line: CommandLine, streams: Streams): Promise<ExitStatus> {
  const kept = await askVersion(number, socketPath(line));
  if (line.given('json')) {
    streams.out(`${JSON.stringify(kept, null, 2)}\n`);
    return EXIT.success;
  }
  const { texts } = kept.texts;
  const [main = ''] = kept.documents;
  streams.exact(texts[main] ?? '');
  const others = Object.keys(texts).filter((file) => file !== main);
  if (others.length > 0)
    streams.err(`its other files (${others.join(', ')}) are not shown: sgctl history ${number} --json has them\n`);
  return EXIT.success;
}

function askVersion(number: number, socket: string): Promise<KeptPolicy> {
  return askRunningDaemon(socket, ROUTES.version, { number });
}

async function keptOf(version: PolicyVersion | undefined, socket: string): Promise<KeptPolicy | undefined> {
  return version === undefined ? undefined : askVersion(version.number, socket);
}

/** What a version changed; undefined if it is the first, or one of the two cannot be read. */
async function changesOf(
  older: KeptPolicy | undefined,
  newer: KeptPolicy | undefined,
  host: HostState,
): Promise<Changes | undefined> {
  if (older === undefined || newer === undefined) return undefined;
  const [before, after] = [await locateTexts(older.texts, host), await locateTexts(newer.texts, host)];
  if (before === undefined || after === undefined) return undefined;
  return { differences: comparePolicies(before, after), policies: [before, after] };
}

/** The difference of two versions of a policy. */
interface Changes {
  readonly differences: readonly Difference[];
  readonly policies: readonly HostPolicy[];
}

/** Further differences are only counted. */
const MAX_LINES = 4;

function summaryLines({ differences, policies }: Changes): readonly string[] {
  if (differences.length === 0) return ['the same traffic passes'];
  const lines = differences.slice(0, MAX_LINES).map((difference) => {
    const { after, direction, traffic, family } = difference;
    const word = after.action === 'allow' ? 'newly allowed' : 'newly denied';
    const end = direction === 'inbound' ? 'from' : 'to';
    return `${word}, ${formatPlace(difference, policies)}: ${formatTraffic(traffic, family)} ${end} ${formatRemotes(difference)}`;
  });
  const more = differences.length - lines.length;
  return more === 0 ? lines : [...lines, `and ${more} more`];
}

const ORIGINS: Readonly<Record<PolicyVersion['origin'], string>> = {
  file: 'the policy file was saved',
  apply: 'sgctl apply',
  try: 'confirmed after a trial',
  rollback: 'rolled back',
};

/**
 * How a version came into force. The history keeps successive changes of lists alone as one version with the file they
 * belong to, and their numbers are skipped.
 */
function originText({ number, origin, of }: PolicyVersion, older: PolicyVersion | undefined): string {
  if (of !== null) return `${ORIGINS[origin]} to version ${of}`;
  const skips = origin === 'file' && older !== undefined && number > older.number + 1;
  return skips ? `${ORIGINS[origin]}, and then its lists` : ORIGINS[origin];
}
