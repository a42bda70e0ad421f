import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparePolicies, type Difference } from '#core/meaning/compare/compare-policies.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { witnessOf } from '#core/meaning/headerspace/witness.ts';
import { lintScopesOf, witnessAt } from '#core/meaning/lint/lint-scope.ts';
import { effectsOf } from '#core/meaning/lint/rule-effects.ts';
import { compareTable } from '#core/meaning/verify/compare-table.ts';
import { formatAddress } from '#core/model/net/address.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { ENDLESS } from '#core/model/policy/patience.ts';
import type { Action, Direction } from '#core/model/policy/rule.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { decodeTable } from '#kernel/nftables/read-table.ts';
import { judge } from '../oracle/oracle.ts';
import type { PlainPolicy } from '../oracle/plain-policy.ts';
import { readPlainPolicy } from '../oracle/read-plain-policy.ts';
import { packetsFor } from '../property/arbitrary-packet.ts';
import { HOST, INSTANCE, POLICY, policyText } from '../property/arbitrary-policy.ts';
import { enforce, hostPolicyOf, useLabelsAnew } from './enforce.ts';
import { kernelDropsSource, kernelKeepsDestination, kernelReplacesSource } from './harness/kernel-drops.ts';
import { IPV6_EXTENSION_HEADERS, type PacketDescription, TCP_FLAGS } from './harness/packet.ts';
import { sendInbound, sendOutbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';

/** The short form is part of the suite; `npm run test:long` asks for thousands. */
const RUNS = Number(process.env['DIFFERENTIAL_RUNS'] ?? 60);

/** Packets sent for each policy; not all that are generated can be sent for what they say they are. */
const PACKETS = 200;
const GENERATED = 4 * PACKETS;
const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? Date.now() % 2 ** 31);

const INTERFACES = HOST.interfaces.map(({ name }) => name).filter((name) => name !== 'lo');

/** Tracks flows and lets everything through, so that they can be opened before the policy under test judges them. */
const PERMISSIVE = `version: 1
platform: { ownAddress: false }
securityGroups:
  open:
    inbound: [{ source: any }]
    outbound: [{ destination: any }]
instances:
  host-a:
    interfaces:
      "*": { securityGroups: [open], invalid: match }
`;

/** Drops resets before conntrack (priority -200) sees them. */
const NO_RESETS = `
table inet noresets {
  chain output {
    type filter hook output priority -400
    tcp flags & rst == rst drop
  }
}
`;

/** A packet of a policy's edges and the number by which the wire knows it. */
interface Probe {
  readonly packet: Packet;
  readonly identity: number;
}

/** Every shape that rules can be compiled to, forced, and the one that is chosen. */
const SHAPES: readonly Shape[] = ['linear', 'segments', 'classes', 'chosen'];

let world: World;
let inForce: InForce | undefined;
let sent = 0;
let allowed = 0;

beforeAll(async () => {
  world = await createWorld({
    interfaces: HOST.interfaces
      .filter(({ name }) => name !== 'lo')
      .map(({ name, addresses }) => ({
        name,
        ipv4: `${textOf(addresses, 'ipv4')}/24`,
        ipv6: `${textOf(addresses, 'ipv6')}/64`,
      })),
  });
  // A stack that finds no socket resets the flow, which ends it; conntrack must not see that.
  for (const node of [world.host, ...INTERFACES.map((name) => world.peer(name))]) {
    await world.exec(node, ['nft', '-f', '-'], { input: NO_RESETS });
  }
  // Redirects and advertisements among the probes must not change the host's own routes.
  const settings = ['all', 'default', ...INTERFACES].flatMap((name) =>
    ['accept_redirects', 'accept_ra'].map((key) => `net.ipv6.conf.${name}.${key}=0`),
  );
  await world.exec(world.host, ['sysctl', '-qw', ...settings]);
  // Identities stand where TCP has its sequence numbers, so no two segments of a flow fit each other's window.
  await world.exec(world.host, ['sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_be_liberal=1']);
});

afterAll(async () => {
  await world.destroy();
  console.log(`differential: seed ${SEED}, ${RUNS} policies, ${sent} packets sent, ${allowed} of them let through`);
});

describe('kernel, evaluator and oracle', () => {
  it('agree on every packet of every policy', { timeout: 60_000 + RUNS * 2_000 }, async () => {
    const cases = POLICY.chain((policy) =>
      fc.tuple(fc.constant(policy), fc.array(packetsFor(policy), { minLength: GENERATED, maxLength: GENERATED })),
    );
    await fc.assert(
      fc.asyncProperty(cases, fc.constantFrom(...SHAPES), async ([plain, packets], shape) => {
        expect([shape, await disagreements(plain, packets, shape)]).toEqual([shape, []]);
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: process.env['DIFFERENTIAL_SHRINK'] === undefined },
    );
  });

  it('agree with the comparison of two policies: a packet of each difference is judged as claimed, by both', {
    timeout: 60_000 + RUNS * 2_000,
  }, async () => {
    let witnesses = 0;
    await fc.assert(
      fc.asyncProperty(POLICY, POLICY, async (one, other) => {
        const [before, after] = await Promise.all(
          [one, other].map((plain) => hostPolicyOf(policyText(plain), { host: HOST, instance: INSTANCE })),
        );
        if (before === undefined || after === undefined) throw new Error('no policies');
        const isBuiltIn = ({ packet }: Claim): boolean =>
          [before, after].some((policy) => evaluate(policy, packet).reason === 'platform');
        const claims = claimsOf(before, after)
          .filter((claim) => !isBuiltIn(claim))
          .slice(0, PACKETS);
        for (const side of ['before', 'after'] as const) {
          await world.flushConntrack();
          inForce = await useLabelsAnew(world, inForce);
          inForce = await enforce(world, side === 'before' ? before : after, inForce ?? 'untracked');
          const passed = await exchange(claims, 'test');
          const wrong = claims.filter(({ difference, identity }) => {
            return passed.has(identity) !== (difference[side].action === 'allow');
          });
          expect(wrong.map(({ packet }) => `${side}: ${describePacket(packet)}`)).toEqual([]);
        }
        witnesses += claims.length;
      }),
      { numRuns: Math.ceil(RUNS / 4), seed: SEED },
    );
    expect(witnesses).toBeGreaterThan(RUNS / 4);
  });

  it('agree with the advisor about packets that it names, and with the proof of the table about those that another policy means otherwise', {
    timeout: 60_000 + RUNS * 2_000,
  }, async () => {
    let witnesses = 0;
    await fc.assert(
      fc.asyncProperty(POLICY, POLICY, async (one, other) => {
        const [policy, another] = await Promise.all(
          [one, other].map((plain) => hostPolicyOf(policyText(plain), { host: HOST, instance: INSTANCE })),
        );
        if (policy === undefined || another === undefined) throw new Error('no policies');
        await world.flushConntrack();
        inForce = await useLabelsAnew(world, inForce);
        inForce = await enforce(world, policy, inForce ?? 'untracked');
        const argv = ['nft', '--json', '--numeric', 'list', 'table', 'inet', 'secgroupd'];
        const { stdout } = await world.exec(world.host, argv);
        const table = decodeTable(JSON.parse(stdout) as Parameters<typeof decodeTable>[0]);
        const proof = compareTable(another, table)
          .differences.filter(({ state }) => state === 'new')
          .map(({ witness: packet, found: action }) => ({ packet, action }));
        const expected = onHost([...adviceAbout(policy), ...proof])
          .filter(({ packet }) => evaluate(policy, packet).reason !== 'platform')
          .slice(0, 2 * PACKETS);
        const probes = expressible(expected.map(({ packet }) => packet));
        const passed = await exchange(probes, 'test');
        const wrong = probes.filter(
          ({ identity }) => passed.has(identity) !== (expected[identity - 1]?.action === 'allow'),
        );
        expect(wrong.map(({ packet }) => describePacket(packet))).toEqual([]);
        witnesses += probes.length;
      }),
      { numRuns: Math.ceil(RUNS / 4), seed: SEED },
    );
    expect(witnesses).toBeGreaterThan(RUNS / 2);
  });
});

/** A packet, and what becomes of it. */
interface Expectation {
  readonly packet: Packet;
  readonly action: Action;
}

/** The host's end of a packet that says nothing of it: RFC 5737, RFC 3849. */
const ANY_LOCAL: readonly bigint[] = [0xc000_0201n, (0x2001_0db8n << 96n) | 1n];

/** Of packets on interfaces of the host those that it has, with its own addresses where they do not matter. */
function onHost(expected: readonly Expectation[]): readonly Expectation[] {
  return expected.flatMap(({ packet, action }) => {
    const { source, destination, direction } = packet;
    const held = HOST.interfaces.find(({ name }) => INTERFACES.includes(name) && name === packet.interface)?.addresses;
    const local = held?.find(({ family }) => family === source.family);
    const stood = direction === 'inbound' ? destination : source;
    if (local === undefined || !ANY_LOCAL.includes(stood.value)) return [];
    const ends = direction === 'inbound' ? { source, destination: local } : { source: local, destination };
    return [{ packet: { ...packet, ...ends }, action }];
  });
}

/** Packets on which the advisor says that a rule decides. */
function adviceAbout(policy: HostPolicy): readonly Expectation[] {
  return effectsOf(lintScopesOf([policy], new Set()), ENDLESS).effects.flatMap(({ decides, changes }) =>
    [decides, changes].flatMap((example) => {
      if (example === undefined) return [];
      const { packet } = witnessAt(example.scope, example.atom, example.interval);
      const { rule } = evaluate(policy, packet);
      return rule === undefined ? [] : [{ packet, action: rule.action }];
    }),
  );
}

interface Claim extends Probe {
  readonly difference: Difference;
}

/** A packet for each difference that can be sent for what it is. */
function claimsOf(before: HostPolicy, after: HostPolicy): readonly Claim[] {
  const patterns = [before, after].flatMap(({ bindings }) => bindings.map(({ pattern }) => pattern as string));
  const differences = comparePolicies(before, after).flatMap((difference) => {
    const name = INTERFACES.find((one) => classOf(one, patterns) === difference.interface);
    const held = HOST.interfaces.find((one) => one.name === name)?.addresses ?? [];
    const local = held.find(({ family }) => family === difference.family);
    return name === undefined || local === undefined
      ? []
      : [{ difference, packet: witnessOf(difference, { interface: name, local }) }];
  });
  const probes = expressible(differences.map(({ packet }) => packet));
  return probes.flatMap((probe) => {
    const difference = differences[probe.identity - 1]?.difference;
    return difference === undefined ? [] : [{ ...probe, difference }];
  });
}

/** What of these patterns an interface is judged by: its name, else the longest glob. */
function classOf(name: string, patterns: readonly string[]): string | undefined {
  const globs = patterns.filter((pattern) => pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1)));
  return patterns.find((pattern) => pattern === name) ?? globs.toSorted((a, b) => b.length - a.length)[0];
}

/** What kernel, evaluator and oracle do not say alike, in words; empty where they agree. */
async function disagreements(plain: PlainPolicy, packets: readonly Packet[], shape: Shape): Promise<readonly string[]> {
  const hostPolicy = await hostPolicyOf(policyText(plain), { host: HOST, instance: INSTANCE });
  const policy = readPlainPolicy(plain);
  const probes = expressible(packets).slice(0, PACKETS);
  await world.flushConntrack();
  inForce = await useLabelsAnew(world, inForce);
  await openFlows(probes);
  inForce = await enforce(world, hostPolicy, inForce ?? 'untracked', shape);
  const passed = await exchange(probes, 'test');
  sent += probes.length;
  allowed += passed.size;
  return probes.flatMap(({ packet, identity }) => {
    const kernel = passed.has(identity) ? 'allow' : 'deny';
    const evaluator = evaluate(hostPolicy, packet).verdict;
    const oracle = judge(policy, HOST, INSTANCE, packet).verdict;
    return kernel === evaluator && evaluator === oracle
      ? []
      : [`kernel ${kernel}, evaluator ${evaluator}, oracle ${oracle}: ${describePacket(packet)}`];
  });
}

/** Opens, under rules that let everything pass, the flows that packets of live flows belong to. */
async function openFlows(probes: readonly Probe[]): Promise<void> {
  const live = probes.filter(({ packet }) => packet.state === 'established' || packet.state === 'reply');
  if (live.length === 0) return;
  inForce = await enforce(
    world,
    await hostPolicyOf(PERMISSIVE, { host: HOST, instance: INSTANCE }),
    inForce ?? 'untracked',
  );
  // A flow is established once it was answered: its opener first, then an answer.
  await exchange(
    live.map(({ packet, identity }) => ({ identity, packet: packet.state === 'reply' ? reversed(packet) : packet })),
    'open',
  );
  await exchange(
    live.map(({ packet, identity }) => ({ identity, packet: packet.state === 'reply' ? packet : reversed(packet) })),
    'answer',
  );
}

async function exchange(probes: readonly Probe[], step: Step): Promise<ReadonlySet<number>> {
  const passed = new Set<number>();
  for (const name of INTERFACES) {
    for (const direction of ['inbound', 'outbound'] as const) {
      const batch = probes.filter(({ packet }) => packet.interface === name && packet.direction === direction);
      if (batch.length === 0) continue;
      const send = direction === 'inbound' ? sendInbound : sendOutbound;
      for (const identity of await send(
        world,
        name,
        batch.map((probe) => describeProbe(probe, step)),
      ))
        passed.add(identity);
    }
  }
  return passed;
}

type Step = 'open' | 'answer' | 'test';

function describeProbe({ packet, identity }: Probe, step: Step): PacketDescription {
  return { ...packet, identity, tcpFlags: tcpFlags(packet, step), fragments: undefined };
}

function tcpFlags({ state }: Packet, step: Step): number {
  if (step === 'answer' || (step === 'test' && state === 'reply')) return TCP_FLAGS.syn | TCP_FLAGS.ack;
  return step === 'test' && state === 'established' ? TCP_FLAGS.ack : TCP_FLAGS.syn;
}

/** The packets that can be sent for what they say they are, each belonging to a flow of its own. */
function expressible(packets: readonly Packet[]): readonly Probe[] {
  const flows = new Set<string>();
  return packets.flatMap((packet, index) => {
    const probe = { packet, identity: index + 1 };
    const flow = flowOf(packet);
    if (!isExpressible(packet) || flows.has(flow)) return [];
    flows.add(flow);
    return [probe];
  });
}

/** DCCP, SCTP and UDP-Lite: conntrack reads their headers, and calls what is not well formed invalid. */
const PARSED_PROTOCOLS = [33, 132, 136];

/** ICMP types that conntrack takes for the beginning of a flow (nf_conntrack_proto_icmp.c, _icmpv6.c: valid_new). */
const OPENING_ICMP: Readonly<Record<1 | 58, readonly number[]>> = { 1: [8, 13, 15, 17], 58: [128, 139] };

/** ICMP types that answer one of those. */
const ANSWERING_ICMP: Readonly<Record<1 | 58, readonly number[]>> = { 1: [0, 14, 16, 18], 58: [129, 140] };

/**
 * ICMPv6 types that conntrack leaves alone: neighbour discovery, redirects not, multicast listeners, and multicast
 * router discovery but its end, 153 (nf_conntrack_proto_icmpv6.c, noct_valid_new; each found by a packet).
 */
const UNTRACKED_ICMPV6 = [130, 131, 132, 133, 134, 135, 136, 143, 151, 152];

function isExpressible(packet: Packet): boolean {
  const { source, destination, protocol, state, direction } = packet;
  const remote = direction === 'inbound' ? source : destination;
  if (!INTERFACES.includes(packet.interface)) return false;
  const link = world.link(packet.interface);
  if (source.family === 'ipv6' && IPV6_EXTENSION_HEADERS.has(protocol)) return false;
  // Conntrack reads ICMP of either family in packets of both, and calls invalid what is none.
  if (PARSED_PROTOCOLS.includes(protocol) || protocol === (source.family === 'ipv4' ? 58 : 1)) return false;
  // Only flows of the host's own addresses are answered.
  const isLive = state === 'established' || state === 'reply';
  if (isLive && !isOwn(direction === 'inbound' ? destination : source)) return false;
  // To a link's own unicast addresses the kernel sends as its neighbour table sees fit; multicast needs no neighbour.
  if (direction === 'outbound' && destination.value >> 118n === 0x3fan) return false;
  // A flow between an address and itself has no direction that could be told.
  if (source.value === destination.value) return false;
  if (direction === 'inbound' && (kernelDropsSource(source) || !isOwn(destination))) return false;
  if (direction === 'outbound' && (kernelKeepsDestination(destination, link.host) || kernelReplacesSource(source)))
    return false;
  // What conntrack calls a packet cannot be chosen: only what it really is can be sent.
  const icmp = source.family === 'ipv4' ? 1 : 58;
  const type = packet.icmpType ?? -1;
  const isMulticast = remote.family === 'ipv4' ? remote.value >> 28n >= 14n : remote.value >> 120n === 0xffn;
  switch (state) {
    case 'new':
      return protocol !== icmp || OPENING_ICMP[icmp].includes(type) || (icmp === 58 && UNTRACKED_ICMPV6.includes(type));
    case 'established':
      return !isMulticast && (protocol !== icmp || OPENING_ICMP[icmp].includes(type));
    case 'reply':
      return !isMulticast && (protocol !== icmp || ANSWERING_ICMP[icmp].includes(type));
    case 'invalid':
      return (
        protocol === icmp &&
        ![...OPENING_ICMP[icmp], ...(icmp === 58 ? UNTRACKED_ICMPV6 : [])].includes(type) &&
        !isError(icmp, type)
      );
    case 'related':
      return false;
  }
}

function isOwn({ family, value }: Packet['destination']): boolean {
  return HOST.interfaces.some(({ addresses }) => addresses.some((own) => own.family === family && own.value === value));
}

/** ICMP errors quote a packet, by which conntrack finds what they are related to. */
function isError(icmp: 1 | 58, type: number): boolean {
  return icmp === 1 ? [3, 4, 5, 11, 12].includes(type) : type < 128;
}

/** What conntrack tells flows apart by, whichever way the packet goes. */
function flowOf({ source, destination, protocol, sourcePort, destinationPort }: Packet): string {
  const ends = [
    `${source.family} ${source.value} ${sourcePort ?? 0}`,
    `${destination.family} ${destination.value} ${destinationPort ?? 0}`,
  ];
  return `${protocol} ${ends.toSorted((a, b) => (a < b ? -1 : 1)).join(' ')}`;
}

const ANSWER_OF: Readonly<Record<1 | 58, Readonly<Record<number, number>>>> = {
  1: { 8: 0, 13: 14, 15: 16, 17: 18, 0: 8, 14: 13, 16: 15, 18: 17 },
  58: { 128: 129, 139: 140, 129: 128, 140: 139 },
};

/** The packet of the same flow the other way. */
function reversed(packet: Packet): Packet {
  const icmp = packet.source.family === 'ipv4' ? 1 : 58;
  const direction: Direction = packet.direction === 'inbound' ? 'outbound' : 'inbound';
  return {
    ...packet,
    direction,
    source: packet.destination,
    destination: packet.source,
    sourcePort: packet.destinationPort,
    destinationPort: packet.sourcePort,
    icmpType: packet.protocol === icmp ? ANSWER_OF[icmp][packet.icmpType ?? -1] : packet.icmpType,
  };
}

function describePacket({ interface: name, direction, state, source, destination, protocol, ...rest }: Packet): string {
  const of = `${formatAddress(source)} ${rest.sourcePort ?? ''} > ${formatAddress(destination)} ${rest.destinationPort ?? ''}`;
  return `${state} ${direction} on ${name}, protocol ${protocol}, ${of} icmp ${rest.icmpType ?? ''}/${rest.icmpCode ?? ''} hops ${rest.hopLimit ?? ''}`;
}

function textOf(addresses: (typeof HOST.interfaces)[number]['addresses'], family: 'ipv4' | 'ipv6'): string {
  const address = addresses.find((one) => one.family === family);
  if (address === undefined) throw new Error(`the host has no ${family} address`);
  return formatAddress(address);
}
