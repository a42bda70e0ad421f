import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import type { Node, World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import { type Firewall, firewallOf, type Keys, until } from './scenario.ts';

/** What a host needs to have a network at all, under the strictest policy there is: no group on the interface. */
let world: World;
let firewall: Firewall;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'secgroupd-platform-'));
  world = await createWorld({ interfaces: [{ name: 'eth0' }], neighbors: 'resolved' });
  firewall = firewallOf(world);
  await world.host.agent.request('settings', {
    settings: { 'net/ipv6/conf/eth0/accept_dad': '1', 'net/ipv6/conf/eth0/dad_transmits': '1' },
  });
});

afterAll(async () => {
  await world.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const strictest = async (platform: Keys = {}): Promise<unknown> => await firewall.apply({ groups: [], platform });

describe('IPv6 neighbour discovery', () => {
  /** Gives the host an address and waits until the kernel has decided whether it may be used. */
  const adopt = async (address: string): Promise<'usable' | 'duplicate'> => {
    await world.exec(world.host, ['ip', 'address', 'add', `${address}/64`, 'dev', 'eth0']);
    let state = '';
    await until(`the verdict on ${address}`, async () => {
      const { stdout } = await world.exec(world.host, ['ip', '-6', '-o', 'address', 'show', 'to', address]);
      state = stdout;
      return stdout.includes('dadfailed') || !stdout.includes('tentative');
    });
    expect(state).toContain(address);
    await world.exec(world.host, ['ip', 'address', 'delete', `${address}/64`, 'dev', 'eth0']);
    return state.includes('dadfailed') ? 'duplicate' : 'usable';
  };
  const occupied = 'fd77::98';

  beforeAll(async () => {
    await world.exec(world.peer('eth0'), ['ip', 'address', 'add', `${occupied}/64`, 'dev', 'eth0', 'nodad']);
  });

  test('a free address becomes usable, a duplicate one is detected', async () => {
    await strictest();
    expect(await Promise.all([adopt('fd77::99'), adopt(occupied)])).toEqual(['usable', 'duplicate']);
  });

  test('switched off, a duplicate address goes undetected', async () => {
    await strictest({ neighborDiscovery: false });
    expect(await adopt(occupied)).toBe('usable');
  });

  /** Whether `node` finds out who has the address, when it has forgotten and wants to send there. */
  const resolves = async (node: Node, address: string): Promise<boolean> => {
    await world.exec(node, ['ip', '-6', 'neighbour', 'flush', 'dev', 'eth0']);
    await world.exec(node, ['ping', '-n', '-c', '1', '-W', '1', address], { reject: false });
    const { stdout } = await world.exec(node, ['ip', '-6', 'neighbour', 'show', 'to', address, 'dev', 'eth0']);
    return stdout.includes('lladdr');
  };

  test('the host is found, though it answers nothing else', async () => {
    const { ipv6 } = world.link('eth0').host;
    await strictest();
    expect(await resolves(world.peer('eth0'), ipv6)).toBe(true);
    await strictest({ neighborDiscovery: false });
    expect(await resolves(world.peer('eth0'), ipv6)).toBe(false);
  });

  test('the host finds whom it may talk to', async () => {
    const { ipv6 } = world.link('eth0').peer;
    await firewall.apply({ outbound: [{ destination: 'any' }] });
    expect(await resolves(world.host, ipv6)).toBe(true);
    await firewall.apply({ outbound: [{ destination: 'any' }], platform: { neighborDiscovery: false } });
    expect(await resolves(world.host, ipv6)).toBe(false);
  });
});

describe('router advertisements', () => {
  const held = async (prefix: string): Promise<boolean> => {
    const { stdout } = await world.exec(world.host, ['ip', '-6', '-o', 'address', 'show', 'dev', 'eth0']);
    return stdout.includes(` ${prefix}:`);
  };
  let lastIdentity = 0x4000_0708;
  /** Whether the host's hook lets through an advertisement of 2001:db8:N::/64, sent as a router on the link would. */
  const advertise = async (n: number, hopLimit: number): Promise<boolean> => {
    const prefix = Buffer.alloc(32);
    // RFC 4861 section 4.6.2: on-link and for autonomous configuration, for an hour.
    prefix.set([3, 4, 64, 0xc0]);
    prefix.writeUInt32BE(3_600, 4);
    prefix.writeUInt32BE(3_600, 8);
    prefix.set([0x20, 0x01, 0x0d, 0xb8, 0, n], 16);
    // The identity is the current hop limit, no flags and the router's lifetime in seconds.
    lastIdentity += 1;
    const packet = {
      source: world.link('eth0').peer.linkLocal,
      destination: 'ff02::1',
      protocol: 58,
      icmpType: 134,
      identity: lastIdentity,
      hopLimit,
      payload: Buffer.concat([Buffer.alloc(8), prefix]),
    };
    return (await sendInbound(world, 'eth0', [packet])).has(lastIdentity);
  };

  beforeAll(async () => {
    const settings = { 'net/ipv6/conf/eth0/accept_ra': '2', 'net/ipv6/conf/eth0/autoconf': '1' };
    await world.host.agent.request('settings', { settings });
  });

  test('give the host an address and a default route', async () => {
    await strictest();
    expect(await advertise(0x51, 255)).toBe(true);
    await until('an address', async () => await held('2001:db8:51:0'));
    const { stdout } = await world.exec(world.host, ['ip', '-6', 'route', 'show', 'default', 'proto', 'ra']);
    expect(stdout).toContain(`via ${world.link('eth0').peer.linkLocal}`);
  });

  test.each([
    { name: 'that a router forwarded', n: 0x52, hopLimit: 254, platform: {} },
    { name: 'that are switched off', n: 0x53, hopLimit: 255, platform: { routerAdvertisement: false } },
  ])('$name do nothing', async ({ n, hopLimit, platform }) => {
    await strictest(platform);
    expect(await advertise(n, hopLimit)).toBe(false);
    expect(await held(`2001:db8:${n.toString(16)}:0`)).toBe(false);
  });
});

describe('DHCP', () => {
  /**
   * Asks for an offer by UDP sockets, as packet sockets are not filtered in IPv4.
   * Exits with 0 for an offer, with 1 if none comes within two seconds, with 3 if the question is refused.
   */
  const CLIENT = `
import socket, struct, sys
mac = bytes.fromhex('026800000000')
if sys.argv[1] == 'ipv4':
    family, here, there = socket.AF_INET, ('', 68), ('255.255.255.255', 67)
    # A BOOTP request that asks for a broadcast answer (RFC 2131), the cookie, DISCOVER.
    head = struct.pack('>BBBBIHH16x', 1, 1, 6, 0, 0x5ec9, 0, 0x8000)
    question = head + mac + bytes(202) + bytes([99, 130, 83, 99, 53, 1, 1, 255])
    is_offer = lambda answer: answer[0] == 2 and answer[4:8] == question[4:8] and b'\\x35\\x01\\x02' in answer
else:
    family = socket.AF_INET6
    index = socket.if_nametoindex('eth0')
    here, there = ('fe80::1', 546, 0, index), ('ff02::1:2', 547, 0, index)
    # SOLICIT (RFC 8415): the client's DUID, an IA_NA, no time elapsed.
    question = struct.pack('>I', 0x01005ec9) + struct.pack('>HHHH', 1, 10, 3, 1) + mac
    question += struct.pack('>HHIII', 3, 12, 1, 0, 0) + struct.pack('>HHH', 8, 2, 0)
    is_offer = lambda answer: answer[:4] == b'\\x02' + question[1:4]
with socket.socket(family, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
    sock.bind(here)
    sock.settimeout(2)
    try:
        sock.sendto(question, there)
        sys.exit(0 if is_offer(sock.recv(4096)) else 4)
    except TimeoutError:
        sys.exit(1)
    except PermissionError:
        sys.exit(3)
`;
  const ask = async (family: 'ipv4' | 'ipv6'): Promise<number> =>
    (await world.exec(world.host, ['python3', '-c', CLIENT, family], { reject: false })).exitCode;

  beforeAll(async () => {
    const log = join(folder, 'dnsmasq.log');
    writeFileSync(log, '');
    const server = run(world.peer('eth0'), [
      'dnsmasq',
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--user=root',
      '--port=0',
      '--interface=eth0',
      '--no-ping',
      '--dhcp-authoritative',
      '--dhcp-range=10.77.0.100,10.77.0.150,1h',
      '--dhcp-range=fd77::100,fd77::1ff,64,1h',
      `--dhcp-leasefile=${join(folder, 'leases')}`,
      `--pid-file=${join(folder, 'dnsmasq.pid')}`,
      `--log-facility=${log}`,
    ]);
    await until('the DHCP server', async () => readFileSync(log, 'utf8').includes('started'));
    return async () => await end(server);
  });

  test.each(['ipv4', 'ipv6'] as const)('an offer by %s reaches a client that asks by a socket', async (family) => {
    await strictest();
    expect(await ask(family)).toBe(0);
    await strictest({ dhcpClient: false });
    expect(await ask(family)).toBe(3);
    // Nor does an offer get in when the question got out: it comes from another address than was asked.
    await firewall.apply({ outbound: [{ protocol: 'udp', destination: 'any' }], platform: { dhcpClient: false } });
    expect(await ask(family)).toBe(1);
  });

  test.each(['-4', '-6'])('dhclient %s gets a lease', async (family) => {
    await strictest();
    const lease = join(folder, `lease${family}`);
    writeFileSync(lease, '');
    // The script would configure the interface, and the resolver of the machine.
    const options = ['-1', '-d', '-sf', '/bin/true', '-cf', '/dev/null', '-lf', lease, '-pf', `${lease}.pid`];
    const program = join(folder, 'dhclient');
    // AppArmor's profile of the program, where there is one, goes by its path and forbids it to write here.
    copyFileSync('/sbin/dhclient', program);
    const client = run(world.host, [program, family, ...options, 'eth0']);
    const address = family === '-4' ? /fixed-address 10\.77\.0\.1\d\d;/ : /iaaddr fd77::1[0-9a-f]{2} \{/;
    try {
      await until('a lease', async () => address.test(readFileSync(lease, 'utf8')), 20_000);
    } finally {
      await end(client);
    }
  });
});

/** Runs a program in a namespace, until it is ended. */
function run({ namespace }: Node, argv: readonly string[]): ChildProcess {
  return spawn('ip', ['netns', 'exec', namespace, ...argv], { stdio: 'ignore' });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
