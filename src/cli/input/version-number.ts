import { UsageError } from '#cli/framework/command.ts';

/** Reads the number of a version; undefined if none is given. Throws a UsageError for anything else. */
export function readVersion(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,8}$/.test(text) || Number(text) === 0)
    throw new UsageError(`\`${text}\` is no version: give a number that \`sgctl history\` lists`);
  return Number(text);
}
