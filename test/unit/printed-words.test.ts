import { expect, test } from 'vitest';
import { formatPlace } from '#cli/present/format-place.ts';
import { formatTraffic } from '#cli/present/format-traffic.ts';
import type { TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import type { Binding } from '#core/model/policy/host.ts';
import { icmpText } from '#core/model/policy/icmp-names.ts';
import { localTime } from '#host/local-time.ts';

const range = (from: number, to = from) => ({ from, to });
const tcp = (from: number, to = from): TrafficAtom => ({ protocols: [range(6)], l4Values: range(from, to) });
const others = (...protocols: TrafficAtom['protocols']): TrafficAtom => ({ protocols, l4Values: undefined });

test.each<[string, readonly TrafficAtom[], string]>([
  [
    'the rest beside what is named',
    [tcp(0, 21), tcp(23, 65_535), others(range(0, 5), range(7, 255))],
    'tcp 0-21,23-65535, all other protocols',
  ],
  ['all but what is not named', [others(range(0, 5), range(7, 16), range(18, 255))], 'all protocols but tcp and udp'],
  ['a few that are not all', [tcp(22), others(range(50, 51))], 'tcp 22, protocols 50-51'],
  ['every protocol', [others(range(0, 255))], 'all protocols'],
  ['one alone', [{ protocols: [range(50)], l4Values: undefined }], 'protocol 50'],
])('traffic: %s', (_, traffic, text) => expect(formatTraffic(traffic, 'ipv4')).toBe(text));

test.each([
  ['eth0', ['eth0', '*'], 'inbound on eth0'],
  ['*', ['*'], 'inbound on every interface (*)'],
  ['*', ['eth0', '*'], 'inbound on every other interface (*)'],
  [undefined, ['eth0'], 'inbound on every other interface'],
])('the place of a difference on %s, of policies with %j, is %s', (pattern, patterns, text) => {
  const policy = { bindings: patterns.map((one) => ({ pattern: one }) as Binding) };
  expect(formatPlace({ direction: 'inbound', interface: pattern }, [policy])).toBe(text);
});

test.each([
  ['UTC', '2026-01-25 17:30:01 UTC'],
  ['Europe/Berlin', '2026-01-25 18:30:01 +01:00'],
  ['Asia/Kolkata', '2026-01-25 23:00:01 +05:30'],
  ['America/St_Johns', '2026-01-25 14:00:01 -03:30'],
])('a moment in the zone %s is %s', (zone, text) => {
  const before = process.env['TZ'];
  process.env['TZ'] = zone;
  try {
    expect(localTime('2026-01-25T17:30:01.711Z')).toBe(text);
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
});

test('an ICMP type is named in its family, or numbered', () => {
  expect([icmpText('ipv4', 8), icmpText('ipv6', 8), icmpText('ipv4', 3, 4), icmpText('ipv6', 128, 0)]).toEqual([
    'echo-request',
    'type 8',
    'destination-unreachable code 4',
    'echo-request',
  ]);
});
