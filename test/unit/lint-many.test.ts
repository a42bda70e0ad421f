import { describe, expect, test } from 'vitest';
import { joinAlike } from '#cli/present/lint-alike.ts';
import { lintPolicy } from '#core/meaning/lint/lint-policy.ts';
import { OutOfPatience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { policyOf as readPolicy } from '../netns/enforce.ts';

function policyOf(denied: number, more: readonly string[] = []): Promise<Policy> {
  const denials = Array.from(
    { length: denied },
    (_, i) => `      - { action: deny, source: 198.51.${i >> 8}.${i & 255} }`,
  );
  const text = [
    'version: 1',
    'lint: { implicit-priority: it is meant }',
    'securityGroups:',
    '  g:',
    '    inbound:',
    ...denials,
    ...more,
    'instances: { host: { interfaces: { eth0: { securityGroups: [g] } } } }',
    '',
  ].join('\n');
  return readPolicy(text);
}

const DENIED_ANYWAY = 'redundant-rule';
const AT_ONCE = {
  seconds: 0,
  spend: () => {
    throw new OutOfPatience();
  },
};

describe('many findings', () => {
  test('that differ in the rule alone are one for people, with their count and the next few', async () => {
    const { findings } = lintPolicy(await policyOf(3_000, ['      - { protocol: tcp, ports: 8080, source: any }']));
    expect(findings.filter(({ code }) => code === DENIED_ANYWAY)).toEqual([]);
    const alone = lintPolicy(await policyOf(3_000)).findings.filter(({ code }) => code === DENIED_ANYWAY);
    expect(alone.length).toBe(3_000);
    const [joined, ...others] = joinAlike(alone);
    expect(others).toEqual([]);
    expect(joined?.span.line).toBe(6);
    expect(joined?.message).toMatch(/^without `g inbound\[0\]` .*; 2999 more rules have the same finding$/);
    expect(joined?.help).toContain('--all shows each');
    expect(joined?.related.map(({ span }) => span.line)).toEqual([7, 8, 9, 10]);
  });

  test('that are few, or say different things, are shown each', async () => {
    const { findings } = lintPolicy(await policyOf(5));
    expect(findings.filter(({ code }) => code === DENIED_ANYWAY).length).toBe(5);
    expect(joinAlike(findings)).toEqual(findings);
    const mixed = lintPolicy(await policyOf(7, ['      - { action: deny, source: 198.51.0.0 }'])).findings;
    expect(joinAlike(mixed).map(({ code }) => code)).toContain('duplicate-rule');
  });
});

describe('advice that is not waited for', () => {
  test('names what was not looked at, and says nothing that is not known', async () => {
    const policy = await policyOf(5, ['      - { action: deny, source: 198.51.0.1 }']);
    const { findings, leftOut } = lintPolicy(policy, { patience: AT_ONCE });
    expect(findings.map(({ code }) => code)).toEqual(['duplicate-rule']);
    expect(leftOut).toContain('the effects of the rules for inbound IPv4 on `eth0` of `host`');
    expect(leftOut).toContain('what everyone may reach');
    expect(lintPolicy(policy).leftOut).toEqual([]);
  });
});
