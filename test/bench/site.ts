import { join } from 'node:path';
import { createNamespaces, namespacePrefix, removeNamespaces } from '../netns/harness/namespaces.ts';
import { Endpoint } from './endpoint.ts';
import { ADDRESSES } from './generated-policy.ts';
import { type Ran, type RunOptions, runBy } from './run.ts';

/** Every host's end has the same MAC, and every peer's, so that the same prepared frames go to all of them. */
export const MACS = { host: '02:53:47:00:02:01', peer: '02:53:47:00:02:02' } as const;

/** A host that one way of filtering is loaded into. */
export interface Host {
  readonly namespace: string;
  /** The peer's interface that leads to it. */
  readonly peerInterface: string;
  readonly endpoint: Endpoint;
}

/** Hosts side by side, all of them reached from one peer that sends to each in turn. */
export interface Site {
  readonly peer: Endpoint;
  readonly hosts: ReadonlyMap<string, Host>;
  /** The host of this name; throws where there is none. */
  host(name: string): Host;
  destroy(): Promise<void>;
}

/** Makes a site with a host for each of `names`; whatever fails on the way, nothing of it remains. */
export async function createSite(root: string, names: readonly string[]): Promise<Site> {
  const prefix = namespacePrefix();
  const peerNamespace = `${prefix}-bench-peer`;
  const namespaces = names.map((_, i) => `${prefix}-bench${i}`);
  const program = join(root, 'test/bench/endpoint.py');
  const endpoints: Endpoint[] = [];
  const destroy = async (): Promise<void> => {
    await Promise.all(endpoints.map((endpoint) => endpoint.stop()));
    removeNamespaces([peerNamespace, ...namespaces]);
  };
  const start = (namespace: string, pinned: boolean): Endpoint => {
    const endpoint = new Endpoint(program, namespace, { pinned });
    endpoints.push(endpoint);
    return endpoint;
  };
  try {
    createNamespaces([peerNamespace, ...namespaces]);
    for (const namespace of [peerNamespace, ...namespaces]) configure(namespace);
    namespaces.forEach((namespace, i) => connect(peerNamespace, namespace, i));
    const peer = start(peerNamespace, true);
    const hosts = new Map(
      names.map((name, i): readonly [string, Host] => {
        const namespace = namespaces[i] ?? '';
        return [name, { namespace, peerInterface: `to${i}`, endpoint: start(namespace, false) }];
      }),
    );
    const host = (name: string): Host => {
      const found = hosts.get(name);
      if (found === undefined) throw new Error(`the site has no host ${name}`);
      return found;
    };
    return { peer, hosts, host, destroy };
  } catch (error) {
    await destroy();
    throw error;
  }
}

/** Runs a program in a namespace to its end; throws what {@link runBy} throws. */
export function runIn(namespace: string, argv: readonly string[], options?: RunOptions): Ran {
  // nsenter and not `ip netns exec`, which mounts /sys anew each time.
  return runBy(['nsenter', `--net=/run/netns/${namespace}`], argv, options);
}

/** Loads an nft script into a namespace; its milliseconds. */
export function loadNft(namespace: string, script: string): number {
  return runIn(namespace, ['nft', '-f', '-'], { input: script }).milliseconds;
}

/** Removes every rule of a namespace made for measuring. */
export function unload(namespace: string): void {
  loadNft(namespace, 'flush ruleset\n');
}

function configure(namespace: string): void {
  // No packet is judged by its source's route, and nothing on a link speaks by itself.
  const settings = ['all', 'default'].flatMap((which) => [
    `net.ipv4.conf.${which}.rp_filter=0`,
    `net.ipv6.conf.${which}.accept_dad=0`,
    `net.ipv6.conf.${which}.accept_ra=0`,
    `net.ipv6.conf.${which}.router_solicitations=0`,
  ]);
  runIn(namespace, ['sysctl', '-qw', ...settings]);
}

// The host has a route to its one living client and to no other address: what it would send to the senders of probes
// (resets, ICMP errors) has nowhere to go, so that no measurement has the cost of an answer in it.
function connect(peer: string, host: string, index: number): void {
  const { ipv4, ipv6 } = ADDRESSES;
  const there = `to${index}`;
  batch(host, [
    `link add eth0 address ${MACS.host} type veth peer name ${there} address ${MACS.peer} netns ${peer}`,
    'link set lo up',
    'link set eth0 up',
    `address add ${ipv4.host}/32 dev eth0`,
    `address add ${ipv6.host}/128 dev eth0 nodad`,
    `route add ${ipv4.client}/32 dev eth0 src ${ipv4.host}`,
    `route add ${ipv6.client}/128 dev eth0 src ${ipv6.host}`,
    ...[ipv4, ipv6].map(({ client }) => `neighbor add ${client} lladdr ${MACS.peer} nud permanent dev eth0`),
  ]);
  batch(peer, [
    'link set lo up',
    `link set ${there} up`,
    `address add ${ipv4.client}/32 dev ${there}`,
    // Each host has the same address; the client chooses by interface.
    `route add ${ipv4.host}/32 dev ${there} metric ${100 + index}`,
    `neighbor add ${ipv4.host} lladdr ${MACS.host} nud permanent dev ${there}`,
  ]);
}

function batch(namespace: string, commands: readonly string[]): void {
  runIn(namespace, ['ip', '-batch', '-'], { input: commands.join('\n') });
}
