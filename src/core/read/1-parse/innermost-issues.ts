import type { core } from 'zod';

type Issue = core.$ZodIssue;

/**
 * The issues behind an issue of a union: those of the alternative that fits the value's kind. If none fits, the issue
 * itself.
 */
export function innermost(issue: Issue): readonly Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const inside = issue.errors.find((issues) => !issues.some(isAboutKind));
  if (inside === undefined) return [issue];
  return inside.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }));
}

function isAboutKind({ code, path }: Issue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value' || code === 'invalid_union');
}
