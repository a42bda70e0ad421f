import { z } from 'zod';
import { LINT_CODES, type LintCode } from '#core/diagnostics/lint-codes.ts';
import { mapping } from './schema-parts.ts';

const lintCodes = Object.keys(LINT_CODES) as LintCode[];
const reasonFor = (code: LintCode) =>
  z
    .string({ error: 'the reason, as text' })
    .optional()
    .describe(`Why this need not hold here: ${LINT_CODES[code].requirement}`);

/** Findings of `sgctl lint` to accept, and the reasons. */
export const lintSchema = mapping(
  Object.fromEntries(lintCodes.map((code) => [code, reasonFor(code)])) as Record<
    LintCode,
    ReturnType<typeof reasonFor>
  >,
  {
    title: '`lint`',
    expected: 'findings of `sgctl lint` and why each is meant',
    id: 'lint',
    description:
      'Findings of `sgctl lint` to accept: each code with the reason, as `{ world-open: the bastion is public }`.',
  },
);
