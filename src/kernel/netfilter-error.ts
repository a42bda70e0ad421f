import { getSystemErrorMap } from 'node:util';
import { NftError, type NftFailure } from './nft-error.ts';

/** The kernel's failure to do what a netfilter socket asked of it; after `refused` nothing of the batch was done. */
export class NetfilterError extends NftError {
  override readonly name = 'NetfilterError';
  /** The error's name, as `ENOENT`; undefined where the kernel gave none. */
  readonly errno: string | undefined;
  /** Which message of the batch was refused, from 0; undefined where it was none of them. */
  readonly index: number | undefined;

  constructor(
    failure: NftFailure,
    message: string,
    { errno, index, cause }: { errno?: string | undefined; index?: number | undefined; cause?: unknown } = {},
  ) {
    super(failure, message, { cause });
    this.errno = errno;
    this.index = index;
  }
}

/** What the kernel's answer `errno`, a negative number, to a message means. */
export function refusalOf(errno: number, index: number | undefined): NetfilterError {
  const [name, words] = getSystemErrorMap().get(errno) ?? [String(errno), 'unknown error'];
  if (name === 'EPERM') {
    return new NetfilterError('not-permitted', `${words}: CAP_NET_ADMIN (root) is needed`, { errno: name });
  }
  return new NetfilterError('refused', `the kernel refused: ${words} (${name})`, { errno: name, index });
}
