import { execa } from 'execa';

const TIMEOUT_MILLISECONDS = 5_000;

/** The number of a user group of this host; undefined if there is none of this name, or if that is unknown. */
export async function groupId(name: string): Promise<number | undefined> {
  const { stdout, failed } = await execa('getent', ['group', name], { reject: false, timeout: TIMEOUT_MILLISECONDS });
  const id = failed ? undefined : /^[^:]*:[^:]*:([0-9]+):/.exec(stdout)?.[1];
  return id === undefined ? undefined : Number(id);
}
