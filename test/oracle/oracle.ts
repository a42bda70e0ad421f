import type { Address } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { GroupName, InstanceName, InterfacePattern } from '#core/model/policy/names.ts';
import type { Instance, InterfaceBinding, Policy } from '#core/model/policy/policy.ts';
import type { Remote, Rule, Traffic } from '#core/model/policy/rule.ts';
import { isPlatformTraffic } from './platform-traffic.ts';

// Written from src/core/meaning/SEMANTICS.md alone; the sections that tests name are its sections.

/** What becomes of a packet, and what decided it; `rule` is set for the reasons `rule` and `management` only. */
export interface Judgement {
  readonly verdict: 'allow' | 'deny';
  readonly reason: 'rule' | 'default' | 'platform' | 'management' | 'state';
  readonly rule: Rule | undefined;
}

/** All that decides about one packet. */
interface Scene {
  readonly policy: Policy;
  readonly host: HostState;
  readonly instance: Instance;
  /** Undefined on an interface the policy does not name. */
  readonly binding: InterfaceBinding | undefined;
}

/**
 * The verdict on `packet` at the host `host`, which is the instance `instanceName` of `policy`.
 * As literal and slow as can be: every question is answered from the policy again. Throws for an unknown instance.
 */
export function judge(policy: Policy, host: HostState, instanceName: InstanceName, packet: Packet): Judgement {
  const instance = policy.instances.get(instanceName);
  if (instance === undefined) throw new Error(`no instance ${instanceName}`);
  if (packet.interface === 'lo') return allow('platform');
  const binding = bindingOf(instance, packet.interface);
  if (binding === undefined && policy.unmanagedInterfaces === 'allow') return allow('default');
  const scene: Scene = { policy, host, instance, binding };

  if (isPlatformTraffic(policy.platform, packet)) return allow('platform');
  const isForged = policy.platform.ownAddress && packet.direction === 'inbound' && hasOwnAddress(scene, packet);
  if (packet.state === 'invalid' && !isForged) {
    return binding?.invalid === 'match'
      ? judgeByRules(scene, packet)
      : { verdict: 'deny', reason: 'state', rule: undefined };
  }
  // RFC 792: unreachable, time exceeded, parameter problem; RFC 4443: these, and packet too big.
  const errors =
    packet.source.family === 'ipv4' ? { protocol: 1, types: [3, 11, 12] } : { protocol: 58, types: [1, 2, 3, 4] };
  if (packet.state === 'related') {
    if (packet.protocol === errors.protocol && errors.types.includes(packet.icmpType ?? -1)) return allow('state');
    if (policy.platform.helpers && ![1, 58].includes(packet.protocol)) return allow('state');
  }
  if (packet.state === 'reply' && packet.direction === 'inbound') return allow('state');
  if (packet.state === 'established' && packet.direction === 'outbound') return allow('state');
  if (packet.state === 'reply') {
    // An answer to a peer's flow lives as long as the inbound rules let the peer open that flow.
    const opening = openingOf(packet);
    if (opening !== undefined && judgeByRules(scene, opening).verdict === 'allow') return allow('state');
  }
  if (isForged) return { verdict: 'deny', reason: 'platform', rule: undefined };
  return judgeByRules(scene, packet);
}

/** Whether a packet that comes in says that the host itself has sent it, or is for loopback. */
function hasOwnAddress({ host }: Scene, { interface: link, source, destination }: Packet): boolean {
  const isLoopback = ({ family, value }: Address): boolean =>
    family === 'ipv4' ? value >> 24n === 127n : value === 1n;
  if (isLoopback(destination)) return true;
  // Copies of what the host sends to many come back to it.
  const isToMany =
    destination.family === 'ipv4' ? destination.value >> 28n >= 14n : destination.value >> 120n === 0xffn;
  if (isToMany) return false;
  const isLinkLocal = source.family === 'ipv4' ? source.value >> 16n === 0xa9fen : source.value >> 118n === 0x3fan;
  const own = host.interfaces.filter(({ name }) => name === link || !isLinkLocal).flatMap(({ addresses }) => addresses);
  return isLoopback(source) || own.some(({ family, value }) => family === source.family && value === source.value);
}

function allow(reason: 'platform' | 'state' | 'default'): Judgement {
  return { verdict: 'allow', reason, rule: undefined };
}

function judgeByRules(scene: Scene, packet: Packet): Judgement {
  const management = byPriority(scene.policy.management).find((rule) => ruleMatches(scene, rule, packet));
  if (management !== undefined) return { verdict: management.action, reason: 'management', rule: management };
  const rule = rulesOf(scene).find((candidate) => ruleMatches(scene, candidate, packet));
  if (rule !== undefined) return { verdict: rule.action, reason: 'rule', rule };
  return { verdict: 'deny', reason: 'default', rule: undefined };
}

/** The exact name first, then the glob with the longest beginning. */
function bindingOf(instance: Instance, name: string): InterfaceBinding | undefined {
  const exact = instance.interfaces.find((binding) => binding.pattern === name);
  if (exact !== undefined) return exact;
  const globs = instance.interfaces
    .filter(({ pattern }) => pattern.endsWith('*') && name.startsWith(beginning(pattern)))
    .sort((a, b) => beginning(b.pattern).length - beginning(a.pattern).length);
  return globs[0];
}

function beginning(glob: InterfacePattern): string {
  return glob.slice(0, -1);
}

/** The rules of all attached groups, both directions, in deciding order. */
function rulesOf({ policy, instance, binding }: Scene): readonly Rule[] {
  const listed = (binding?.groups ?? []).flatMap((name, sequence) => {
    const group = policy.securityGroups.get(name);
    if (group === undefined) throw new Error(`no security group ${name}`);
    return [...group.inbound, ...group.outbound].map((rule, position) => ({ rule, sequence, position }));
  });
  const groupFirst = instance.evaluation === 'sequence';
  return listed
    .sort(
      (a, b) =>
        (groupFirst ? a.sequence - b.sequence : 0) ||
        a.rule.priority - b.rule.priority ||
        denyFirst(a.rule, b.rule) ||
        a.sequence - b.sequence ||
        a.position - b.position,
    )
    .map(({ rule }) => rule);
}

function byPriority(rules: readonly Rule[]): readonly Rule[] {
  return rules
    .map((rule, position) => ({ rule, position }))
    .sort((a, b) => a.rule.priority - b.rule.priority || denyFirst(a.rule, b.rule) || a.position - b.position)
    .map(({ rule }) => rule);
}

function denyFirst(a: Rule, b: Rule): number {
  if (a.action === b.action) return 0;
  return a.action === 'deny' ? -1 : 1;
}

function ruleMatches(scene: Scene, rule: Rule, packet: Packet): boolean {
  const remote = packet.direction === 'inbound' ? packet.source : packet.destination;
  return (
    rule.origin.direction === packet.direction &&
    rule.family === remote.family &&
    trafficMatches(rule.traffic, packet) &&
    remoteMatches(scene, rule.remote, remote)
  );
}

function trafficMatches(traffic: Traffic, packet: Packet): boolean {
  if (traffic.kind === 'all') return true;
  if (traffic.protocol !== packet.protocol) return false;
  switch (traffic.kind) {
    case 'protocol':
      return true;
    case 'ports': {
      const port = packet.destinationPort;
      return port !== undefined && traffic.ports.some(({ from, to }) => from <= port && port <= to);
    }
    case 'icmp':
      return traffic.type === packet.icmpType && (traffic.code === 'any' || traffic.code === packet.icmpCode);
  }
}

function remoteMatches(scene: Scene, remote: Remote, address: Address): boolean {
  switch (remote.kind) {
    case 'any':
      return true;
    case 'interval':
      return within(remote.interval, address);
    case 'addressGroup': {
      const group = scene.policy.addressGroups.get(remote.name);
      if (group === undefined) throw new Error(`no address group ${remote.name}`);
      const { hosts, ranges } = group.entries[address.family];
      return [...hosts, ...ranges].some((interval) => within(interval, address));
    }
    case 'securityGroup':
      return membersOf(scene, remote.name).some(
        (member) => member.family === address.family && member.value === address.value,
      );
  }
}

function within(
  run: { readonly family: string; readonly from: bigint; readonly to: bigint },
  address: Address,
): boolean {
  return run.family === address.family && run.from <= address.value && address.value <= run.to;
}

/** The addresses of every interface of every instance attached to `group`, as far as this host can know them. */
function membersOf({ policy, host, instance: own }: Scene, group: GroupName): readonly Address[] {
  return [...policy.instances.values()].flatMap((instance) =>
    instance.interfaces
      .filter(({ groups }) => groups.includes(group))
      .flatMap((binding) => {
        if (binding.addresses !== 'dynamic') return binding.addresses;
        if (instance.name !== own.name) return [];
        // An interface that an exact name or a longer glob claims is not attached to this binding's groups.
        return host.interfaces
          .filter(({ name }) => name !== 'lo' && bindingOf(instance, name) === binding)
          .flatMap(({ addresses }) => addresses);
      }),
  );
}

/** ICMP replies and the requests they answer; no other ICMP packet is an answer. */
const REQUESTS = {
  ipv4: { protocol: 1, ofReply: { 0: 8, 14: 13, 16: 15, 18: 17 } as Record<number, number> },
  ipv6: { protocol: 58, ofReply: { 129: 128, 140: 139 } as Record<number, number> },
};

/** The packet by which the peer opened the flow that `answer` belongs to; undefined if no packet can have. */
function openingOf(answer: Packet): Packet | undefined {
  const opening: Packet = {
    ...answer,
    direction: 'inbound',
    state: 'new',
    source: answer.destination,
    destination: answer.source,
    sourcePort: answer.destinationPort,
    destinationPort: answer.sourcePort,
  };
  const { protocol, ofReply } = REQUESTS[answer.source.family];
  if (answer.protocol !== protocol) return opening;
  const request = answer.icmpType === undefined ? undefined : ofReply[answer.icmpType];
  return request === undefined ? undefined : { ...opening, icmpType: request };
}
