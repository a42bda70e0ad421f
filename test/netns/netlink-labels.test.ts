import { execFileSync } from 'node:child_process';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Flows } from './harness-netlink/calls.ts';
import { type Namespace, useNamespaces } from './harness-netlink/namespace.ts';

let namespace: Namespace;
useNamespaces(1, (...made) => {
  [namespace] = made as [Namespace];
  execFileSync('ip', ['-n', namespace.name, 'link', 'set', 'lo', 'up']);
});

const RESET = 'add table inet secgroupd\ndelete table inet secgroupd\n';

/** Ports, by what becomes of their flows. */
const LABELLED = { family: 'ipv4', firstPort: 10_000, lastPort: 14_999 } as const;
const LABELLED_ELSE = { family: 'ipv4', firstPort: 15_000, lastPort: 15_299 } as const;
const UNLABELLED = { family: 'ipv4', firstPort: 15_300, lastPort: 15_599 } as const;
const IN_A_ZONE = { family: 'ipv4', firstPort: 15_600, lastPort: 15_609 } as const;
const IN_A_ZONE_ONE_WAY = { family: 'ipv4', firstPort: 15_610, lastPort: 15_619 } as const;
const OF_IPV6 = { family: 'ipv6', firstPort: 15_620, lastPort: 15_629 } as const;
const ALL: readonly Flows[] = [LABELLED, LABELLED_ELSE, UNLABELLED, IN_A_ZONE, IN_A_ZONE_ONE_WAY, OF_IPV6];

const BITS = [7, 127];
const LABELLING = `${RESET}table inet secgroupd {
  chain zones {
    type filter hook output priority raw;
    udp dport 15600-15609 ct zone set 5
    udp dport 15610-15619 ct original zone set 6
  }
  chain output {
    type filter hook output priority filter;
    udp dport 15300-15599 accept
    udp dport 10000-15629 ct label set 64
    udp dport 15000-15299 accept
    udp dport 10000-14000 ct label set 7
    udp dport 14000-15629 ct label set 127
  }
}
`;

/** Counts datagrams by the labels of their flows. */
const COUNTING = `${RESET}table inet secgroupd {
  chain zones {
    type filter hook output priority raw;
    udp dport 15600-15609 ct zone set 5
    udp dport 15610-15619 ct original zone set 6
  }
  chain output {
    type filter hook output priority filter;
    meta l4proto != udp accept
    ct label 7 counter comment "7"
    ct label 64 counter comment "64"
    ct label 127 counter comment "127"
  }
}
`;

describe('labels of flows', () => {
  beforeEach(async () => {
    namespace.nft(LABELLING);
    for (const flows of ALL) await namespace.call('sendDatagrams', flows);
    namespace.nft(COUNTING);
  });

  test('are cleared of the bits and of no others; the flows live on', async () => {
    const counted = 5_000 + 300 + 30;
    const flows = await namespace.call('countFlows');
    expect(flows).toBeGreaterThanOrEqual(counted + 300);
    expect(await countsNow()).toEqual({ 7: 4_001, 64: counted, 127: 1_000 + 30 });
    expect(await namespace.call('clearFlowLabels', BITS)).toEqual({ cleared: 5_030, left: 0 });
    expect(await countsNow()).toEqual({ 7: 0, 64: counted, 127: 0 });
    expect(await namespace.call('clearFlowLabels', BITS)).toEqual({ cleared: 0, left: 0 });
    expect(await namespace.call('clearFlowLabels', [3, 64])).toEqual({ cleared: counted, left: 0 });
    expect(await countsNow()).toEqual({ 7: 0, 64: 0, 127: 0 });
    expect(await namespace.call('countFlows')).toBe(flows);
  });

  test('that were not cleared are told', async () => {
    expect(await namespace.call('clearFlowLabels', BITS, 1)).toEqual({ cleared: 0, left: 5_030 });
  });

  test('of flows that go meanwhile are no failure', async () => {
    expect(await namespace.call('clearLabelsOfGone', BITS)).toEqual({ cleared: 0, left: 0 });
    expect(await namespace.call('countFlows')).toBe(0);
  });
});

test('where there are no flows, nothing is to be cleared', async () => {
  namespace.nft(RESET);
  expect(await namespace.call('clearLabelsOfGone', BITS)).toMatchObject({ left: 0 });
  expect(await namespace.call('clearFlowLabels', BITS)).toEqual({ cleared: 0, left: 0 });
});

test('whether the kernel has labels is found out without a trace', async () => {
  namespace.nft(RESET);
  await namespace.call('clearLabelsOfGone', BITS);
  expect(await namespace.call('labelsSupported')).toBe(true);
  expect(namespace.list('list', 'ruleset')).toBe('');
  // Conntrack was not turned on.
  await namespace.call('sendDatagrams', UNLABELLED);
  expect(await namespace.call('countFlows')).toBe(0);
});

test('whether rules can ask routes is found out without a trace', async () => {
  namespace.nft(RESET);
  expect(await namespace.call('routeLookupsSupported')).toBe(true);
  expect(namespace.list('list', 'ruleset')).toBe('');
});

/** How many datagrams of flows there were in each state when one was sent in each flow. */
async function countsNow(): Promise<Readonly<Record<string, number>>> {
  const before = counts();
  for (const flows of ALL) await namespace.call('sendDatagrams', flows);
  const after = counts();
  return Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]));
}

function counts(): Readonly<Record<string, number>> {
  const text = namespace.list('list', 'chain', 'inet', 'secgroupd', 'output');
  return Object.fromEntries(
    [...text.matchAll(/packets (\d+) bytes \d+ comment "(\w+)"/g)].map(([, packets, name]) => [name, Number(packets)]),
  );
}
