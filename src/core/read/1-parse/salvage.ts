import type { core, ZodType } from 'zod';
import { PORT_WORDS } from '#core/model/policy/protocol-lookup.ts';
import type { Path } from '#core/read/yaml/node-positions.ts';
import { isMapping, Mapping, type YamlMapping, type YamlValue } from '#core/read/yaml/yaml-value.ts';
import { innermost } from './innermost-issues.ts';
import type { Origins } from './origins.ts';
import { mappingAt } from './policy-mappings.ts';

/** Removing a mistake can reveal another; after this many rounds a document that is still wrong is given up. */
const MAX_ROUNDS = 6;

/** Sections whose entries others refer to by name. */
export const NAMED_SECTIONS = ['addressGroups', 'securityGroups', 'instances'] as const;

/** A section whose entries others refer to by name. */
export type NamedSection = (typeof NAMED_SECTIONS)[number];

/** The sound part of a document with mistakes; it is never enforced. */
export interface Salvaged<Output> {
  readonly input: Output;
  /** The value that `input` was made from, for {@link Origins}. */
  readonly value: YamlValue;
  /** Sections that may have had more names. */
  readonly lost: ReadonlySet<NamedSection>;
}

/** A place that is wrong itself, or has wrong places below it. */
interface Wrong {
  isWrong: boolean;
  readonly below: Map<string | number, Wrong>;
}

/**
 * What `schema` accepts of a value that has the mistakes `issues`: wrong values are left out; where that would cause a
 * false mistake, a harmless value replaces them. The result serves to find mistakes of meaning in the same run and must
 * never be enforced.
 */
export function salvage<Output>(
  { value, issues, origins }: { value: YamlValue; issues: readonly core.$ZodIssue[]; origins: Origins },
  schema: ZodType<Output>,
): Salvaged<Output> | undefined {
  const lost = new Set<NamedSection>();
  let rest: YamlValue = value;
  let wrong = issues;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const root: Wrong = { isWrong: false, below: new Map() };
    for (const issue of wrong.flatMap((outer) => innermost(outer))) {
      const places = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      for (const place of places as Path[]) {
        if (place.length === 0) return undefined;
        if (place.length === 1) noteLost(place[0] ?? '', issue.code, lost);
        mark(root, place);
      }
    }
    rest = withoutWrong(rest, root, { path: [], origins });
    const result = schema.safeParse(rest);
    if (result.success) return { input: result.data, value: rest, lost };
    wrong = result.error.issues;
  }
  return undefined;
}

function noteLost(section: string | number, code: core.$ZodIssue['code'], lost: Set<NamedSection>): void {
  // An unknown section may have been meant as any of them.
  for (const named of NAMED_SECTIONS) if (section === named || code === 'unrecognized_keys') lost.add(named);
}

function mark(root: Wrong, place: Path): void {
  const path = wholeOf(place);
  let at = root;
  for (const key of path) {
    const next = at.below.get(key) ?? { isWrong: false, below: new Map<string | number, Wrong>() };
    at.below.set(key, next);
    at = next;
  }
  at.isWrong = true;
}

/** The place to remove together with `place`: an ICMP code has no meaning without its type, and a remote is one thing. */
function wholeOf(place: Path): Path {
  if (place.at(-1) === 'type' && place.at(-2) === 'icmp') return place.slice(0, -1);
  return mappingAt(place.slice(0, -1)).what === 'a remote' ? place.slice(0, -1) : place;
}

interface Place {
  readonly path: Path;
  readonly origins: Origins;
}

function withoutWrong(value: YamlValue, { below }: Wrong, { path, origins }: Place): YamlValue {
  if (below.size === 0) return value;
  if (Array.isArray(value)) {
    const before = value as readonly YamlValue[];
    const kept = [...before.keys()].filter((index) => below.get(index)?.isWrong !== true);
    const entries = kept.map((index) => {
      const wrong = below.get(index);
      const entry = before[index] as YamlValue;
      return wrong === undefined ? entry : withoutWrong(entry, wrong, { path: [...path, index], origins });
    });
    origins.note(entries, before, new Map(kept.map((from, index) => [index, from])));
    return entries;
  }
  if (!isMapping(value)) return value;
  const result = new Mapping();
  for (const key of new Set([...Object.keys(value), ...[...below.keys()].map(String)])) {
    const wrong = below.get(key);
    const body = value[key];
    const kept =
      wrong === undefined
        ? body
        : wrong.isWrong || body === undefined || body === null
          ? standIn([...path, key], value)
          : withoutWrong(body, wrong, { path: [...path, key], origins });
    if (kept !== undefined) result[key] = kept;
  }
  origins.note(result, value, new Map());
  return result;
}

/** The replacement of a value whose absence would be another mistake. */
function standIn(path: Path, { ports, icmp }: YamlMapping): YamlValue | undefined {
  const key = path.at(-1);
  // The body of a named thing stays, empty, so that its name is still known.
  if (path.length === 2 && isNamedSection(path[0])) return new Mapping();
  if (path.at(-2) === 'interfaces' && path.length === 4) return Object.assign(new Mapping(), { securityGroups: [] });
  if (path.length === 1) return key === 'version' ? 1 : undefined;
  switch (key) {
    case 'source':
    case 'destination':
      return 'any';
    case 'securityGroups':
      return [];
    case 'protocol':
      return ports !== undefined ? PORT_WORDS[0] : icmp !== undefined ? 'icmp' : undefined;
    default:
      return undefined;
  }
}

function isNamedSection(section: string | number | undefined): section is NamedSection {
  return NAMED_SECTIONS.some((named) => named === section);
}
