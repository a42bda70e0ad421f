import { getSystemErrorMap } from 'node:util';
import type { Span } from '#core/model/policy/span.ts';

/**
 * Why nft failed: it refused the script (nothing was changed), it lacks the permission, it is not installed, it did not
 * end in time, or it died. After the last two it is unknown what was changed, and the table must be read again.
 */
export type NftFailure = 'refused' | 'not-permitted' | 'missing' | 'timeout' | 'died';

/** A failure of nft, in its words. */
export class NftError extends Error {
  override readonly name: string = 'NftError';
  readonly failure: NftFailure;
  /** The place in the policy that the refused line was made from, if there is one. */
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

/** A failure of the kernel to do what a netfilter socket asked for; after `refused`, nothing of the batch was done. */
export class NetfilterError extends NftError {
  override readonly name = 'NetfilterError';
  /** The name of the error, such as `ENOENT`; undefined if the kernel gave none. */
  readonly errno: string | undefined;
  /** The index of the refused message in the batch; undefined if it was none of them. */
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

/** The error for the kernel's answer `errno`, a negative number, to a message. */
export function refusalOf(errno: number, index: number | undefined): NetfilterError {
  const [name, words] = getSystemErrorMap().get(errno) ?? [String(errno), 'unknown error'];
  if (name === 'EPERM') {
    return new NetfilterError('not-permitted', `${words}: CAP_NET_ADMIN (root) is needed`, { errno: name });
  }
  return new NetfilterError('refused', `the kernel refused: ${words} (${name})`, { errno: name, index });
}
