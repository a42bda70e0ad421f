import { execFileSync } from 'node:child_process';
import { beforeEach, describe, expect, test } from 'vitest';
import { addressFromBytes } from '#core/model/net/address.ts';
import type { Element, ElementTransaction } from '#core/model/nft/element-change.ts';
import { TABLE_TEXT } from './harness-netlink/element-steps.ts';
import { Namespace, useNamespaces } from './harness-netlink/namespace.ts';

let namespace: Namespace;
useNamespaces(1, (...made) => {
  [namespace] = made as [Namespace];
  execFileSync('ip', ['-n', namespace.name, 'link', 'set', 'lo', 'up']);
});
beforeEach(() => {
  namespace.nft(TABLE_TEXT);
});

const RANGES = 'ranges.ipv4.set.g1';
const HOSTS = { table: 'secgroupd', set: 'hosts.ipv4.set.g1', key: 'ipv4', interval: false } as const;

describe('a netfilter socket', () => {
  test('tells, when it is closed too soon, that nobody knows what was done, and is opened again', async () => {
    await expect(namespace.call('applyAndClose', adding(['127.0.1.0-127.0.1.9']))).rejects.toMatchObject({
      failure: { failure: 'died' },
    });
    await namespace.call('applyElements', adding(['127.0.2.0-127.0.2.9']));
    expect(listing()).toContain('127.0.2.0-127.0.2.9');
  });

  test('tells that it may not', async () => {
    const unprivileged = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'];
    const other = new Namespace(namespace.name, namespace.bundle, unprivileged);
    const before = listing();
    await expect(other.call('applyElements', adding(['127.0.1.0-127.0.1.9']))).rejects.toMatchObject({
      failure: { failure: 'not-permitted', errno: 'EPERM' },
    });
    await expect(other.call('labelsSupported')).rejects.toMatchObject({ failure: { failure: 'not-permitted' } });
    await other.stop();
    expect(listing()).toBe(before);
  });

  test('rehearses', async () => {
    const before = listing();
    await namespace.call('rehearse', HOSTS, element('127.0.0.1-127.0.0.1'));
    const nothing = { ...HOSTS, set: 'nothing.g1' };
    await expect(namespace.call('rehearse', nothing, element('127.0.0.1-127.0.0.1'))).rejects.toMatchObject({
      failure: { failure: 'refused', errno: 'ENOENT' },
    });
    expect(listing()).toBe(before);
  });
});

test('packets meet ranges as they are after each change', async () => {
  namespace.nft(`table inet secgroupd {
    chain output { type filter hook output priority filter; meta l4proto udp ip daddr @${RANGES} counter; }
  }`);
  const all = ['127.0.1.5', '127.0.1.9', '127.0.1.10', '127.0.1.20', '127.0.1.21', '127.255.255.254', '127.0.0.1'];
  expect(await met(all)).toEqual([]);
  await namespace.call('applyElements', adding(['127.0.1.5-127.0.1.9', '127.0.1.10-127.0.1.20']));
  expect(await met(all)).toEqual(['127.0.1.5', '127.0.1.9', '127.0.1.10', '127.0.1.20']);
  await namespace.call('applyElements', adding(['0.0.0.0-127.0.1.4', '127.0.1.22-255.255.255.255']));
  expect(await met(all)).toEqual(all.filter((address) => address !== '127.0.1.21'));
  await namespace.call('applyElements', adding(['127.0.1.8-127.0.1.8'], ['127.0.1.5-127.0.1.9', '0.0.0.0-127.0.1.4']));
  expect(await met(all)).toEqual(['127.0.1.10', '127.0.1.20', '127.255.255.254']);
});

/** Which of the addresses a rule finds in the set. */
async function met(addresses: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const address of addresses) {
    const before = counted();
    await namespace.call('sendDatagrams', { family: 'ipv4', address, firstPort: 9, lastPort: 9 });
    if (counted() > before) found.push(address);
  }
  return found;
}

function counted(): number {
  return Number(/packets (\d+)/.exec(namespace.list('list', 'chain', 'inet', 'secgroupd', 'output'))?.[1]);
}

function listing(): string {
  return namespace.list('list', 'ruleset');
}

function adding(added: readonly string[], removed: readonly string[] = []): ElementTransaction {
  const change = { set: RANGES, key: 'ipv4', interval: true } as const;
  return {
    table: 'inet secgroupd',
    changes: [{ ...change, removed: removed.map(element), added: added.map(element) }],
    rules: [],
    applied: undefined,
  };
}

function element(range: string): Element {
  const [from = 0n, to = 0n] = range
    .split('-')
    .map((address) => addressFromBytes(Uint8Array.from(address.split('.').map(Number))).value);
  return { interval: { family: 'ipv4', from, to }, verdict: undefined };
}
