import type { Span } from '#core/model/policy/span.ts';

/** One line of an nft script and the place in the policy that it comes from, if there is one. */
export interface ScriptLine {
  readonly text: string;
  readonly span: Span | undefined;
}

/** Lines for `nft -f`: one transaction, applied as a whole or not at all. */
export type Script = readonly ScriptLine[];

/** The script's text, each line ended. */
export function scriptText(script: Script): string {
  return script.map(({ text }) => `${text}\n`).join('');
}
