import { describe, expect, test } from 'vitest';
import { scriptText } from '#core/model/nft/script.ts';
import type { HostState } from '#core/model/policy/host.ts';
import { planChange } from '#core/plan-change.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { expectGolden, goldenCases, loadCase } from './golden.ts';

/** The host that every case is compiled for: instance `host`, with one address a family on eth0. */
const HOST: HostState = {
  hostname: 'host.example.com',
  machineId: '0123456789abcdef0123456789abcdef',
  interfaces: [
    {
      index: 2,
      name: 'eth0',
      addresses: [
        { family: 'ipv4', value: 0xc0a8010an },
        { family: 'ipv6', value: 0x20010db8000000000000000000000010n },
      ],
    },
  ],
};

describe('rulesets', () => {
  test.each(goldenCases('rulesets'))('%s', async (name) => {
    const { policy, diagnostics } = await loadCase(`rulesets/${name}`);
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    if (policy === undefined) throw new Error('a policy without errors is a policy');
    const located = locateHost(policy, HOST, undefined);
    if (located.kind === 'absent') throw new Error(located.message);
    const { change } = planChange(located.hostPolicy, undefined, hashContent);
    const transactions = change.transactions.map(({ script }) => scriptText(script));
    expectGolden(`rulesets/${name}/expected.nft`, transactions.join('# second transaction\n'));
  });
});
