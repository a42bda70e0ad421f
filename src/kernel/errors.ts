import { getSystemErrorMap } from 'node:util';
import type { Span } from '#core/model/policy/span.ts';

/**
 * Why nft did not do what it was told: it refused (nothing was changed), it may not, it is not there, it did not end
 * in time, or it died, in which two cases nobody knows what was changed and the table has to be read again.
 */
export type NftFailure = 'refused' | 'not-permitted' | 'missing' | 'timeout' | 'died';

/** nft's failure, in its words. */
export class NftError extends Error {
  override readonly name: string = 'NftError';
  readonly failure: NftFailure;
  /** The place in the policy that the refused line comes from, if it comes from one. */
  readonly span: Span | undefined;

  constructor(
    failure: NftFailure,
    message: string,
    { span, cause }: { span?: Span | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.failure = failure;
    this.span = span;
  }
}

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
