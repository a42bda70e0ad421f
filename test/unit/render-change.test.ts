import { describe, expect, test } from 'vitest';
import type { Transaction } from '#core/model/nft/change.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import { scriptText } from '#core/model/nft/script.ts';
import { planChange } from '#core/plan-change.ts';
import type { RenderedChange } from '#core/translate/6-change/render-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { hostPolicyOf } from '../netns/enforce.ts';

function policyText({ members = ['192.0.2.1'], entries = ['10.0.0.0/24'], port = 22 } = {}): string {
  return `version: 1
counters: false
logging: { denied: false }
addressGroups:
  office: { addresses: [${entries.join(', ')}] }
securityGroups:
  app:
    inbound:
      - { protocol: tcp, ports: ${port}, source: { addressGroup: office } }
      - { protocol: tcp, ports: "80,443", source: { securityGroup: web } }
  web: {}
instances:
  host: { interfaces: { eth0: { addresses: [192.0.2.100], securityGroups: [app] } } }
  web-1: { interfaces: { eth0: { addresses: [${members.join(', ')}], securityGroups: [web] } } }
`;
}

async function plan(text: string, inForce: InForce | undefined): Promise<RenderedChange> {
  return planChange(await hostPolicyOf(text), inForce, hashContent);
}

async function inForceAfter(text: string): Promise<InForce> {
  return (await plan(text, undefined)).change.next;
}

function textOf({ script }: Transaction): string {
  return scriptText(script);
}

describe('a change', () => {
  test('to what is in force already is none', async () => {
    const { change } = await plan(policyText(), await inForceAfter(policyText()));
    expect([change.kind, change.transactions, change.next.generation]).toEqual(['none', [], 1]);
  });

  test('to the same, found in the kernel and not put there by us, is none', async () => {
    const { change } = await plan(policyText(), { ...(await inForceAfter(policyText())), rendered: undefined });
    expect(change.kind).toBe('none');
  });

  test('of a member changes elements of its set and nothing else', async () => {
    const before = await inForceAfter(policyText({ members: ['192.0.2.1', '192.0.2.2'] }));
    const { change } = await plan(policyText({ members: ['192.0.2.2', '192.0.2.3'] }), before);
    expect(change.kind).toBe('elements');
    expect(change.transactions.map(textOf)).toEqual([
      `delete element inet secgroupd group/web/ipv4/g1 {
  192.0.2.1,
}
add element inet secgroupd group/web/ipv4/g1 {
  192.0.2.3,
}
`,
      // Behind it, so that no packet judged by the old elements gives its flow a label that counts.
      `flush chain inet secgroupd live/eth0
add rule inet secgroupd live/eth0 ct label 127 accept
flush chain inet secgroupd admit/eth0
add rule inet secgroupd admit/eth0 accept
flush set inet secgroupd applied
table inet secgroupd {
  set applied { type mark; comment "what is in force";
    elements = { 1 comment "generation 2 ${change.next.contentHash}" }
  }
}
`,
    ]);
    expect(change.next.sets).toEqual(before.sets);
    expect(change.next.chains).toEqual(before.chains);
  });

  test('of a list from single addresses to ranges moves them between its two sets', async () => {
    const before = await inForceAfter(policyText({ entries: ['10.0.0.1'] }));
    const { change } = await plan(policyText({ entries: ['10.0.0.1-10.0.0.2'] }), before);
    expect(change.kind).toBe('elements');
    const text = change.transactions.map(textOf).join('');
    expect(text).toContain('delete element inet secgroupd list/office/ipv4/hosts/g1 {\n  10.0.0.1,\n}');
    expect(text).toContain('add element inet secgroupd list/office/ipv4/ranges/g1 {\n  10.0.0.1-10.0.0.2,\n}');
  });

  test('of a rule changes the rules of its chain, and makes anew the sets that do not hold the same', async () => {
    const before = await inForceAfter(policyText());
    const { change } = await plan(policyText({ port: 2222, members: ['192.0.2.9'] }), before);
    expect(change.kind).toBe('swap');
    const [sets = '', chains = ''] = change.transactions.map(textOf);
    expect(sets).toContain('set group/web/ipv4/g2 {');
    expect(sets).not.toContain('set list/office');
    expect(sets).not.toContain('chain');
    expect(chains).toContain('flush chain inet secgroupd in/eth0/g1\n');
    expect(chains).toContain(
      'add rule inet secgroupd in/eth0/g1 tcp dport 2222 ip saddr @list/office/ipv4/ranges/g1 goto admit/eth0',
    );
    expect(chains).toContain('add rule inet secgroupd in/eth0/g1 tcp dport @ports/1/g1 ip saddr @group/web/ipv4/g2 ');
    // The outbound rules stay, and nobody touches them.
    expect(chains).not.toContain('chain inet secgroupd out/eth0');
    expect(chains).not.toContain('delete chain');
    expect(chains).toContain('delete set inet secgroupd group/web/ipv4/g1');
    expect(chains).not.toContain('delete set inet secgroupd list/office/ipv4/ranges/g1');
    const [undo = [], nothing] = change.undo;
    expect(nothing).toEqual([]);
    expect(scriptText(undo)).toBe('delete set inet secgroupd group/web/ipv4/g2\n');
    expect(change.next.chains).toEqual(before.chains);
  });

  test('of an interface’s name makes chains and removes others, and leaves those that have nothing to do with it', async () => {
    const before = await inForceAfter(policyText());
    const { change } = await plan(policyText().replaceAll('eth0', 'eth1'), before);
    const [made = '', switched = ''] = change.transactions.map(textOf);
    expect(made).toContain('add chain inet secgroupd in/eth1/g2\n');
    expect(switched).toContain('delete chain inet secgroupd in/eth0/g1\n');
    expect(switched).not.toContain('flush chain inet secgroupd platform/in/g1');
    expect(change.next.chains).toContain('platform/in/g1');
    expect(scriptText(change.undo[0] ?? [])).toContain('delete chain inet secgroupd in/eth1/g2\n');
    expect(scriptText(change.undo[0] ?? [])).not.toContain('/g1');
  });

  test('from a table found in the kernel replaces all of it', async () => {
    const before = { ...(await inForceAfter(policyText())), rendered: undefined, contentHash: 'unknown' };
    const { change } = await plan(policyText(), before);
    expect(change.kind).toBe('swap');
    const chains = change.transactions.map(textOf)[1] ?? '';
    for (const name of before.sets) expect(chains).toContain(`delete set inet secgroupd ${name}\n`);
    for (const name of before.chains.filter((chain) => chain.endsWith('/g1'))) {
      expect(chains).toContain(`delete chain inet secgroupd ${name}\n`);
    }
  });
});

describe('the whole', () => {
  test('replaces our table and touches no other', async () => {
    const { whole } = await plan(policyText(), undefined);
    const text = scriptText(whole());
    expect(text.startsWith('add table inet secgroupd\ndelete table inet secgroupd\nadd table inet secgroupd\n')).toBe(
      true,
    );
    expect(text).not.toContain('flush ruleset');
    const commands = text.split('\n').filter((line) => /^(add|delete|flush|table) /.test(line));
    expect(commands.filter((line) => !/^[a-z]+ (?:[a-z]+ )?inet secgroupd\b/.test(line))).toEqual([]);
  });

  test('has a line for each element of a list, and for a hundred of a long one', async () => {
    const entries = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.1`);
    const linesOf = async (count: number): Promise<readonly string[]> => {
      const text = scriptText((await plan(policyText({ entries: entries(count) }), undefined)).whole());
      return text.split('\n').filter((line) => /^ +10\./.test(line));
    };
    expect(await linesOf(1_000)).toHaveLength(1_000);
    const long = await linesOf(1_001);
    expect(long).toHaveLength(11);
    expect(
      long
        .join(' ')
        .match(/[0-9.]+/g)
        ?.toSorted(),
    ).toEqual(entries(1_001).toSorted());
  });
});
