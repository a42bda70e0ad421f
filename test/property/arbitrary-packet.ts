import fc from 'fast-check';
import { type Address, type Family, highestAddress } from '#core/model/net/address.ts';
import type { Packet, PacketState } from '#core/model/packet/packet.ts';
import { patternMatches } from '#core/model/policy/host.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import type { AddressGroup, Policy } from '#core/model/policy/policy.ts';
import type { Direction, Rule, Traffic } from '#core/model/policy/rule.ts';
import type { PlainPolicy } from '../oracle/plain-policy.ts';
import { readPlainPolicy } from '../oracle/read-plain-policy.ts';
import { HOST, INSTANCE } from './arbitrary-policy.ts';
import { contentNear } from './packet-content.ts';
import { PLATFORM_PACKET } from './platform-packet.ts';

const INTERFACES = ['eth0', 'eth1', 'wlan0'];
const STATES: readonly PacketState[] = [
  ...Array.from({ length: 6 }, () => 'new' as const),
  'established',
  'reply',
  'reply',
  'related',
  'invalid',
];

/** The universe that policies are written in, and what lies about it. */
const NEIGHBOURHOOD: Record<Family, readonly [bigint, bigint]> = {
  ipv4: [0x0a00ff00n, 0x0a0101ffn],
  ipv6: [0x20010db8000100000000000000000000n, 0x20010db80001000000000000000001ffn],
};

/** What packets are aimed at: the edges of some rules of one family. */
interface Target {
  readonly interfaces: readonly string[];
  readonly family: Family;
  readonly direction: Direction;
  readonly remotes: readonly bigint[];
  readonly traffics: readonly Traffic[];
}

/**
 * Packets at the edges of what `policy` says, a few at random, and built-in traffic in between; all of them of kinds
 * and sources that a kernel can deliver. They pass the interfaces of `HOST`.
 */
export function packetsFor(policy: PlainPolicy): fc.Arbitrary<Packet> {
  return fc.oneof({ weight: 9, arbitrary: rulePacketsFor(policy) }, { weight: 1, arbitrary: PLATFORM_PACKET });
}

/** The packets of `packetsFor` that are about rules: between unicast addresses, `new` in half the cases. */
export function rulePacketsFor(plain: PlainPolicy): fc.Arbitrary<Packet> {
  // Packets that hit a rule that is switched off show whether it is.
  const policy = readPlainPolicy(enabled(plain));
  const groups = [...policy.securityGroups.values()];
  const rules = [...policy.management, ...groups.flatMap(({ inbound, outbound }) => [...inbound, ...outbound])];
  const attached = policy.instances.get(INSTANCE)?.interfaces.flatMap((binding) => binding.groups) ?? [];
  const judging = rules.filter(({ origin }) => origin.group === undefined || attached.includes(origin.group));

  const aimed = judging.map((rule) => targetOf(policy, rule));
  const roaming = (['ipv4', 'ipv6'] as const).flatMap((family) =>
    (['inbound', 'outbound'] as const).map((direction) => roamingTarget(policy, rules, { family, direction })),
  );
  return fc
    .oneof(
      { weight: aimed.length === 0 ? 0 : 7, arbitrary: fc.constantFrom(...(aimed.length === 0 ? roaming : aimed)) },
      { weight: 2, arbitrary: fc.constantFrom(...roaming) },
    )
    .chain(packetAt);
}

function enabled(policy: PlainPolicy): PlainPolicy {
  return JSON.parse(JSON.stringify(policy), (key, value: unknown) => (key === 'enabled' ? true : value)) as PlainPolicy;
}

function packetAt(target: Target): fc.Arbitrary<Packet> {
  const { family } = target;
  return fc
    .record({
      name: fc.constantFrom(...target.interfaces),
      state: fc.constantFrom(...STATES),
      traffic: fc.constantFrom(...target.traffics),
    })
    .chain(({ name, state, traffic }) =>
      fc
        .tuple(localAddress(name, family), remoteAddress(target), contentNear(traffic, family, state))
        .map(([local, remote, content]) => {
          // What the inbound rules say of answers is said of answers on their way out.
          const direction = state === 'reply' && target.direction === 'inbound' ? 'outbound' : target.direction;
          const [source, destination] = direction === 'inbound' ? [remote, local] : [local, remote];
          return { interface: name, direction, state, source, destination, ...content };
        }),
    );
}

function localAddress(name: string, family: Family): fc.Arbitrary<Address> {
  const held = HOST.interfaces.find((link) => link.name === name)?.addresses ?? [];
  return fc.constantFrom(...held.filter((address) => address.family === family));
}

function remoteAddress({ family, remotes }: Target): fc.Arbitrary<Address> {
  const [min, max] = NEIGHBOURHOOD[family];
  const anywhere = fc
    .bigInt({ min: 1n, max: highestAddress(family) })
    .filter((value) => isDeliverable({ family, value }));
  return fc
    .oneof(
      { weight: 16, arbitrary: fc.constantFrom(...remotes) },
      { weight: 2, arbitrary: fc.bigInt({ min, max }) },
      { weight: 1, arbitrary: anywhere },
    )
    .map((value) => ({ family, value }));
}

/** Whether a kernel takes packets from this address on a wire: not this network, loopback, mapped, multicast or beyond. */
function isDeliverable({ family, value }: Address): boolean {
  if (family === 'ipv6') return value > 1n && value >> 120n !== 0xffn && value >> 32n !== 0xffffn;
  const first = value >> 24n;
  return first !== 0n && first !== 127n && first < 224n;
}

function targetOf(policy: Policy, rule: Rule): Target {
  const { family, origin } = rule;
  const attached = interfacesOf(policy, origin.group);
  const remotes = edges(runsOf(policy, rule), family);
  return {
    interfaces: [...Array.from({ length: 4 }, () => attached).flat(), ...INTERFACES],
    family,
    direction: origin.direction,
    remotes: remotes.length === 0 ? everyEdge(policy, [], family) : remotes,
    traffics: [rule.traffic, rule.traffic, rule.traffic, rule.traffic, { kind: 'all' }],
  };
}

function roamingTarget(policy: Policy, rules: readonly Rule[], way: Pick<Target, 'family' | 'direction'>): Target {
  const ofFamily = rules.filter(({ family }) => family === way.family);
  return {
    ...way,
    interfaces: INTERFACES,
    remotes: everyEdge(policy, ofFamily, way.family),
    traffics: [{ kind: 'all' }, ...ofFamily.map(({ traffic }) => traffic)],
  };
}

/** Interfaces that may be judged by `group`, another binding of theirs permitting; all, for management. */
function interfacesOf(policy: Policy, group: GroupName | undefined): readonly string[] {
  if (group === undefined) return INTERFACES;
  const bindings = policy.instances.get(INSTANCE)?.interfaces ?? [];
  const patterns = bindings.filter(({ groups }) => groups.includes(group)).map(({ pattern }) => pattern);
  return INTERFACES.filter((name) => patterns.some((pattern) => patternMatches(pattern, name)));
}

interface Run {
  readonly family: Family;
  readonly from: bigint;
  readonly to: bigint;
}

function runsOf(policy: Policy, { remote }: Rule): readonly Run[] {
  switch (remote.kind) {
    case 'any':
      return [];
    case 'interval':
      return [remote.interval];
    case 'addressGroup':
      return entriesOf(policy.addressGroups.get(remote.name));
    case 'securityGroup':
      return members(policy, ({ groups }) => groups.includes(remote.name));
  }
}

function entriesOf(group: AddressGroup | undefined): readonly Run[] {
  return Object.values(group?.entries ?? {}).flatMap(({ hosts, ranges }) => [...hosts, ...ranges]);
}

type Binding = NonNullable<ReturnType<Policy['instances']['get']>>['interfaces'][number];

/** Addresses that may be members': those the policy writes, and all that the host holds. */
function members(policy: Policy, isAttached: (binding: Binding) => boolean): readonly Run[] {
  const held = HOST.interfaces.flatMap(({ addresses }) => addresses);
  return [...policy.instances.values()]
    .flatMap(({ interfaces }) => interfaces.filter(isAttached))
    .flatMap(({ addresses }) => (addresses === 'dynamic' ? held : addresses))
    .map(({ family, value }) => ({ family, from: value, to: value }));
}

function everyEdge(policy: Policy, rules: readonly Rule[], family: Family): bigint[] {
  const runs = [
    ...[...policy.addressGroups.values()].flatMap(entriesOf),
    ...rules.flatMap((rule) => runsOf(policy, rule)),
    ...members(policy, () => true),
  ];
  const middle = NEIGHBOURHOOD[family][0] + 0x120n;
  return [...edges(runs, family), middle];
}

/** First, middle and last address of each run, and, half as often, the ones next to them outside. */
function edges(runs: readonly Run[], family: Family): bigint[] {
  return runs
    .filter((run) => run.family === family)
    .flatMap(({ from, to }) => [from - 1n, from, from, (from + to) / 2n, (from + to) / 2n, to, to, to + 1n])
    .filter((value) => value >= 0n && value <= highestAddress(family) && isDeliverable({ family, value }));
}
