import type { core } from 'zod';
import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import type { NodePositions, Path } from '#core/read/yaml/node-positions.ts';
import { isMapping, REPORTED, unescapeKey, type YamlMapping, type YamlValue } from '#core/read/yaml/yaml-value.ts';
import { describeValue, typeHelp } from './describe-value.ts';
import { innermost } from './innermost-issues.ts';
import { meantKey } from './meant-keys.ts';
import { wordHelp } from './meant-words.ts';
import { isName, mappingAt, mappingsWith } from './policy-mappings.ts';

/** What explaining needs besides the issues. */
export interface IssueContext {
  /** The value the schema was given, with escaped keys. */
  readonly value: YamlValue;
  readonly positions: NodePositions;
  readonly report: Report;
}

type Issue = core.$ZodIssue;

/** What to write where a key is missing. */
const MISSING_HELP: Readonly<Record<string, string>> = {
  version: 'begin the file with `version: 1`',
  source: 'write `source: any` for every address',
  destination: 'write `destination: any` for every address',
  securityGroups: 'write `securityGroups: []` to deny everything but platform traffic',
  type: 'a code needs a type',
};

/** Turns the schema's issues into findings: one per mistake, at its exact place, in the words of the policy format. */
export function explainIssues(issues: readonly Issue[], context: IssueContext): void {
  for (const issue of issues) explain(issue, context);
}

function explain(issue: Issue, context: IssueContext): void {
  const path = issue.path as Path;
  const found = valueAt(context.value, path);
  if (found === REPORTED) return;
  if (isRemote(path) && isMapping(found)) {
    explainRemote(path, found, context);
    return;
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) explainUnknownKey(path, unescapeKey(key), context);
      return;
    case 'invalid_union':
      if (found === undefined) explainMissing(path, context);
      else explainUnion(issue, found, context);
      return;
    case 'invalid_value':
      if (typeof found === 'string' && issue.values.some((value) => typeof value === 'string'))
        explainWord(issue, found, context);
      else explainType(issue, found, context);
      return;
    case 'too_small':
      context.report({
        code: 'bad-value',
        span: context.positions.spanOf(placeOf(path)),
        message: 'an empty list',
        help: `leave ${quote(String(path.at(-1)))} out to mean all`,
      });
      return;
    default:
      explainType(issue, found, context);
  }
}

/** Reports a key that is unlike any known key, or whose correct spelling is present too. */
function explainUnknownKey(path: Path, key: string, { positions, report }: IssueContext): void {
  const { what, keys } = mappingAt(path);
  const span = positions.keySpanOf([...placeOf(path), key]);
  const right = rightRemoteKey(what, key);
  if (right !== undefined) {
    report({
      code: 'wrong-remote-key',
      span,
      message: `${quote(key)} in ${what}`,
      help: `${right === 'source' ? 'inbound' : 'outbound'} rules say \`${right}\``,
    });
    return;
  }
  const meant = meantKey(key, { what, keys });
  report({
    code: 'unknown-key',
    span,
    message: `unknown key ${quote(key)} in ${what}`,
    help: meant?.help ?? unknownKeyHelp(key, what, keys),
  });
}

/** The remote's key in a rule where `key`, that of the other direction, is wrong. */
function rightRemoteKey(what: string, key: string): 'source' | 'destination' | undefined {
  if (what === 'an inbound rule' && key === 'destination') return 'source';
  if (what === 'an outbound rule' && key === 'source') return 'destination';
  return undefined;
}

/** A key that is indented one level too little, and so stands among names. */
function keyAmongNames(path: Path): { readonly key: string; readonly what: string } | undefined {
  const key = path.at(-1);
  const { what, keys } = mappingAt(path);
  return typeof key === 'string' && isName(path) && keys.includes(key) ? { key, what } : undefined;
}

function unknownKeyHelp(key: string, what: string, keys: readonly string[]): string {
  const owners = mappingsWith(key);
  if (owners.length > 0) return `it is a key of ${owners.join(' and of ')}: is the line indented as it should be?`;
  if (key === '<<') return 'merge keys are not part of YAML 1.2';
  if (key.startsWith('//')) return 'a comment begins with `#`, and JSON has none';
  if (what === 'a security group' && /^rules?$/i.test(key)) return 'write its rules under `inbound` or `outbound`';
  return `the keys of ${what} are ${keys.map((known) => `\`${known}\``).join(', ')}`;
}

function explainMissing(path: Path, { positions, report }: IssueContext): void {
  const parent = path.slice(0, -1);
  const key = String(path.at(-1));
  report({
    code: 'missing-key',
    span: positions.keySpanOf(placeOf(parent)),
    message: `missing key \`${key}\` in ${mappingAt(parent).what}`,
    help: MISSING_HELP[key],
  });
}

function explainUnion(issue: core.$ZodIssueInvalidUnion, found: YamlValue, context: IssueContext): void {
  const inside = innermost(issue);
  if (inside[0] === issue) explainType(issue, found, context);
  else explainIssues(inside, context);
}

function explainRemote(path: Path, found: YamlMapping, context: IssueContext): void {
  const { positions, report } = context;
  const { keys } = mappingAt(path);
  const unknown = Object.keys(found).filter((key) => !keys.includes(key));
  for (const key of unknown) explainUnknownKey(path, unescapeKey(key), context);
  const known = keys.filter((key) => key in found);
  for (const key of known) {
    const name = found[key];
    if (name === undefined || name === REPORTED || typeof name === 'string') continue;
    const expected = key === 'securityGroup' ? 'the name of a security group' : 'the name of an address group';
    reportType([...path, key], expected, name, context);
  }
  if (known.length === 1 || unknown.length > 0) return;
  const empty = known.length === 0;
  report({
    code: empty ? 'missing-key' : 'bad-value',
    span: positions.spanOf(placeOf(path)),
    message: empty ? 'a remote that names no group' : 'a remote that names two groups',
    help: empty ? 'write `any` for every address' : 'write a rule for each',
  });
}

function explainWord(issue: core.$ZodIssueInvalidValue, found: string, { positions, report }: IssueContext): void {
  const words = issue.values.filter((word) => typeof word === 'string');
  report({
    code: 'bad-value',
    span: positions.spanOf(placeOf(issue.path as Path)),
    message: `expected ${issue.message}, found ${quote(found)}`,
    help: wordHelp(found, words),
  });
}

function explainType(issue: Issue, found: YamlValue | undefined, context: IssueContext): void {
  const path = issue.path as Path;
  if (found === undefined) explainMissing(path, context);
  else reportType(path, issue.message, found, context);
}

function reportType(path: Path, expected: string, found: YamlValue, { positions, report }: IssueContext): void {
  const outside = keyAmongNames(path);
  if (outside !== undefined) {
    report({
      code: 'wrong-type',
      span: positions.keySpanOf(placeOf(path)),
      message: `\`${outside.key}\` stands where the name of ${outside.what} is expected`,
      help: `it is a key of ${outside.what}: indent it and the lines below it like the other keys of the entry above`,
    });
    return;
  }
  report({
    code: 'wrong-type',
    span: positions.spanOf(placeOf(path)),
    message: `expected ${expected}, found ${describeValue(found)}`,
    help: typeHelp(expected, found),
  });
}

/** Whether a path is that of a rule's remote. */
function isRemote(path: Path): boolean {
  return mappingAt(path).what === 'a remote';
}

function valueAt(root: YamlValue, path: Path): YamlValue | undefined {
  let value: YamlValue | undefined = root;
  for (const at of path) {
    if (Array.isArray(value)) value = (value as readonly YamlValue[])[Number(at)];
    else if (isMapping(value)) value = value[at];
    else return undefined;
  }
  return value;
}

/** The path as the document has it. */
function placeOf(path: Path): Path {
  return path.map((at) => (typeof at === 'string' ? unescapeKey(at) : at));
}
