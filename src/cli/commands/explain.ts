import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { icmpText } from '#core/model/policy/icmp-names.ts';
import { findInstance } from '#core/model/policy/find-instance.ts';
import { type Decision, evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { isStandardInput } from '#host/files/placed-reader.ts';
import { type HostPolicy, type HostState, patternMatches } from '#core/model/policy/host.ts';
import { reportRule } from '#api/rule-report.ts';
import { formatAddress } from '#core/model/net/address.ts';
import { icmpProtocol, protocolName } from '#core/model/policy/protocol-lookup.ts';
import { stateOfUnasked } from '#core/model/policy/unasked-icmp.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { formatRuleName, type Rule } from '#core/model/policy/rule.ts';
import {
  type Command,
  type CommandLine,
  EXIT,
  type ExitStatus,
  type Streams,
  UnableError,
  UsageError,
} from '#cli/framework/command.ts';
import { locate, type Locating, placementOf, readHost, readPolicyOrExplain } from '#cli/input/load.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import { chainsMet, describeMet, type MetChain, readOtherChains } from '#cli/input/other-chains.ts';
import { type PacketQuery, PROTOCOL_CHOICES, readPacketQuery } from '#cli/input/packet-query.ts';
import { TCP } from '#core/model/policy/protocols.ts';

/** `sgctl explain`: what a policy says of a packet. */
export const explain: Command = {
  name: 'explain',
  summary:
    'Says which rule of a policy decides on a packet, with file and line, and which rules come after it. On the host itself, as root, it ends with the chains of other tables (Docker, ufw, your own) that may still drop the packet, or change its destination before. It knows nothing of live flows: packets that the host sends on a revoked one are dropped whatever the rules say (state:revoked, sgctl status).',
  usage: '--direction inbound --protocol tcp --src A --dst B --dport N [...]',
  options: {
    direction: { type: 'string', value: 'DIR', choices: ['inbound', 'outbound'], help: 'inbound or outbound' },
    protocol: {
      type: 'string',
      value: 'P',
      choices: PROTOCOL_CHOICES,
      help: `${PROTOCOL_CHOICES.join(', ')} or a number`,
    },
    src: { type: 'string', value: 'ADDRESS', help: 'source address' },
    dst: { type: 'string', value: 'ADDRESS', help: 'destination address' },
    sport: { type: 'string', value: 'N', help: 'source port (default 50000)' },
    dport: { type: 'string', value: 'N', help: 'destination port' },
    'icmp-type': { type: 'string', value: 'TYPE', help: 'ICMP type, by number or name' },
    'icmp-code': { type: 'string', value: 'N', help: 'ICMP code (default 0)' },
    interface: {
      type: 'string',
      value: 'IF',
      help: 'the interface; may be left out where the instance has one, or the addresses tell',
    },
    state: {
      type: 'string',
      value: 'STATE',
      choices: ['new', 'established', 'reply', 'related', 'invalid'],
      help: "new, established (in its flow's original direction), reply, related or invalid; default: what conntrack makes of a packet of no flow, which is new, but invalid for ICMP replies and errors",
    },
    expect: {
      type: 'string',
      value: 'VERDICT',
      choices: ['allow', 'deny'],
      help: 'exit with 1 unless the verdict is allow or deny as said',
    },
    batch: {
      type: 'string',
      value: 'FILE',
      help: 'read one JSON query a line from FILE (- is standard input), answer one JSON object a line',
    },
    policy: OPTION.policy,
    as: OPTION.as,
    instance: OPTION.instance,
    json: OPTION.json,
    help: OPTION.help,
  },
  mostPositionals: 0,
  examples: [
    'sgctl explain --direction inbound --protocol tcp --src 203.0.113.7 --dst 192.0.2.10 --dport 22',
    'sgctl explain --direction inbound --protocol icmp --icmp-type echo-request --src 203.0.113.7 --dst 192.0.2.10 --expect allow',
    'echo \'{"direction":"inbound","protocol":"tcp","src":"203.0.113.7","dst":"192.0.2.10","dport":443}\' | sgctl explain --batch -',
  ],
  exitNo: 'the policy is not valid, or the verdict is not what --expect says',
  async run(line, streams) {
    const expected = line.text('expect');
    if (expected !== undefined && expected !== 'allow' && expected !== 'deny')
      throw new UsageError('--expect is allow or deny');
    const batch = line.text('batch');
    // What is wrong with the question is said before anything is read.
    if (batch === undefined) readPacketQuery(queryOf(line), 'options');
    const file = line.text('policy') ?? DEFAULT_POLICY_FILE;
    if (batch !== undefined && isStandardInput(batch) && isStandardInput(file))
      throw new UsageError('standard input is read once: name a file for --policy or for --batch');
    const policy = await readPolicyOrExplain(await placementOf(line, file), streams);
    if (policy === undefined) return EXIT.no;
    const host = await readHost();
    if (batch !== undefined) return explainBatch({ batch, policy, host, line, streams });
    const hostPolicy = resolveAs(policy, host, { named: line.text('instance'), streams });
    const query = readPacketQuery(queryOf(line), 'options');
    const packet = completePacket(query, line.text('interface'), { hostPolicy, host, policy });
    const decision = evaluate(hostPolicy, packet);
    const others = findInstance(policy, host) === hostPolicy.instance ? await readOtherChains() : undefined;
    const met = chainsMet(others, { packet, decision }, host);
    streams.out(
      line.given('json') ? `${JSON.stringify(toJson(packet, decision, met))}\n` : formatDecision(packet, decision, met),
    );
    return expected === undefined || expected === decision.verdict ? EXIT.fine : EXIT.no;
  },
};

function queryOf(line: CommandLine): PacketQuery {
  return {
    direction: line.text('direction'),
    protocol: line.text('protocol'),
    src: line.text('src'),
    dst: line.text('dst'),
    sport: line.text('sport'),
    dport: line.text('dport'),
    icmpType: line.text('icmp-type'),
    icmpCode: line.text('icmp-code'),
    state: line.text('state'),
  };
}

interface Batch {
  readonly batch: string;
  readonly policy: Policy;
  readonly host: HostState;
  readonly line: CommandLine;
  readonly streams: Streams;
}

/** One answer a line, in order; a line that cannot be understood is answered with its error and makes the status `usage`. */
async function explainBatch({ batch, policy, host, line, streams }: Batch): Promise<ExitStatus> {
  const views = new Map<string | undefined, HostPolicy>();
  let outcome: ExitStatus = EXIT.fine;
  const input = batch === '-' ? process.stdin : createReadStream(batch);
  const failed = new Promise<never>((_resolve, reject) => {
    input.once('error', (error: Error) => reject(new UnableError(`cannot read ${batch}: ${error.message}`)));
  });
  const others = await readOtherChains();
  const answerAll = async (): Promise<void> => {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (text.trim() === '') continue;
      try {
        const query = parseQuery(text);
        const named = query.instance ?? line.text('instance');
        const hostPolicy = views.get(named) ?? resolveAs(policy, host, { named, streams });
        views.set(named, hostPolicy);
        const asked = readPacketQuery(query, 'json');
        const packet = completePacket(asked, query.interface, { hostPolicy, host, policy });
        const decision = evaluate(hostPolicy, packet);
        const isHere = findInstance(policy, host) === hostPolicy.instance;
        const met = chainsMet(isHere ? others : undefined, { packet, decision }, host);
        streams.out(`${JSON.stringify(toJson(packet, decision, met))}\n`);
      } catch (error) {
        if (!(error instanceof UsageError) && !(error instanceof UnableError)) throw error;
        outcome = EXIT.usage;
        streams.out(`${JSON.stringify({ error: error.message })}\n`);
      }
    }
  };
  await Promise.race([answerAll(), failed]);
  return outcome;
}

function parseQuery(
  text: string,
): PacketQuery & { readonly instance: string | undefined; readonly interface: string | undefined } {
  let query: unknown;
  try {
    query = JSON.parse(text);
  } catch {
    throw new UsageError('not JSON');
  }
  if (typeof query !== 'object' || query === null || Array.isArray(query)) throw new UsageError('not a JSON object');
  const words = query as Record<string, unknown>;
  const word = (key: string): string | undefined => {
    const value = words[key] ?? undefined;
    if (value !== undefined && typeof value !== 'string') throw new UsageError(`${key} is a text`);
    return value;
  };
  return { ...words, instance: word('instance'), interface: word('interface') };
}

/** The policy as the instance `named` sees it: with this host's interfaces if that is this host, without any if it is another. */
function resolveAs(policy: Policy, host: HostState, { named, streams }: Locating): HostPolicy {
  const own = findInstance(policy, host);
  const seen = named === undefined || named === own ? host : { ...host, interfaces: [] };
  return locate(policy, seen, { named, streams });
}

interface Surroundings {
  readonly hostPolicy: HostPolicy;
  readonly host: HostState;
  readonly policy: Policy;
}

/** The packet of a query on the interface `named`, or on the one that can be told: the only one, or the one that has the packet's local address. */
function completePacket(
  packet: Omit<Packet, 'interface'>,
  named: string | undefined,
  { hostPolicy, host, policy }: Surroundings,
): Packet {
  if (named !== undefined) return { ...packet, interface: named };
  const local = packet.direction === 'inbound' ? packet.destination : packet.source;
  const isLocal = ({ family, value }: Packet['source']): boolean => family === local.family && value === local.value;
  const bindings = policy.instances.get(hostPolicy.instance)?.interfaces ?? [];
  const held = findInstance(policy, host) === hostPolicy.instance ? host.interfaces : [];
  const byAddress =
    bindings.find(({ addresses }) => addresses !== 'dynamic' && addresses.some(isLocal))?.pattern ??
    held.find(({ addresses }) => addresses.some(isLocal))?.name;
  const [only] = bindings;
  const pattern = byAddress ?? (bindings.length === 1 ? only?.pattern : undefined);
  if (pattern === undefined) {
    throw new UsageError(
      `which interface? say --interface: ${bindings.map((binding) => binding.pattern).join(', ') || `${hostPolicy.instance} has none`}`,
    );
  }
  // A glob stands for its interfaces: one that the host has, or one of the glob's own name.
  const name = host.interfaces.find((one) => one.name !== 'lo' && patternMatches(pattern, one.name))?.name;
  return { ...packet, interface: name ?? (pattern === '*' ? 'eth0' : pattern.replace(/\*$/, '0')) };
}

/** The answer as scripts read it: a contract. */
function toJson(
  { state }: Packet,
  { verdict, reason, rule, runnersUp, platform }: Decision,
  met: readonly MetChain[] | undefined,
): object {
  return {
    verdict,
    reason,
    rule: rule === undefined ? null : reportRule(rule),
    platform: platform ?? null,
    state,
    runnersUp: runnersUp.map(reportRule),
    otherTables: met ?? null,
  };
}

function formatDecision(
  packet: Packet,
  { verdict, reason, rule, runnersUp, platform, binding }: Decision,
  met: readonly MetChain[] | undefined,
): string {
  const port = (value: number | undefined): string => (value === undefined ? '' : ` port ${value}`);
  const what = `${protocolText(packet)} from ${formatAddress(packet.source)}${port(packet.sourcePort)} to ${formatAddress(packet.destination)}${port(packet.destinationPort)}`;
  const because: Readonly<Record<Decision['reason'], string>> = {
    rule: `rule of group ${rule?.origin.group ?? ''}`,
    management: 'a management rule, judged before all groups',
    default: binding === undefined ? 'the policy does not name this interface' : 'no rule matches',
    platform: `platform:${platform ?? ''}, built in`,
    state: stateReason(packet),
  };
  const describe = (one: Rule): string =>
    `${one.origin.span.file}:${one.origin.span.line}  ${formatRuleName(one.origin)}  ${one.action}, priority ${one.priority}${one.description === undefined ? '' : `  "${one.description}"`}`;
  return [
    `${verdict}  ${packet.state} ${what}, ${packet.direction} on ${packet.interface}${judgedAs(binding)}`,
    `because    ${because[reason]}`,
    ...(rule === undefined ? [] : [`rule       ${describe(rule)}`]),
    ...runnersUp.map((one) => `then       ${describe(one)}`),
    ...describeMet(met ?? []),
    '',
  ].join('\n');
}

/** By which name of the policy an interface is judged that it does not name itself. */
function judgedAs(binding: Decision['binding']): string {
  const by = binding?.by;
  if (by === undefined) return '';
  return by.as === 'altname' ? ` (by its other name ${by.pattern})` : ` (as its VRF: ${by.pattern})`;
}

/** `new tcp connection`, `reply icmp echo-reply`: what conntrack says of a packet, and what it is. */
function protocolText({ state, source, protocol, icmpType, icmpCode }: Packet): string {
  const name = protocolName(protocol, source.family);
  if (icmpType === undefined) return state === 'new' && protocol === TCP ? `${name} connection` : name;
  return `${name} ${icmpText(source.family, icmpType, icmpCode)}`;
}

function stateReason({ state, direction, source, icmpType }: Packet): string {
  switch (state) {
    case 'invalid':
      return icmpType === undefined || stateOfUnasked(icmpProtocol(source.family), icmpType) === 'new'
        ? 'conntrack calls it invalid'
        : 'conntrack calls it invalid where it belongs to no flow; ask with --state reply or related for one that does';
    case 'related':
      return icmpType === undefined
        ? 'a conntrack helper announced its flow, and `platform.helpers` is on'
        : 'it is an ICMP error about a live flow';
    case 'reply':
      return direction === 'inbound'
        ? 'it answers a flow that the host opened'
        : 'it answers a flow that the inbound rules allow';
    default:
      return 'the host opened the flow; changes of outbound rules spare it';
  }
}
