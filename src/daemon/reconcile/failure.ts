import type { Span } from '#core/model/policy/span.ts';
import { NftError } from '#kernel/errors.ts';

/** Why something was not done. */
export interface Failure {
  readonly message: string;
  /** Where in the policy what the kernel refused comes from. */
  readonly span: Span | undefined;
  /** Whether the kernel refused it and changed nothing. */
  readonly isRefusal: boolean;
  readonly error: unknown;
}

/** What an error says of a failure. */
export function toFailure(error: unknown): Failure {
  const isNft = error instanceof NftError;
  return {
    message: error instanceof Error ? error.message : String(error),
    span: isNft ? error.span : undefined,
    isRefusal: isNft && error.failure === 'refused',
    error,
  };
}
