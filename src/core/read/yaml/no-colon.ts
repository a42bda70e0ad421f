import { quote } from '#core/diagnostics/quote.ts';
import type { YamlCause, YamlLine } from './yaml-lines.ts';

/** The mistake of a line of a mapping that has no `key:`, such as `key:value`, `key = value` or a comment without `#`. */
export function noColon(line: YamlLine, column: number, rest: string): YamlCause {
  const tight = /^([\w-]+):(\S.*)$/.exec(rest);
  const start = line.start + column;
  const comment = /^(?:\/\/|;|--|\/\*|REM\b)\s*/.exec(rest);
  if (comment !== null) {
    return {
      start,
      end: line.end,
      message: `${quote(rest)} is not \`key: value\``,
      help: `a comment begins with \`#\`: write ${quote(`# ${rest.slice(comment[0].length)}`)}`,
      edits: [{ start, end: line.end, insert: '#' }],
    };
  }
  return {
    start,
    end: line.end,
    message: tight === null ? `${quote(rest)} is not \`key: value\`` : `no space follows the colon in ${quote(rest)}`,
    help:
      tight === null
        ? 'a key is followed by a colon and a space: is the colon missing?'
        : `write ${quote(`${tight[1]}: ${tight[2]}`)}`,
    edits: [{ start, end: line.end, insert: withColon(rest) }],
  };
}

function withColon(text: string): string {
  const parts = /^([\w-]+)(?::|\s*=\s*|\s+)(\S.*)$/.exec(text);
  if (parts !== null) return `${parts[1]}: ${parts[2]}`;
  return /^[\w-]+$/.test(text) ? `${text}:` : '#';
}
