import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { comparePolicies } from '#core/meaning/compare/compare-policies.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { compareTable } from '#core/meaning/verify/compare-table.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { ListedTable } from '#core/model/nft/listed-table.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { decodeTable } from '#kernel/nftables/read-table.ts';
import { HOST, INSTANCE, POLICY, policyText } from '../property/arbitrary-policy.ts';
import { enforce, hostPolicyOf, useLabelsAnew } from './enforce.ts';
import { createWorld, type World } from './harness/world.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const RUNS = Number(process.env['DIFFERENTIAL_RUNS'] ?? 12);
const SHAPES: readonly Shape[] = ['linear', 'segments', 'classes', 'chosen'];

describe('the table in the kernel', () => {
  let world: World;
  let inForce: InForce | undefined;

  beforeAll(async () => {
    world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  });
  afterAll(async () => {
    await world.destroy();
  });

  async function found(): Promise<ListedTable> {
    const argv = ['nft', '--json', '--numeric', 'list', 'table', 'inet', 'secgroupd'];
    const { stdout } = await world.exec(world.host, argv);
    return decodeTable(JSON.parse(stdout) as Parameters<typeof decodeTable>[0]);
  }

  test('is proved equal to the policy it was made from, in every shape; and differs from another as the two policies do', {
    timeout: 60_000 + RUNS * 4_000,
  }, async () => {
    let unequal = 0;
    await fc.assert(
      fc.asyncProperty(POLICY, POLICY, fc.constantFrom(...SHAPES), async (one, other, shape) => {
        const [policy, another] = (await Promise.all(
          [one, other].map((plain) => hostPolicyOf(policyText(plain), { host: HOST, instance: INSTANCE })),
        )) as [HostPolicy, HostPolicy];
        await world.flushConntrack();
        inForce = await useLabelsAnew(world, inForce);
        inForce = await enforce(world, policy, inForce ?? 'untracked', shape);
        const table = await found();
        const same = compareTable(policy, table);
        expect([shape, same.differences, same.unknown]).toEqual([shape, [], []]);
        expect(same.compared).toBeGreaterThan(0);

        const { differences } = compareTable(another, table);
        const ofNew = differences.filter(({ state, witness }) => {
          const judged = [policy, another].map((some) => evaluate(some, witness));
          return state === 'new' && judged.every(({ reason }) => reason !== 'platform');
        });
        const between = comparePolicies(policy, another);
        expect([ofNew.length > 0, between]).toEqual([between.length > 0, between]);
        for (const { witness, expected, found: action } of ofNew) {
          const verdicts = [evaluate(another, witness).verdict, evaluate(policy, witness).verdict];
          expect([witness, verdicts]).toEqual([witness, [expected.action, action]]);
        }
        if (ofNew.length > 0) unequal += 1;
      }),
      { numRuns: RUNS },
    );
    expect(unequal).toBeGreaterThan(RUNS / 4);
  });
});

const TEXT = `version: 1
addressGroups:
  office: { addresses: [203.0.113.0/24, 198.51.100.7] }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: "22,80", source: any }
      - { protocol: udp, ports: 53, source: { addressGroup: office } }
      - { action: deny, protocol: tcp, ports: 443, source: 10.0.0.0/8, priority: 1 }
      - { protocol: tcp, ports: 443, source: any, priority: 2 }
    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;

describe('sgctl verify', () => {
  let site: Site;

  useSite((made) => {
    site = made;
  });

  test('says so where the kernel does what the policy says', async () => {
    replaceFile(site.policyFile, TEXT);
    await site.start();
    const { stdout, exitCode } = await site.sgctl('verify');
    expect({ stdout, exitCode }).toEqual({
      stdout: expect.stringMatching(/^the kernel does what the policy says: [\d,]+ kinds of packet checked/),
      exitCode: 0,
    });
    expect((await site.sgctl('verify', site.policyFile, '--instance', 'host')).exitCode).toBe(0);
  });

  /** Names of chains and sets end in the generation that they were made in. */
  test.each<[string, (names: Names) => string, RegExp]>([
    [
      'an element that came into a set',
      () => 'add element inet secgroupd list/office/ipv4/ranges/g1 { 192.0.2.0/24 }',
      /inbound on eth0, new: udp 53 from 192\.0\.2\.0\/24\n {2}policy {2}deny {3}no rule matches\n {2}kernel {2}allow/,
    ],
    [
      'an element that went',
      () => 'delete element inet secgroupd list/office/ipv4/hosts/g1 { 198.51.100.7 }',
      /udp 53 from 198\.51\.100\.7\n {2}policy {2}allow {2}web inbound\[1\] {2}.*policy\.yaml:8\n {2}kernel {2}deny/,
    ],
    [
      'a rule in front that accepts',
      () => 'insert rule inet secgroupd input tcp dport 9 accept',
      /inbound on every other interface|inbound on eth0, new: tcp 9 from .*\n {2}policy {2}deny/,
    ],
    [
      'a chain that was emptied',
      () => 'flush chain inet secgroupd in/eth0/g1',
      /inbound on eth0, new: .*\n {2}policy {2}allow/,
    ],
    [
      'another interface',
      () => 'insert rule inet secgroupd input iifname "eth7" drop',
      /inbound on eth7, new: .*\n {2}policy {2}allow {2}no rule matches\n {2}kernel {2}deny/,
    ],
    [
      'answers that are dropped',
      () => 'insert rule inet secgroupd input ct state established drop',
      /inbound on eth0, reply: .*\n {2}policy {2}allow/,
    ],
    [
      'addresses of the host itself that pass as sources',
      () => 'flush chain inet secgroupd platform/own-source/g1',
      /inbound on eth0, new: .* from .*127\.0\.0\.0\/8.*\n {2}policy {2}deny {3}.*\n {2}kernel {2}allow/,
    ],
    [
      'packets to loopback that pass',
      () =>
        'flush chain inet secgroupd platform/to-loopback/g1; add rule inet secgroupd platform/to-loopback/g1 accept',
      /inbound on eth0, new: protocol 253 from .*\n {2}policy {2}deny {3}.*\n {2}kernel {2}allow/,
    ],
    [
      'redirects about live flows that pass',
      () => 'insert rule inet secgroupd in/eth0/g1 ct state related icmp type redirect accept',
      /inbound on eth0, related: icmp (type )?(5|redirect).*\n {2}policy {2}deny {3}no rule matches\n {2}kernel {2}allow/,
    ],
    [
      'flows that helpers announce, though these are not trusted',
      () => 'insert rule inet secgroupd in/eth0/g1 ct status expected accept',
      /inbound on eth0, related: .*\n {2}policy {2}deny {3}.*\n {2}kernel {2}allow/,
    ],
    [
      'neighbour discovery that is dropped',
      () => 'insert rule inet secgroupd input icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 drop',
      /icmpv6 neighbou?r-solicitation|icmpv6 .*\n {2}policy {2}allow/,
    ],
    [
      'a verdict in a chain of a rule',
      ({ chain }) => `flush chain inet secgroupd ${chain}; add rule inet secgroupd ${chain} accept`,
      /tcp 443 from 10\.0\.0\.0\/8\n {2}policy {2}deny {3}web inbound\[2\]/,
    ],
    [
      'a rule that it cannot tell the meaning of',
      () => 'insert rule inet secgroupd input ip id 1 drop',
      /a rule of another program, of unknown effect: chain input: .*"id"/,
    ],
    [
      'a rule that drops whoever there is still room for in a set',
      () =>
        'add set inet secgroupd noted { type ipv4_addr; flags dynamic; size 10; }; insert rule inet secgroupd in/eth0/g1 update @noted { ip saddr } drop',
      /a rule of another program, of unknown effect: chain in\/eth0\/g1: .*noted/,
    ],
    [
      'a base chain of another hook priority that drops',
      () =>
        'add chain inet secgroupd more { type filter hook input priority 5; policy accept; }; add rule inet secgroupd more udp dport 53 drop',
      /udp 53 from .*\n {2}policy {2}allow/,
    ],
  ])('finds %s', async (_, change, message) => {
    replaceFile(site.policyFile, TEXT);
    await site.sgctl('apply', site.policyFile, '--instance', 'host', '--state-dir', site.stateDirectory);
    const denying = /chain (hit\/in\/eth0\/web\/[0-9a-f]+\/g1) \{\n(?:\t\t.*\n)*?\t\t.* drop/.exec(
      await site.nft('list', 'table', 'inet', 'secgroupd'),
    );
    for (const command of change({ chain: denying?.[1] ?? '' }).split(/; (?=add|insert)/)) await site.nft(command);
    const { stdout, exitCode } = await site.sgctl('verify', site.policyFile, '--instance', 'host');
    expect({ stdout, exitCode }).toEqual({ stdout: expect.stringMatching(message), exitCode: 1 });
    const json = await site.sgctl('verify', site.policyFile, '--instance', 'host', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ same: false });
  });

  test('does not mind what changes nothing, and says so where there is no table', async () => {
    replaceFile(site.policyFile, TEXT);
    const apply = ['apply', site.policyFile, '--instance', 'host', '--state-dir', site.stateDirectory];
    await site.sgctl(...apply);
    await site.nft('insert rule inet secgroupd input counter');
    await site.nft('insert rule inet secgroupd in/eth0/g1 tcp dport 80 counter log prefix "mine"');
    expect((await site.sgctl('verify', site.policyFile, '--instance', 'host')).exitCode).toBe(0);
    await site.nft('delete table inet secgroupd');
    const gone = await site.sgctl('verify', site.policyFile, '--instance', 'host');
    expect(gone).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('the kernel has no table inet secgroupd'),
    });
  });
});

interface Names {
  /** The chain of the rule that denies. */
  readonly chain: string;
}
