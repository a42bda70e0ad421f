import { expect, test } from 'vitest';
import { comparePolicies } from '#core/meaning/compare/compare-policies.ts';
import { formatInterval } from '#core/model/net/interval.ts';
import { hostPolicyOf } from '../netns/enforce.ts';

function policy(...inbound: readonly string[]): string {
  return `version: 1
addressGroups:
  some: { addresses: [192.0.2.1, 198.51.100.0/24] }
securityGroups:
  web:
    inbound:
${inbound.map((rule) => `      - ${rule}\n`).join('')}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

/** Each difference in a line: what becomes of it, by which ports or protocols, from whom. */
async function differences(before: readonly string[], after: readonly string[]): Promise<readonly string[]> {
  const [was, is] = await Promise.all([hostPolicyOf(policy(...before)), hostPolicyOf(policy(...after))]);
  return comparePolicies(was, is).map(({ before: one, after: other, traffic, remotes, family }) => {
    const classes =
      traffic === 'all'
        ? 'all'
        : traffic
            .map(
              ({ protocols, l4Values }) =>
                `${protocols[0]?.from}:${l4Values === undefined ? '*' : `${l4Values.from}-${l4Values.to}`}`,
            )
            .join();
    const from = remotes === 'any' ? `any ${family}` : remotes.map(formatInterval).join();
    return `${one.action}>${other.action} ${classes} ${from}`;
  });
}

const allow = (priority: number, source: string): string =>
  `{ priority: ${priority}, protocol: tcp, ports: 80, source: ${source} }`;
const deny = (priority: number, source: string): string =>
  `{ action: deny, priority: ${priority}, protocol: tcp, ports: 80, source: ${source} }`;

test.each([
  [
    'the order of two rules that overlap',
    [allow(1, '10.0.0.0/8'), deny(2, '10.1.0.0/16')],
    [deny(1, '10.1.0.0/16'), allow(2, '10.0.0.0/8')],
    ['allow>deny 6:80-80 10.1.0.0/16'],
  ],
  [
    'the order of two rules that do not',
    [allow(1, '10.0.0.0/16'), deny(2, '10.1.0.0/16')],
    [deny(1, '10.1.0.0/16'), allow(2, '10.0.0.0/16')],
    [],
  ],
  ['a rule in two halves', [allow(1, '10.0.0.0/8')], [allow(1, '10.0.0.0/9'), allow(2, '10.128.0.0/9')], []],
  ['a hole', [allow(1, '10.0.0.0/8')], [deny(1, '10.1.2.3'), allow(2, '10.0.0.0/8')], ['allow>deny 6:80-80 10.1.2.3']],
  ['a rule behind one for all', [allow(1, 'any')], [allow(1, 'any'), deny(2, '10.0.0.0/8')], []],
  [
    'another range of ports',
    ['{ protocol: tcp, ports: 80-90, source: 10.0.0.1 }'],
    ['{ protocol: tcp, ports: 85-95, source: 10.0.0.1 }'],
    ['allow>deny 6:80-84 10.0.0.1', 'deny>allow 6:91-95 10.0.0.1'],
  ],
  [
    'a group and what is in it',
    ['{ source: { addressGroup: some } }'],
    ['{ source: 192.0.2.1 }', '{ source: 198.51.100.0/25 }'],
    ['allow>deny all 198.51.100.128/25'],
  ],
  [
    'all traffic and TCP',
    ['{ source: 10.0.0.1 }'],
    ['{ protocol: tcp, source: 10.0.0.1 }'],
    ['allow>deny 0:* 10.0.0.1'],
  ],
  [
    'one ICMP type and all of its codes',
    ['{ protocol: icmp, icmp: { type: 3, code: 4 }, source: 10.0.0.1 }'],
    ['{ protocol: icmp, icmp: 3, source: 10.0.0.1 }'],
    ['deny>allow 1:768-771,1:773-1023 10.0.0.1'],
  ],
  ['nothing at all', [], ['{ source: any }'], ['deny>allow all any ipv4', 'deny>allow all any ipv6']],
])('a difference in %s', async (_, before, after, expected) => {
  expect(await differences(before, after)).toEqual(expected);
});
