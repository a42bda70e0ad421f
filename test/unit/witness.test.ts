import { describe, expect, test } from 'vitest';
import { endpointOn, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { formatAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { parseInterval } from '#core/read/2-analyze/address-text.ts';

function intervalOf(text: string): Interval {
  const parsed = parseInterval(text);
  if (parsed.kind === 'problem') throw new Error(parsed.message);
  return parsed.interval;
}

function witnessFrom(texts: readonly string[]): string {
  const remotes = texts.map(intervalOf);
  const family = remotes[0]?.family ?? 'ipv4';
  const place = endpointOn('eth0', { bindings: [] }, family);
  const { source } = witnessOf({ direction: 'inbound', family, traffic: 'all', remotes }, place);
  return formatAddress(source);
}

describe('the other end of a packet that shows something', () => {
  test.each<[readonly string[], string]>([
    [['0.0.0.0/0'], '203.0.113.1'],
    [['198.51.100.0/24'], '198.51.100.1'],
    [['10.0.0.0/8', '198.51.100.0/24'], '198.51.100.1'],
    [['10.0.0.0/8', '192.0.2.0/24'], '192.0.2.2'],
    [['0.0.0.0-9.255.255.255'], '1.0.0.1'],
    [['127.0.0.0/8', '192.0.2.7'], '192.0.2.7'],
    [['126.255.255.255-128.0.0.9'], '126.255.255.255'],
    [['127.0.0.0-128.0.0.9'], '128.0.0.1'],
    [['224.0.0.0/3', '10.0.0.0/30'], '10.0.0.1'],
    [['203.0.112.0-203.0.113.0'], '203.0.112.1'],
    [['::/0'], '2001:db8::1'],
    [['::-::ffff', 'ff00::/8'], '::3'],
    [['ff00::/8', 'fe80::/64'], 'fe80::1'],
    // Where there is nothing else.
    [['224.0.0.251'], '224.0.0.251'],
    [['127.0.0.0/8'], '127.0.0.0'],
  ])('of %j is %s', (remotes, expected) => expect(witnessFrom(remotes)).toBe(expected));
});
