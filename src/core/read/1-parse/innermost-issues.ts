import type { core } from 'zod';

type Issue = core.$ZodIssue;

/**
 * What a finding comes down to. Of a value that may be of several kinds, the alternative for its kind knows what is wrong
 * inside it; where none is for its kind, the finding stays as it is.
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
