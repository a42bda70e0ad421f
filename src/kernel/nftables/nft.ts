import { execa } from 'execa';
import { type Script, scriptText } from '#core/model/nft/script.ts';
import { NftError, type NftFailure } from '#kernel/errors.ts';

/** nft's complaints echo the lines they are about; a line can hold a set of any size. */
const LONGEST_OUTPUT = 64 * 1024;

/** Names of our chains and sets, however many there are. */
const LONGEST_LISTING = 64 * 1024 * 1024;

/** How to run nft. */
export interface NftOptions {
  readonly command?: string;
  /** After so long nft is killed; a script of 100,000 elements needs one or two seconds. */
  readonly timeoutMilliseconds?: number;
}

/** The seam to the kernel's tables: all that is ever done to them goes through here, by the program nft. */
export interface Nft {
  /** Runs a script as one transaction. Throws an NftError; after `refused` nothing has changed. */
  run(script: Script): Promise<void>;
  /** What nft prints for `list ...`, without sets' elements; undefined where there is no such thing. Throws an NftError. */
  list(words: readonly string[]): Promise<string | undefined>;
  /** What nft prints for one set with its elements; otherwise as `list`. */
  listElements(set: string): Promise<string | undefined>;
  /** What nft prints in JSON, numbers for names and elements included; otherwise as `list`. */
  listJson(words: readonly string[]): Promise<string | undefined>;
}

/** nft as installed on the host. */
export function createNft({ command = 'nft', timeoutMilliseconds = 60_000 }: NftOptions = {}): Nft {
  const call = (args: readonly string[], input: string, maxBuffer: number) =>
    execa(command, args, {
      input,
      reject: false,
      timeout: timeoutMilliseconds,
      killSignal: 'SIGKILL',
      maxBuffer,
      // Users' PATHs often lack the places where nft is.
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' },
      extendEnv: false,
      stripFinalNewline: false,
    });
  const list = async (args: readonly string[]): Promise<string | undefined> => {
    const result = await call(args, '', LONGEST_LISTING);
    if (!result.failed) return result.stdout;
    if (result.exitCode === 1 && /No such file or directory/.test(result.stderr)) return undefined;
    throw failureOf(result, []);
  };
  return {
    async run(script) {
      const result = await call(['-f', '-'], scriptText(script), LONGEST_OUTPUT);
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
  // "ENOBUFS although applied" (google/nftables#103): too many acknowledgements, and nobody knows what was done.
  if (/No buffer space available/.test(result.stderr)) return fail('died', message);
  const line = /^[^:\n]*:([0-9]+):[0-9]+-[0-9]+: /m.exec(result.stderr)?.[1];
  const span = line === undefined ? undefined : script[Number(line) - 1]?.span;
  return new NftError('refused', message, { span, cause });
}

function firstError(stderr: string): string | undefined {
  return /Error: ([^\n]*)/.exec(stderr)?.[1] ?? stderr.split('\n').find((line) => line.trim() !== '');
}
