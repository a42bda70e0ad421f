import type { LintFinding } from '#core/meaning/lint/finding.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';

/** From so many findings on that differ in the rule alone, the first is shown for all. */
const MIN_ALIKE = 6;

/** So many more rules are named with it. */
const MAX_NAMED = 4;

/**
 * Findings as people read them: those that say the same of many rules are one, which stands where the first of them
 * does, says how many there are, and names the next few.
 */
export function joinAlike(findings: readonly LintFinding[]): readonly LintFinding[] {
  const alike = new Map<string, LintFinding[]>();
  for (const finding of findings) {
    const key = textWithoutRule(finding);
    const own = alike.get(key) ?? [];
    alike.set(key, own);
    own.push(finding);
  }
  const joined = new Set<LintFinding>();
  return findings.flatMap((finding) => {
    const own = alike.get(textWithoutRule(finding)) ?? [];
    if (own.length < MIN_ALIKE) return [finding];
    if (own[0] !== finding || joined.has(finding)) return [];
    joined.add(finding);
    return [findingOfMany(own)];
  });
}

function textWithoutRule({ code, subject, message, help }: LintFinding): string {
  const text = `${code} ${message} ${help}`;
  return subject.kind === 'rule'
    ? `rule ${text.replaceAll(formatRuleName(subject.origin), '')}`
    : `${subject.kind} ${text}`;
}

function findingOfMany(own: readonly LintFinding[]): LintFinding {
  const [first, ...others] = own;
  if (first === undefined) throw new Error('findings that are alike are at least one');
  const named = others.slice(0, MAX_NAMED).map(({ span, subject }) => ({
    span,
    message: `${subject.kind === 'rule' ? `\`${formatRuleName(subject.origin)}\`` : 'this'} has the same finding`,
  }));
  return {
    ...first,
    message: `${first.message}; ${others.length} more rules have the same finding`,
    help: `${first.help}; --all shows each`,
    related: [...first.related.slice(0, 1), ...named],
  };
}
