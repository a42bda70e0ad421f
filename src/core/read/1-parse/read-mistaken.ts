import type { Report } from '#core/diagnostics/report.ts';
import type { NodePositions } from '#core/read/yaml/node-positions.ts';
import type { YamlValue } from '#core/read/yaml/yaml-value.ts';
import { checkAlternatives } from './check-alternatives.ts';
import { explainIssues, type IssueContext } from './explain-issues.ts';
import { mendKeys } from './mend-keys.ts';
import { Origins } from './origins.ts';
import type { dropInSchema, PolicyInput, policySchema } from './policy-schema.ts';
import { type NamedSection, salvage } from './salvage.ts';

type Schema = typeof policySchema | typeof dropInSchema;

/** The result of checking a value by its schema. */
interface Outcome {
  readonly result: ReturnType<Schema['safeParse']>;
  /** Whether only the first items of the value's lists were checked. */
  readonly isCut: boolean;
}

/** A value that its schema rejects, and what is needed to explain why. */
export interface MistakenValue {
  readonly value: YamlValue;
  readonly outcome: Outcome;
  readonly positions: NodePositions;
  readonly schema: Schema;
  readonly report: Report;
}

/** The sound part of a document with mistakes, and where it stands in the file. */
export interface Mistaken extends NodePositions {
  readonly input: PolicyInput;
  readonly lost: ReadonlySet<NamedSection>;
}

/** Reports every mistake of keys and types, and returns what is left without them; undefined if nothing is. */
export function readMistaken({ value, outcome, positions, schema, report }: MistakenValue): Mistaken | undefined {
  const origins = new Origins();
  const positionsOf = (root: YamlValue): NodePositions => ({
    spanOf: (path) => positions.spanOf(origins.pathInFile(root, path)),
    keySpanOf: (path) => positions.keySpanOf(origins.pathInFile(root, path)),
  });
  const mended = outcome.isCut ? value : mendKeys(value, { positions, origins, report });
  const { result, isCut } = mended === value ? outcome : validate(schema, mended);
  const context: IssueContext = { value: mended, positions: positionsOf(mended), report };
  if (!result.success) explainIssues(result.error.issues, context);
  checkAlternatives(context);
  if (isCut) {
    const span = positions.spanOf([]);
    const beginning = { ...span, line: 1, column: 1, endLine: 1, endColumn: 1 };
    report({ code: 'too-many-errors', span: beginning, message: 'too many mistakes to count' });
    return undefined;
  }
  if (result.success) return { input: result.data, lost: new Set(), ...positionsOf(mended) };
  const salvaged = salvage<PolicyInput>({ value: mended, issues: result.error.issues, origins }, schema);
  if (salvaged === undefined) return undefined;
  return { input: salvaged.input, lost: salvaged.lost, ...positionsOf(salvaged.value) };
}

/** The items checked of each list in a document with too many mistakes to count. */
const MAX_ITEMS = 1_000;

/**
 * Checks a value by its schema; with `isCut`, only the first items of its lists: from some 100,000 mistakes on zod
 * overflows the stack.
 */
export function validate(schema: Schema, value: unknown): Outcome {
  try {
    return { result: schema.safeParse(value), isCut: false };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { result: schema.safeParse(firstItems(value)), isCut: true };
  }
}

function firstItems(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map(firstItems);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([key, item]) => [key, firstItems(item)]),
  );
}
