import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';

/** Asks nft about scripts, in a network namespace of its own. */
export interface NftCheck {
  /** Takes a script; says, for one of those it has taken so far, what nft has against it. */
  take(script: string): string | undefined;
  /** What nft has against one that has not been asked about yet. */
  finish(): string | undefined;
  /** How many nft was asked about. */
  asked(): number;
  remove(): void;
}

/** So long a run of scripts is one question: starting nft costs more than what it is asked. */
const BATCH_BYTES = 400_000;

/** A checker; scripts that were asked about before are not again. */
export function createNftCheck(): NftCheck {
  const namespace = `sgt${process.pid}-fuzz`;
  execFileSync('ip', ['netns', 'add', namespace]);
  const known = new Set<string>();
  let batch: string[] = [];
  let bytes = 0;
  let asked = 0;
  const ask = (scripts: readonly string[]): string | undefined => {
    // Each is about a table of its own, lest one undoes what another needs.
    const text = scripts.map((script, i) => script.replaceAll('inet secgroupd', `inet fuzz${i}`)).join('');
    const { status, stderr, signal } = spawnSync('ip', ['netns', 'exec', namespace, 'nft', '--check', '--file', '-'], {
      input: text,
      encoding: 'utf8',
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    if (status === 0) return undefined;
    if (scripts.length === 1) return `${signal ?? ''}${stderr.slice(0, 2_000)}\n${scripts[0]}`;
    const half = Math.ceil(scripts.length / 2);
    return ask(scripts.slice(0, half)) ?? ask(scripts.slice(half)) ?? `only together: ${stderr.slice(0, 2_000)}`;
  };
  const finish = (): string | undefined => {
    const complaint = batch.length === 0 ? undefined : ask(batch);
    asked += batch.length;
    batch = [];
    bytes = 0;
    return complaint;
  };
  return {
    take(script) {
      // Where in the policy a line comes from is a comment, which differs for nearly every input.
      const bare = createHash('sha1')
        .update(script.replaceAll(/ #[^\n]*$/gm, ''))
        .digest('base64');
      if (known.has(bare)) return undefined;
      known.add(bare);
      batch.push(script);
      bytes += script.length;
      return bytes < BATCH_BYTES ? undefined : finish();
    },
    finish,
    asked: () => asked,
    remove() {
      execFileSync('ip', ['netns', 'delete', namespace]);
    },
  };
}
