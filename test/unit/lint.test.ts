import { describe, expect, test } from 'vitest';
import { lintPolicy } from '#core/meaning/lint/lint-policy.ts';
import { policyOf } from '../netns/enforce.ts';

const tcp = (ports: string, source: string, more = ''): string =>
  `{ protocol: tcp, ports: "${ports}", source: ${source}${more} }`;

/** What is said of inbound rules, by their places. \`far\` has members whose addresses nobody tells. */
async function said(...rules: readonly string[]): Promise<readonly string[]> {
  const policy = await policyOf(`version: 1
securityGroups:
  web:
    inbound:
${rules.map((rule) => `      - ${rule}\n`).join('')}  far: {}
instances:
  a: { interfaces: { eth0: { addresses: [192.0.2.1], securityGroups: [web] } } }
  b: { interfaces: { eth0: { securityGroups: [far] } } }
`);
  return lintPolicy(policy).findings.flatMap(({ code, subject }) =>
    subject.kind === 'rule' ? [`${code} ${subject.origin.index}`] : [],
  );
}

describe('the advice about rules', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    [
      'one that another would stand in for, which stays',
      [tcp('80-90', '10.0.0.0/8'), tcp('85-95', '10.0.0.0/8'), tcp('80-84', '10.0.0.0/7'), tcp('91-95', '10.0.0.0/7')],
      // Without the first two, 85-90 would be denied.
      ['redundant-rule 0'],
    ],
    [
      'one that members whom nobody knows may stand in for, or a denial',
      [
        tcp('80', '10.0.0.0/8', ', priority: 1'),
        tcp('80', '{ securityGroup: far }', ', priority: 2'),
        tcp('80', 'any', ', action: deny, priority: 3'),
      ],
      ['redundant-rule 2'],
    ],
    [
      'one that such members or everybody stand in for',
      [
        tcp('81', '10.0.0.0/8', ', priority: 1'),
        tcp('81', '{ securityGroup: far }', ', priority: 2'),
        tcp('81', 'any', ', priority: 3'),
      ],
      ['redundant-rule 0'],
    ],
    [
      'the second of two that say the same, and not the first as well',
      [tcp('80', '10.0.0.0/8'), tcp('80', '10.0.0.0/8')],
      ['duplicate-rule 1'],
    ],
    [
      'one behind such members, which may be nobody of those it is about',
      [tcp('80', '{ securityGroup: far }', ', priority: 1, action: deny'), tcp('80', '10.0.0.0/8', ', priority: 2')],
      [],
    ],
  ])('%s', async (_, rules, findings) => {
    expect(await said(...rules)).toEqual(findings);
  });
});
