import { execa } from 'execa';

/** The numbers of a user and of the user's primary group. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

const TIMEOUT_MILLISECONDS = 5_000;

/** The numbers of a user of this host, by name or number; undefined if there is none, or if that is unknown. */
export async function userIds(user: string | number): Promise<UserIds | undefined> {
  const { stdout, failed } = await execa('getent', ['passwd', String(user)], {
    reject: false,
    timeout: TIMEOUT_MILLISECONDS,
  });
  const [, uid, gid] = (failed ? null : /^[^:]*:[^:]*:([0-9]+):([0-9]+):/.exec(stdout)) ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
