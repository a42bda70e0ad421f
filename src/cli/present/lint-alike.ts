import type { LintFinding } from '#core/meaning/lint/finding.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';

/** From this many findings on that differ only in the rule, the first is shown for all. */
const MIN_ALIKE = 6;

/** How many more rules that one names. */
const MAX_NAMED = 4;

/**
 * Joins findings that are the same for many rules, for people: the first stands for all, with their number and the next
 * few rules.
 */
export function joinAlike(findings: readonly LintFinding[]): readonly LintFinding[] {
  const alike = new Map<string, LintFinding[]>();
  for (const finding of findings) {
    const key = textWithoutRule(finding);
    const same = alike.get(key) ?? [];
    alike.set(key, same);
    same.push(finding);
  }
  const joined = new Set<LintFinding>();
  return findings.flatMap((finding) => {
    const same = alike.get(textWithoutRule(finding)) ?? [];
    if (same.length < MIN_ALIKE) return [finding];
    if (same[0] !== finding || joined.has(finding)) return [];
    joined.add(finding);
    return [findingOfMany(same)];
  });
}

function textWithoutRule({ code, subject, message, help }: LintFinding): string {
  const text = `${code} ${message} ${help}`;
  return subject.kind === 'rule'
    ? `rule ${text.replaceAll(formatRuleName(subject.origin), '')}`
    : `${subject.kind} ${text}`;
}

function findingOfMany(same: readonly LintFinding[]): LintFinding {
  const [first, ...others] = same;
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
