import { execa } from 'execa';
import { Agent } from './agent.ts';
import { endCommands, type InterfaceSpec, type Link, type Neighbors, pairCommand, planLink } from './links.ts';
import { createNamespaces, namespacePrefix, removeNamespaces, removeStaleNamespaces } from './namespaces.ts';
import { PROBE_MAC, SENTINEL_MAC } from './probe-frames.ts';
import { needKernel } from './requirements.ts';
import { NODE_SETTINGS } from './settings.ts';

/** A link of a living world. */
export interface WorldLink extends Link {
  /** Observes what arrives at the peer; a handle of the peer's agent. */
  readonly wire: number;
}

/** A namespace and the agent in it. */
export interface Node {
  readonly namespace: string;
  readonly agent: Agent;
}

/** What `createWorld` makes. */
export interface WorldSpec {
  readonly interfaces: readonly InterfaceSpec[];
  /** `static` unless told. */
  readonly neighbors?: Neighbors;
}

/** What a program run in a namespace said. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A host with a firewall to be, and one peer for each of its interfaces. */
export interface World {
  readonly host: Node;
  readonly links: readonly WorldLink[];
  readonly neighbors: Neighbors;
  /** Observes which probes got past the host's input hook; a handle of the host's agent. */
  readonly input: number;
  /** The link of this interface; throws for a name that the world has not. */
  link(name: string): WorldLink;
  /** The peer at the other end of this interface. */
  peer(name: string): Node;
  /** Runs a program in a namespace; throws when it fails, unless `reject` is false. */
  exec(node: Node, argv: readonly string[], options?: { input?: string; reject?: boolean }): Promise<ExecResult>;
  /** Loads an nft script into the host; throws what nft says to it. */
  nft(script: string): Promise<void>;
  /** Makes the host forget all flows; the fewer there are, the faster. */
  flushConntrack(): Promise<void>;
  /** Ends all agents and removes all namespaces; once is enough, twice does no harm. */
  destroy(): Promise<void>;
}

/** The NFLOG group on which the host's observer listens. */
const OBSERVER_GROUP = 47_110;

// Behind every chain a firewall has, so that what is seen here was let through by all. A sentinel is seen before every
// chain, so that its coming shows, whatever the policy, that the probes sent before it are through and that this table
// still stands. Both go by MAC: nothing else is logged, and no probe has a sentinel's.
const OBSERVER = `
table inet harness {
  chain first {
    type filter hook prerouting priority -2000000000
    ether saddr ${SENTINEL_MAC} log group ${OBSERVER_GROUP} drop
  }
  chain last {
    type filter hook input priority 2000000000
    ether saddr ${PROBE_MAC} log group ${OBSERVER_GROUP}
  }
}
`;

/** Makes a world; whatever fails on the way, nothing of it remains. Throws where `needKernel` does. */
export async function createWorld({ interfaces, neighbors = 'static' }: WorldSpec): Promise<World> {
  needKernel();
  removeStaleNamespaces();
  const prefix = namespacePrefix();
  const namespaces = [`${prefix}-host`, ...interfaces.map((_, i) => `${prefix}-peer${i}`)];
  const nodes: Node[] = [];
  const destroy = async (): Promise<void> => {
    await Promise.all(nodes.map(({ agent }) => agent.stop()));
    removeNamespaces(namespaces);
  };
  try {
    createNamespaces(namespaces);
    nodes.push(...namespaces.map((namespace) => ({ namespace, agent: new Agent(namespace) })));
    const [host, ...peers] = nodes as [Node, ...Node[]];
    const plans = interfaces.map(planLink);
    await connect({ host, peers, links: plans, neighbors });
    await exec(host, ['nft', '-f', '-'], { input: OBSERVER });
    const input = await observe(host, { group: OBSERVER_GROUP });
    const links = await Promise.all(
      plans.map(async (link, i) => ({ ...link, wire: await observe(peers[i] as Node, { interface: link.name }) })),
    );
    const find = (name: string): number => {
      const index = links.findIndex((link) => link.name === name);
      if (index < 0) throw new RangeError(`this world has no interface \`${name}\``);
      return index;
    };
    return {
      host,
      links,
      neighbors,
      input,
      link: (name) => links[find(name)] as WorldLink,
      peer: (name) => peers[find(name)] as Node,
      exec,
      nft: async (script) => {
        await exec(host, ['nft', '-f', '-'], { input: script });
      },
      flushConntrack: async () => {
        await host.agent.request('flush-conntrack');
      },
      destroy,
    };
  } catch (error) {
    await destroy();
    throw error;
  }
}

async function exec(
  { namespace }: Node,
  argv: readonly string[],
  { input = '', reject = true }: { input?: string; reject?: boolean } = {},
): Promise<ExecResult> {
  const result = await execa('ip', ['netns', 'exec', namespace, ...argv], { input, reject });
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
}

async function observe({ agent }: Node, what: { group: number } | { interface: string }): Promise<number> {
  return (await agent.request<{ handle: number }>('observe', what)).handle;
}

interface Plan {
  readonly host: Node;
  readonly peers: readonly Node[];
  readonly links: readonly Link[];
  readonly neighbors: Neighbors;
}

async function connect({ host, peers, links, neighbors }: Plan): Promise<void> {
  await Promise.all([host, ...peers].map(({ agent }) => agent.request('settings', { settings: NODE_SETTINGS })));
  const ends = links.map((link, i) => ({ link, peer: peers[i] as Node }));
  await ip(
    [],
    ends.map(({ link, peer }) => pairCommand(link, host.namespace, peer.namespace)),
  );
  await Promise.all([
    ip(
      ['-n', host.namespace],
      ['link set lo up', ...links.flatMap((link, i) => endCommands(link, 'host', neighbors, i))],
    ),
    ...ends.map(({ link, peer }) =>
      ip(['-n', peer.namespace], ['link set lo up', ...endCommands(link, 'peer', neighbors, 0)]),
    ),
  ]);
}

async function ip(options: readonly string[], commands: readonly string[]): Promise<void> {
  await execa('ip', [...options, '-batch', '-'], { input: commands.join('\n') });
}
