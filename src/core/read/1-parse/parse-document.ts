import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { limitDiagnostics } from '#core/diagnostics/limit-diagnostics.ts';
import { type Report, reportTo } from '#core/diagnostics/report.ts';
import type { SourceFile } from '#core/diagnostics/source-file.ts';
import { comparePlaces, type Span } from '#core/model/policy/span.ts';
import type { Path } from '#core/read/yaml/node-positions.ts';
import { readYaml } from '#core/read/yaml/read-yaml.ts';
import { fileStart } from '#core/read/yaml/text-positions.ts';
import { checkAlternatives } from './check-alternatives.ts';
import { dropInSchema, type PolicyInput, policySchema } from './policy-schema.ts';
import { readMistaken, validate } from './read-mistaken.ts';
import { NAMED_SECTIONS, type NamedSection } from './salvage.ts';

/** `main` is the policy file, which must not be empty and has a version; a `drop-in` may leave everything out. */
export type DocumentKind = 'main' | 'drop-in';

/** One file of a policy: its content, checked for shape alone, and where everything stands. */
export interface PolicyDocument {
  readonly source: SourceFile;
  readonly kind: DocumentKind;
  readonly input: PolicyInput;
  /** The span of the value at a path, or of its nearest existing ancestor. The cost grows with the path's length. */
  readonly spanOf: (path: Path) => Span;
  /** The span of the key at the path's end; in a list, of the entry. */
  readonly keySpanOf: (path: Path) => Span;
  /** Of a document with mistakes, the sections that may lack names. */
  readonly lost?: ReadonlySet<NamedSection> | undefined;
  /** Of a document with mistakes of YAML, the lines on which any other finding is unsure. */
  readonly unsure?: ReadonlySet<number> | undefined;
}

/** A document, unless a diagnostic is an error; the diagnostics stand in the order of their places. */
export interface ParsedDocument {
  readonly document: PolicyDocument | undefined;
  /** The sound part of a document with mistakes, to find its mistakes of meaning in the same run; never enforced. */
  readonly remains: PolicyDocument | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads one policy file. Reports all mistakes of YAML at once; in well-formed YAML, all mistakes of keys and types at once. */
export function parseDocument(source: SourceFile, kind: DocumentKind): ParsedDocument {
  const diagnostics: Diagnostic[] = [];
  const { document, remains } = read(source, kind, reportTo(diagnostics));
  const sound = !diagnostics.some(({ severity }) => severity === 'error');
  // INVARIANT: a document has no errors, and every rejection is reported.
  if (sound && document === undefined) throw new Error('the parser refused a document and reported nothing');
  const found = inOrder(diagnostics);
  return sound
    ? { document, remains: undefined, diagnostics: found }
    : { document: undefined, remains: remains ?? document, diagnostics: limitDiagnostics(found) };
}

interface Read {
  readonly document?: PolicyDocument | undefined;
  readonly remains?: PolicyDocument | undefined;
}

function read(source: SourceFile, kind: DocumentKind, add: Report): Read {
  const yaml = readYaml(source, add);
  if (yaml === undefined) return {};
  const { value, positions, duplicates, mistakes } = yaml;
  const { spanOf, keySpanOf } = positions;
  const report: Report = (finding) => {
    if (mistakes?.unsureLines.has(finding.span.line) !== true) add(finding);
  };
  // A file with nothing but mistakes is not reported as empty too.
  if (value === null && mistakes !== undefined) return {};
  if (value === null) {
    if (kind === 'drop-in') return { document: { source, kind, input: {}, spanOf, keySpanOf } };
    report({
      code: 'empty-file',
      span: fileStart(source.file),
      message: source.text.trim() === '' ? 'the file is empty' : 'the file has no content',
      help: 'a policy begins with `version: 1`',
    });
    return {};
  }
  const schema = kind === 'main' ? policySchema : dropInSchema;
  const lost = NAMED_SECTIONS.filter((section) => mistakes?.isPartial === true || duplicates.has(section));
  const unsure = mistakes?.unsureLines;
  const outcome = validate(schema, value);
  const { result, isCut } = outcome;
  if (result.success && !isCut) {
    checkAlternatives({ value, positions, report });
    const document = { source, kind, input: result.data, spanOf, keySpanOf, unsure };
    const found = lost.length === 0 ? document : { ...document, lost: new Set(lost) };
    // INVARIANT: a mended text is searched for more mistakes and never enforced.
    return mistakes === undefined ? { document: found } : { remains: found };
  }
  const mistaken = readMistaken({ value, outcome, positions, schema, report });
  if (mistaken === undefined) return {};
  return { remains: { source, kind, ...mistaken, unsure, lost: new Set([...lost, ...mistaken.lost]) } };
}

/** By place, and each once: the mistakes of an alias's target are found at each of its uses. */
function inOrder(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const sorted = diagnostics.toSorted((a, b) => comparePlaces(a.span, b.span));
  const distinct = new Map<string, Diagnostic>();
  for (const diagnostic of sorted) {
    const { code, message, span } = diagnostic;
    const identity = `${span.line}:${span.column}:${code}:${message}`;
    if (!distinct.has(identity)) distinct.set(identity, diagnostic);
  }
  return [...distinct.values()];
}
