import { execa } from 'execa';
import { type Script, scriptText } from '#core/model/nft/script.ts';
import { NftError, type NftFailure } from '#kernel/errors.ts';

/** nft's errors echo their lines, and a line can contain a set of any size. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/** A listing of names of chains and sets, however many there are. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;

/** How to run nft. */
export interface NftOptions {
  readonly command?: string;
  /** When nft is killed; a script of 100,000 elements takes one or two seconds. */
  readonly timeoutMilliseconds?: number;
}

/** Runs the nft program, the way to the kernel's tables for everything but elements and labels. */
export interface Nft {
  /** Runs a script as one transaction. Throws an NftError; after `refused` nothing has changed. */
  run(script: Script): Promise<void>;
  /** What nft prints for `list ...`, without elements of sets; undefined if the object does not exist. Throws an NftError. */
  list(words: readonly string[]): Promise<string | undefined>;
  /** What nft prints for one set with its elements; otherwise like `list`. */
  listElements(set: string): Promise<string | undefined>;
  /** What nft prints in JSON, with numbers for names and with elements; otherwise like `list`. */
  listJson(words: readonly string[]): Promise<string | undefined>;
}

/** The nft program that is installed on the host. */
export function createNft({ command = 'nft', timeoutMilliseconds = 60_000 }: NftOptions = {}): Nft {
  const call = (args: readonly string[], input: string, maxBuffer: number) =>
    execa(command, args, {
      input,
      reject: false,
      timeout: timeoutMilliseconds,
      killSignal: 'SIGKILL',
      maxBuffer,
      // Users' PATHs often lack the directories of nft.
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' },
      extendEnv: false,
      stripFinalNewline: false,
    });
  const list = async (args: readonly string[]): Promise<string | undefined> => {
    const result = await call(args, '', MAX_LISTING_BYTES);
    if (!result.failed) return result.stdout;
    if (result.exitCode === 1 && /No such file or directory/.test(result.stderr)) return undefined;
    throw failureOf(result, []);
  };
  return {
    async run(script) {
      const result = await call(['-f', '-'], scriptText(script), MAX_OUTPUT_BYTES);
      if (result.failed) throw failureOf(result, script);
    },
    list: (words) => list(['--terse', 'list', ...words]),
    listElements: (set) => list(['list', 'set', ...set.split(' ')]),
    listJson: (words) => list(['--json', '--numeric', 'list', ...words]),
  };
}

interface Outcome {
  readonly code?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly timedOut: boolean;
  readonly isMaxBuffer: boolean;
  readonly stderr: string;
}

function failureOf(result: Outcome, script: Script): NftError {
  const cause = result instanceof Error ? result : undefined;
  const fail = (failure: NftFailure, message: string): NftError => new NftError(failure, message, { cause });
  if (result.code === 'ENOENT') return fail('missing', 'the program `nft` is not installed: apt-get install nftables');
  if (result.timedOut) return fail('timeout', 'nft did not end in time and was killed');
  if (result.exitCode === undefined) return fail('died', `nft was ended by ${result.signal ?? 'an unknown cause'}`);
  const message = firstError(result.stderr) ?? `nft ended with exit status ${result.exitCode}`;
  if (/Operation not permitted/.test(result.stderr)) {
    return fail('not-permitted', `${message}: CAP_NET_ADMIN (root) is needed`);
  }
  // Too many acknowledgements (google/nftables#103, "ENOBUFS although applied"): it is unknown what was done.
  if (/No buffer space available/.test(result.stderr)) return fail('died', message);
  const line = /^[^:\n]*:([0-9]+):[0-9]+-[0-9]+: /m.exec(result.stderr)?.[1];
  const span = line === undefined ? undefined : script[Number(line) - 1]?.span;
  return new NftError('refused', message, { span, cause });
}

function firstError(stderr: string): string | undefined {
  return /Error: ([^\n]*)/.exec(stderr)?.[1] ?? stderr.split('\n').find((line) => line.trim() !== '');
}
