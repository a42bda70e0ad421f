import type { Report } from '#core/diagnostics/report.ts';
import type { SourceFile } from '#core/diagnostics/source-file.ts';
import { checkLength } from './check-text.ts';
import { readFast } from './fast-reader.ts';
import { readWithLibrary } from './library-reader.ts';
import { type NodePositions, nodePositions } from './node-positions.ts';
import { textPositions } from './text-positions.ts';
import type { YamlValue } from './yaml-value.ts';

/** The values of a YAML document, and where they stand in the file. */
export interface YamlDocument {
  /** Null for a document without content. */
  readonly value: YamlValue;
  readonly positions: NodePositions;
  /** Keys that one mapping has twice; `value` lacks what stands under the second. */
  readonly duplicates: ReadonlySet<string>;
  /** Of a document with mistakes of YAML, which are reported: how far the rest can be trusted. */
  readonly mistakes?: YamlMistakes | undefined;
}

/** What the mistakes of YAML in a document leave unclear. */
export interface YamlMistakes {
  /** The lines that have one: any other finding on them is unsure. */
  readonly unsureLines: ReadonlySet<number>;
  /** Whether names may be missing that the author meant to write. */
  readonly isPartial: boolean;
}

/**
 * Reads a file's one YAML document and reports every mistake of YAML. Despite mistakes, returns what can be read where
 * their intent is clear, and undefined where it is not.
 */
export function readYaml(source: SourceFile, report: Report): YamlDocument | undefined {
  if (!checkLength(source, report)) return undefined;
  const { file } = source;
  const text = source.text.startsWith('\u{feff}') ? source.text.slice(1) : source.text;
  const spanAt = textPositions({ file, text });
  const sound = readFast(text);
  if (sound !== undefined)
    return { value: sound.value, positions: nodePositions(sound.marks, spanAt), duplicates: new Set() };
  const read = readWithLibrary(text, spanAt, report);
  if (read === undefined) return undefined;
  const { value, marks, duplicates, mended } = read;
  return { value, positions: nodePositions(marks, mended?.spanAt ?? spanAt), duplicates, mistakes: mended };
}
