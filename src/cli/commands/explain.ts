import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  type Command,
  CommandError,
  type CommandLine,
  EXIT,
  type ExitStatus,
  type Streams,
  UsageError,
} from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import { type Locating, locate, placementOf, readHost, readPolicyOrExplain } from '#cli/input/load.ts';
import { readOtherChains } from '#cli/input/other-chains.ts';
import { completePacket } from '#cli/input/packet-interface.ts';
import { type PacketQuery, PROTOCOL_CHOICES, readPacketQuery } from '#cli/input/packet-query.ts';
import { decisionToJson, formatDecision } from '#cli/present/format-decision.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { chainsMet } from '#core/meaning/other-chains.ts';
import { findInstance } from '#core/model/policy/find-instance.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { isStandardInput } from '#host/files/placed-reader.ts';

/** `sgctl explain`: which rule decides on a packet. */
export const explain: Command = {
  name: 'explain',
  summary:
    'Shows which rule of a policy decides on a packet, with file and line, and which matching rules come after it. On the host itself, as root, it also lists the chains of other tables (Docker, ufw, your own) that may still drop the packet, or that change its destination first. It does not look at live flows: packets that the host sends on a revoked flow are dropped whatever the rules are (state:revoked, sgctl status).',
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
      help: 'the interface; optional if the instance has only one, or if the address of this end determines it',
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
      help: 'exit with status 1 unless this is the verdict',
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
  maxPositionals: 0,
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
    // A mistake in the query is reported before any file is read.
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
    const met = chainsMet(others, { packet, verdict: decision.verdict }, host);
    streams.out(
      line.given('json')
        ? `${JSON.stringify(decisionToJson(packet, decision, met))}\n`
        : formatDecision(packet, decision, met),
    );
    return expected === undefined || expected === decision.verdict ? EXIT.success : EXIT.no;
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

/** Prints an answer for each line, in order; for an invalid line it prints the error and returns the status `usage`. */
async function explainBatch({ batch, policy, host, line, streams }: Batch): Promise<ExitStatus> {
  const views = new Map<string | undefined, HostPolicy>();
  let outcome: ExitStatus = EXIT.success;
  const input = batch === '-' ? process.stdin : createReadStream(batch);
  const failed = new Promise<never>((_resolve, reject) => {
    input.once('error', (error: Error) => reject(new CommandError(`cannot read ${batch}: ${error.message}`)));
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
        const met = chainsMet(isHere ? others : undefined, { packet, verdict: decision.verdict }, host);
        streams.out(`${JSON.stringify(decisionToJson(packet, decision, met))}\n`);
      } catch (error) {
        if (!(error instanceof UsageError) && !(error instanceof CommandError)) throw error;
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
    if (value !== undefined && typeof value !== 'string') throw new UsageError(`${key} is text`);
    return value;
  };
  return { ...words, instance: word('instance'), interface: word('interface') };
}

/** The policy as it applies to the instance `named`: with this host's interfaces if that is this host, else without any. */
function resolveAs(policy: Policy, host: HostState, { named, streams }: Locating): HostPolicy {
  const own = findInstance(policy, host);
  const seen = named === undefined || named === own ? host : { ...host, interfaces: [] };
  return locate(policy, seen, { named, streams });
}
