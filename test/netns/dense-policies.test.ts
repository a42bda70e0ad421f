import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import { judge } from '../oracle/oracle.ts';
import { BARE_HOST, enforce, hostPolicyOf, policyOf, useLabelsAnew } from './enforce.ts';
import { toAddress } from './harness/packet.ts';
import { sendInbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';

// Policies in which everything overlaps: a few ports, a few dozen addresses, groups and lists among them. What random
// policies seldom have, a segment with many addresses in many strata, these always have.

const RUNS = Number(process.env['DENSE_RUNS'] ?? 25);
const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? Date.now() % 2 ** 31);
const PACKETS = 200;

const ADDRESS = fc.integer({ min: 0, max: 40 }).map((host) => `198.51.100.${host}`);
const REMOTE = fc.oneof(
  { weight: 4, arbitrary: ADDRESS },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 }))
      .map(([from, size]) => `198.51.100.${from}-198.51.100.${from + size}`),
  },
  { weight: 2, arbitrary: fc.integer({ min: 27, max: 30 }).map((bits) => `198.51.100.16/${bits}`) },
  { weight: 2, arbitrary: fc.constantFrom('{ securityGroup: app }', '{ securityGroup: db }') },
  { weight: 2, arbitrary: fc.constant('{ addressGroup: listed }') },
  { weight: 1, arbitrary: fc.constant('any') },
);
const PORTS = fc.constantFrom('80', '81', '"80-90"', '"70-85,100"', '"1-65535"', '"82,84"', '"60-200"');
const TRAFFIC = fc.oneof(
  { weight: 6, arbitrary: PORTS.map((ports) => `protocol: tcp, ports: ${ports}`) },
  { weight: 1, arbitrary: fc.constantFrom('protocol: tcp', 'protocol: all') },
);
const RULE = fc
  .tuple(fc.constantFrom('allow', 'deny'), fc.integer({ min: 1, max: 5 }), TRAFFIC, REMOTE)
  .map(
    ([action, priority, traffic, remote]) =>
      `{ action: ${action}, priority: ${priority}, ${traffic}, source: ${remote} }`,
  );
/** More rules for every port than a segment repeats, so that segments are asked before them where the order allows it. */
const FOR_EVERY_PORT = Array.from(
  { length: 70 },
  (_, i) => `{ action: allow, priority: ${3 + (i % 3)}, protocol: tcp, source: 198.51.100.${10 + 2 * i} }`,
);

const PACKET = fc.tuple(
  fc.oneof(
    ADDRESS,
    fc.integer({ min: 41, max: 160 }).map((host) => `198.51.100.${host}`),
  ),
  fc.constantFrom(59, 60, 69, 70, 79, 80, 81, 82, 83, 84, 85, 86, 90, 91, 100, 101, 200, 201),
);
const CASE = fc.tuple(
  fc
    .tuple(fc.array(RULE, { minLength: 13, maxLength: 60 }), fc.boolean())
    .map(([rules, more]) => (more ? [...rules, ...FOR_EVERY_PORT] : rules)),
  fc.array(PACKET, { minLength: PACKETS, maxLength: PACKETS }),
);

let world: World;
let inForce: InForce | undefined;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
});

afterAll(async () => {
  await world.destroy();
});

function policyText(rules: readonly string[]): string {
  return `version: 1
addressGroups:
  listed: { addresses: [198.51.100.5, 198.51.100.8-198.51.100.12, 198.51.100.33] }
securityGroups:
  web:
    inbound:
${rules.map((rule) => `      - ${rule}\n`).join('')}  app: {}
  db: {}
instances:
  host: { interfaces: { eth0: { addresses: [${world.link('eth0').host.ipv4}], securityGroups: [web] } } }
  app-1: { interfaces: { eth0: { addresses: [198.51.100.3, 198.51.100.10, 198.51.100.20], securityGroups: [app] } } }
  db-1: { interfaces: { eth0: { addresses: [198.51.100.4, 198.51.100.10, 198.51.100.35], securityGroups: [db] } } }
`;
}

test('kernel and oracle agree where everything overlaps', { timeout: 60_000 + RUNS * 3_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      CASE,
      fc.constantFrom('segments' as const, 'classes' as const, 'chosen' as const),
      async ([rules, packets], shape) => {
        const text = policyText(rules);
        const policy = await policyOf(text);
        await world.flushConntrack();
        inForce = await useLabelsAnew(world, inForce);
        inForce = await enforce(world, await hostPolicyOf(text), inForce ?? 'untracked', shape);
        const destination = world.link('eth0').host.ipv4;
        const probes = packets.map(([source, destinationPort], index) => ({
          source,
          destination,
          protocol: 6,
          sourcePort: 10_000 + index,
          destinationPort,
          identity: index + 1,
        }));
        const arrived = await sendInbound(world, 'eth0', probes);
        const wrong = probes.filter((probe) => {
          const packet: Packet = {
            interface: 'eth0',
            direction: 'inbound',
            state: 'new',
            ...probe,
            source: toAddress(probe.source),
            destination: toAddress(probe.destination),
            icmpType: undefined,
            icmpCode: undefined,
            hopLimit: undefined,
          };
          const { verdict } = judge(policy, BARE_HOST, 'host' as InstanceName, packet);
          return (verdict === 'allow') !== arrived.has(probe.identity);
        });
        expect(wrong.map(({ source, destinationPort }) => `${source} to ${destinationPort}`)).toEqual([]);
      },
    ),
    { numRuns: RUNS, seed: SEED, endOnFailure: process.env['DIFFERENTIAL_SHRINK'] === undefined },
  );
});
