import { didYouMean } from '../diagnostics/did-you-mean.ts';
import { quote } from '../diagnostics/quote.ts';
import { isMapping, type PlainValue } from './plain-value.ts';

/** A value in words, for "found ...". */
export function describeValue(value: PlainValue): string {
  if (value === null) return 'an empty value';
  if (isMapping(value)) return 'a mapping';
  switch (typeof value) {
    case 'string':
      return `the text ${quote(value)}`;
    case 'number':
      return `the number \`${value}\``;
    case 'boolean':
      return `\`${value}\``;
    default:
      return 'a list';
  }
}

/** What YAML 1.1 took for booleans and YAML 1.2 takes for text. */
const OLD_BOOLEANS: Readonly<Record<string, boolean>> = {
  yes: true,
  on: true,
  y: true,
  no: false,
  off: false,
  n: false,
};

/** What to write instead, where that can be told from what was expected and what was found. */
export function typeHelp(expected: string, found: PlainValue): string | undefined {
  if (found === null) {
    return expected === 'a list of security groups'
      ? 'write `[]` for none'
      : 'an empty value never means any: write what is meant';
  }
  if (expected.endsWith('`1`') && found === '1') return 'leave the quotes out: `version: 1`';
  if (expected.endsWith('`1`')) return 'this program reads version 1 of the policy format';
  switch (typeof found) {
    case 'string':
      return textHelp(expected, found);
    case 'number':
    case 'boolean':
      return /^(?:text|the name|an address)/.test(expected) ? `put it in quotes: \`"${found}"\`` : undefined;
    default:
      if (isMapping(found)) return expected === 'a list of rules' ? 'begin each rule with `- `' : undefined;
      return /^an address.*`any`/.test(expected)
        ? 'a rule has one remote: write an address group, or a rule for each'
        : undefined;
  }
}

function textHelp(expected: string, found: string): string | undefined {
  if (expected === '`true` or `false`') {
    const word = found.toLowerCase();
    return Object.hasOwn(OLD_BOOLEANS, word) ? `write \`${OLD_BOOLEANS[word]}\`` : undefined;
  }
  if (expected.endsWith('`dynamic`') && didYouMean(found, ['dynamic']) !== undefined) return 'did you mean `dynamic`?';
  if (/^a list of (?:addresses|security groups)/.test(expected) && /^[\w.:/-]+$/.test(found))
    return `write ${quote(`[${found}]`)}`;
  return /^(?:0|[1-9][0-9]*)$/.test(found) && expected.startsWith('a number') ? 'leave the quotes out' : undefined;
}
