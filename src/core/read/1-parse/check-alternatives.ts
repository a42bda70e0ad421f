import { quote } from '#core/diagnostics/quote.ts';
import type { Path } from '#core/read/yaml/node-positions.ts';
import { isMapping, unescapeKey, type YamlMapping, type YamlValue } from '#core/read/yaml/yaml-value.ts';
import type { IssueContext } from './explain-issues.ts';

/**
 * Checks what the schema of keys cannot express: a management rule has exactly one of `source` and `destination`, an address group
 * at least one of `addresses` and `file`, an assertion exactly one of `allow` and `deny`, and its traffic a remote. Runs
 * on any value, so that these are reported together with everything else.
 */
export function checkAlternatives({ value, positions, report }: IssueContext): void {
  if (!isMapping(value)) return;
  const lacks = (mapping: YamlMapping, keys: readonly string[]): boolean => !keys.some((key) => key in mapping);
  const { platform, addressGroups, assert } = value;
  const checkRemote = (path: Path, rule: YamlMapping, what: string): void => {
    if (lacks(rule, ['source', 'destination'])) {
      report({
        code: 'missing-key',
        span: positions.spanOf(path),
        message: `missing key \`source\` or \`destination\` in ${what}`,
        help: 'write `source` for inbound traffic, `destination` for outbound traffic',
      });
    } else if ('source' in rule && 'destination' in rule) {
      report({
        code: 'wrong-remote-key',
        span: positions.keySpanOf([...path, 'destination']),
        message: `\`source\` and \`destination\` in ${what.replace(/^an? /, 'one ')}`,
        help: 'write one for each: `source` is inbound, `destination` outbound',
        related: [{ span: positions.keySpanOf([...path, 'source']), message: 'this makes it inbound' }],
      });
    }
  };
  const rules = isMapping(platform) ? entriesOf(platform['management']) : [];
  for (const [index, rule] of rules) checkRemote(['platform', 'management', index], rule, 'a management rule');
  for (const [index, assertion] of entriesOf(assert)) {
    const path = ['assert', index];
    if (lacks(assertion, ['allow', 'deny'])) {
      report({
        code: 'missing-key',
        span: positions.spanOf(path),
        message: 'missing key `allow` or `deny` in an assertion',
        help: 'write `deny` for what must never be allowed, `allow` for what must always be',
      });
    } else if ('allow' in assertion && 'deny' in assertion) {
      report({
        code: 'bad-value',
        span: positions.keySpanOf([...path, 'deny']),
        message: '`allow` and `deny` in one assertion',
        help: 'write an assertion for each',
        related: [{ span: positions.keySpanOf([...path, 'allow']), message: 'the other one' }],
      });
    }
    for (const word of ['allow', 'deny']) {
      const traffic = assertion[word];
      if (isMapping(traffic)) checkRemote([...path, word], traffic, 'asserted traffic');
    }
  }
  for (const [name, group] of namedEntriesOf(addressGroups)) {
    if (!lacks(group, ['addresses', 'file'])) continue;
    report({
      code: 'missing-key',
      span: positions.keySpanOf(['addressGroups', unescapeKey(name)]),
      message: `missing key \`addresses\` or \`file\` in the address group ${quote(unescapeKey(name))}`,
      help: 'write `addresses: []` for a group that matches nothing',
    });
  }
}

function entriesOf(value: YamlValue | undefined): (readonly [number, YamlMapping])[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly YamlValue[]).flatMap((entry, index) => (isMapping(entry) ? [[index, entry] as const] : []));
}

function namedEntriesOf(value: YamlValue | undefined): (readonly [string, YamlMapping])[] {
  if (!isMapping(value)) return [];
  return Object.entries(value).flatMap(([name, body]) => {
    const entry = body === null ? {} : body;
    return isMapping(entry) ? [[name, entry] as const] : [];
  });
}
