import type { core, ZodType } from 'zod';
import type { Path } from './node-positions.ts';
import { isMapping, type PlainMapping, type PlainValue } from './plain-value.ts';

/** Taking a mistake out can bring another to light; a document that is still wrong after so many rounds is given up. */
const MOST_ROUNDS = 4;

/** What stands in for a missing or mistaken value whose absence would be another mistake; it is never enforced. */
const STAND_INS: Readonly<Record<string, PlainValue>> = {
  version: 1,
  source: 'any',
  destination: 'any',
  securityGroups: [],
  type: 0,
};

/** What stands in for a rule that is none, by the list it is in. */
const STAND_IN_RULES: Readonly<Record<string, PlainMapping>> = {
  inbound: { source: 'any' },
  outbound: { destination: 'any' },
  management: { source: 'any' },
};

/** Sections whose entries others refer to by name. */
const NAMED_SECTIONS: readonly (string | number)[] = ['addressGroups', 'securityGroups', 'instances'];

/**
 * What `schema` accepts of a value that has the mistakes `issues`: mistaken keys are left out, mistaken rules replaced.
 * It serves to find mistakes of meaning in the same go and must never be enforced. Undefined where what is left would
 * make mistakes appear that are not there, because names went with it.
 */
export function salvage<Output>(
  value: PlainValue,
  issues: readonly core.$ZodIssue[],
  schema: ZodType<Output>,
): Output | undefined {
  let rest: PlainValue = value;
  let wrong = issues;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    for (const issue of wrong) {
      const places = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      for (const place of places as Path[]) {
        if (losesNames(place, issue.code)) return undefined;
        rest = without(rest, place);
      }
    }
    const result = schema.safeParse(rest);
    if (result.success) return result.data;
    wrong = result.error.issues;
  }
  return undefined;
}

/** Whether names that others refer to would go with what is at `place`: a whole section, mistaken or mistyped. */
function losesNames([section, ...below]: Path, code: core.$ZodIssue['code']): boolean {
  if (section === undefined) return true;
  return below.length === 0 && (code === 'unrecognized_keys' || NAMED_SECTIONS.includes(section));
}

/** `value` with what is at `path` taken out, or replaced where it cannot be missing. */
function without(value: PlainValue, path: Path, list = ''): PlainValue {
  const [key, ...below] = path;
  // The body of a named thing stays, empty, so that its name is still known.
  if (below.length === 1 && NAMED_SECTIONS.includes(key ?? '') && isMapping(value)) {
    const section = value[String(key)];
    return isMapping(section) ? withKey(value, String(key), withKey(section, String(below[0]), {})) : value;
  }
  if (key === undefined) return value;
  if (Array.isArray(value)) {
    const entries = value as readonly PlainValue[];
    const entry = entries[Number(key)];
    if (entry === undefined) return value;
    return entries.with(Number(key), below.length === 0 ? (STAND_IN_RULES[list] ?? entry) : without(entry, below));
  }
  if (!isMapping(value)) return value;
  const body = value[key];
  if (below.length > 0 && (Array.isArray(body) || isMapping(body)))
    return withKey(value, String(key), without(body, below, String(key)));
  const standIn = STAND_INS[String(key)];
  if (standIn !== undefined) return withKey(value, String(key), standIn);
  return Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)),
  ) as PlainMapping;
}

function withKey(value: PlainMapping, key: string, body: PlainValue): PlainMapping {
  return Object.assign(Object.create(null), value, { [key]: body }) as PlainMapping;
}
