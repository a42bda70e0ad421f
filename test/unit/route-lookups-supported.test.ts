import { expect, test } from 'vitest';
import { scriptText } from '#core/model/nft/script.ts';
import { planChange, planFallback } from '#core/plan-change.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { NetfilterError } from '#kernel/errors.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { routeLookupsSupported } from '#kernel/nftables/route-lookups-supported.ts';
import { BARE_HOST, policyOf } from '../netns/enforce.ts';

function answering(error: Error | undefined): Parameters<typeof routeLookupsSupported>[0] {
  return {
    async rehearse() {
      if (error !== undefined) throw error;
    },
  };
}

test('a kernel that refuses the rule has no lookups of routes; what is no refusal is thrown', async () => {
  expect(await routeLookupsSupported(answering(undefined))).toBe(true);
  expect(await routeLookupsSupported(answering(new NetfilterError('refused', 'no such file', { index: 2 })))).toBe(
    false,
  );
  const forbidden = new NetfilterError('not-permitted', 'not permitted');
  await expect(routeLookupsSupported(answering(forbidden))).rejects.toBe(forbidden);
});

test('without lookups of routes no rule asks for them, nor do the rules of a host that boots without its own', async () => {
  const policy = await policyOf(
    '{ version: 1, securityGroups: { g: { template: default } }, instances: { host: { interfaces: { eth0: { securityGroups: [g] } } } } }',
  );
  const scriptOf = (routeLookups: boolean | undefined): string => {
    const located = locateHost(policy, { ...BARE_HOST, routeLookups }, 'host');
    if (located.kind === 'absent') throw new Error(located.message);
    const { hostPolicy } = located;
    expect(scriptText(planFallback(hostPolicy, [], hashContent))).not.toContain('fib ');
    return scriptText(planChange(hostPolicy, undefined, hashContent).whole());
  };
  expect(scriptOf(undefined)).toContain('fib saddr type local jump');
  expect(scriptOf(true)).toBe(scriptOf(undefined));
  expect(scriptOf(false)).not.toContain('fib ');
  expect(scriptOf(false)).toContain('ip daddr 127.0.0.0/8 jump');
});
