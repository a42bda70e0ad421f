import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { quote } from '#core/diagnostics/quote.ts';
import { isMapping, type YamlMapping, type YamlValue } from '#core/read/yaml/yaml-value.ts';
import { EXPECTED_PROTOCOL } from './protocol-forms.ts';

/** A value in words, for "found ...". */
export function describeValue(value: YamlValue): string {
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

/** Booleans of YAML 1.1 that are text in YAML 1.2. */
const OLD_BOOLEANS: Readonly<Record<string, boolean>> = {
  yes: true,
  on: true,
  y: true,
  no: false,
  off: false,
  n: false,
};

/** The hint for a value of the wrong type, if what was expected and found suggests one. */
export function typeHelp(expected: string, found: YamlValue): string | undefined {
  if (found === null) {
    return expected === 'a list of security groups'
      ? 'write `[]` for none'
      : 'an empty value never means any: write the value';
  }
  if (expected.endsWith('`1`') && found === '1') return 'leave the quotes out: `version: 1`';
  if (expected.endsWith('`1`')) return 'this version reads version 1 of the policy format';
  switch (typeof found) {
    case 'string':
      return textHelp(expected, found);
    case 'number':
    case 'boolean':
      if (expected === '`ipv4` or `ipv6`' && (found === 4 || found === 6)) return `write \`ipv${found}\``;
      if (expected === '`allow` or `deny`' && typeof found === 'boolean')
        return `write \`${found ? 'allow' : 'deny'}\``;
      if (expected === '`true` or `false`' && (found === 0 || found === 1)) return `write \`${found === 1}\``;
      return /^(?:text|the name|an address)/.test(expected) ? `put it in quotes: \`"${found}"\`` : undefined;
    default:
      return isMapping(found) ? mappingHelp(expected, found) : listHelp(expected, found);
  }
}

const A_POLICY =
  'write keys and values: a policy begins with `version: 1`, then come `securityGroups:` and `instances:`';

function mappingHelp(expected: string, found: YamlMapping): string | undefined {
  if (expected === 'a list of rules') return 'begin each rule with `- `';
  if (!expected.startsWith('a port')) return undefined;
  const [from, to] = Object.values(found);
  return typeof from === 'number' && typeof to === 'number'
    ? `write \`${from}-${to}\``
    : 'a range is written `8000-8999`';
}

function listHelp(expected: string, found: YamlValue): string | undefined {
  if (expected === 'a mapping') return A_POLICY;
  if (expected === 'interfaces by name')
    return 'write each name as a key, with its groups: `eth0: { securityGroups: [NAME] }`';
  const entries = found as readonly YamlValue[];
  if (/^an address.*`any`/.test(expected)) {
    return entries.length === 2 && entries.includes('0.0.0.0/0') && entries.includes('::/0')
      ? 'write `any`: it is every address of both families'
      : 'a rule takes one source or destination: write a rule for each, or put them into an address group';
  }
  if (expected === EXPECTED_PROTOCOL)
    return 'a rule takes one protocol: write a rule for each, or `all` for every protocol';
  return undefined;
}

function textHelp(expected: string, found: string): string | undefined {
  if (expected === 'a mapping') return A_POLICY;
  if (expected === 'a number from 1 to 100' && !/^[0-9]+$/.test(found))
    return 'write a number: 1 comes first, 100 last';
  if (expected === '`true` or `false`') {
    const word = found.toLowerCase();
    if (word === 'true' || word === 'false') return `leave the quotes out: \`${word}\``;
    return Object.hasOwn(OLD_BOOLEANS, word) ? `write \`${OLD_BOOLEANS[word]}\`` : undefined;
  }
  if (expected.endsWith('`dynamic`') && didYouMean(found, ['dynamic']) !== undefined) return 'did you mean `dynamic`?';
  if (/^a list of (?:addresses|security groups)/.test(expected) && /^[\w.:/-]+(?: *, *[\w.:/-]+)*$/.test(found))
    return `write ${quote(`[${found}]`)}`;
  return /^(?:0|[1-9][0-9]*)$/.test(found) && expected.startsWith('a number') ? 'leave the quotes out' : undefined;
}
