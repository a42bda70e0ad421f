import { type BigIntStats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Streams } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE } from '#cli/framework/options.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { isStream, shownName } from '#host/files/placed-reader.ts';
import { absolutePath, tracePath } from '#host/files/trace-path.ts';
import { type Distrust, distrustFile, distrustWay, trustedOwners } from '#host/files/trust.ts';

/** A policy that a command checks. */
interface CheckedPolicy {
  /** The name on the command line. */
  readonly file: string;
  /** The path that `--as` gives it. */
  readonly at: string | undefined;
  readonly loaded: LoadedPolicy;
}

/**
 * Warns of what the daemon refuses whatever its text is: files of a policy that users other than their owner can write,
 * and a directory on the path of the policy file. The owner of a file elsewhere does not matter: people check policies in
 * their homes, and put them in place as root.
 */
export async function warnWhereRefused({ file, at, loaded }: CheckedPolicy, streams: Streams): Promise<void> {
  const files = loaded.files.filter((name) => name !== shownName(file) || !isStream(file));
  const place = at ?? (resolve(file) === DEFAULT_POLICY_FILE ? file : undefined);
  const way = place === undefined ? undefined : await distrustPlace(place);
  if (way !== undefined) warn(way, 'refuses a policy there', streams);
  const [first, ...more] = files.flatMap(distrustWritable);
  if (first === undefined) return;
  const others = more.length === 0 ? '' : `, and so can ${more.length} more of the policy's files`;
  const hint = [first.hint, ...more.map(({ path }) => path)].join(' ');
  warn({ ...first, message: `${first.message}${others}`, hint }, 'refuses such a file', streams);
}

function warn({ message, hint }: Distrust, refuses: string, streams: Streams): void {
  streams.err(`warning: ${message}; the daemon ${refuses}\nhelp: ${hint}\n`);
}

async function distrustPlace(path: string): Promise<Distrust | undefined> {
  return distrustWay(path, await tracePath(absolutePath(path)), trustedOwners());
}

/** Why a file is not trusted, apart from its owner. */
function distrustWritable(path: string): readonly Distrust[] {
  const stats = statusOf(path);
  const distrust = stats?.isFile() === true ? distrustFile(path, stats, [Number(stats.uid)]) : undefined;
  return distrust === undefined ? [] : [distrust];
}

/** The file's status; undefined if it cannot be read: the policy's diagnostics report why. */
function statusOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}
