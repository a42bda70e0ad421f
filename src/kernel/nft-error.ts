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
