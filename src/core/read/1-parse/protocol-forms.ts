import { PROTOCOL_WORDS } from '#core/model/policy/protocol-lookup.ts';

/** What a protocol may be, for "expected ...". */
export const EXPECTED_PROTOCOL = `${PROTOCOL_WORDS.map((word) => `\`${word}\``).join(', ')} or a number`;
