import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { starterPolicy } from '../../src/cli/starter-policy.ts';
import { evaluate } from '../../src/evaluate/evaluate.ts';
import type { ListeningSocket } from '../../src/host/listening-sockets.ts';
import type { HostState } from '../../src/model/host.ts';
import { locateHost } from '../../src/pipeline.ts';
import { policyOf } from '../netns/enforce.ts';
import { readAddress } from '../oracle/read-literals.ts';

const HOST: HostState = {
  hostname: 'web-1.example.com',
  machineId: '',
  interfaces: [
    { index: 1, name: 'lo', addresses: [readAddress('127.0.0.1')] },
    { index: 2, name: 'eth0', addresses: [readAddress('192.0.2.11'), readAddress('fe80::1')] },
    { index: 3, name: 'docker0', addresses: [readAddress('172.17.0.1')] },
  ],
};

function socket(protocol: 'tcp' | 'udp', port: number, address?: string, program?: string): ListeningSocket {
  return { protocol, port, address: address === undefined ? undefined : readAddress(address), program };
}

const SOCKETS = [
  socket('tcp', 22, undefined, 'sshd'),
  socket('tcp', 443, undefined, 'nginx'),
  socket('tcp', 80, undefined, 'nginx'),
  socket('tcp', 80, '2001:db8::11', 'nginx'),
  socket('tcp', 5432, '192.0.2.11', 'postgres'),
  socket('tcp', 6379, '127.0.0.1', 'redis'),
  socket('tcp', 6379, '::1', 'redis'),
  socket('udp', 53, undefined, 'named'),
  socket('udp', 68, undefined, 'dhclient'),
  socket('udp', 45_123, undefined, 'named'),
];

/** Whether the policy lets a new packet from anywhere in by eth0. */
async function lets(text: string, host: HostState, protocol: number, port: number, source = '198.51.100.7') {
  const located = locateHost(await policyOf(text), host, undefined);
  if (located.kind !== 'found') throw new Error(located.message);
  const packet = {
    interface: 'eth0',
    direction: 'inbound',
    state: 'new',
    source: readAddress(source),
    destination: readAddress('192.0.2.11'),
    protocol,
    sourcePort: 50_000,
    destinationPort: port,
    icmpType: undefined,
    icmpCode: undefined,
    hopLimit: undefined,
  } as const;
  return evaluate(located.hostPolicy, packet).verdict === 'allow';
}

describe('the starter policy', () => {
  test('lets in what listens for others, and nothing that listens on loopback, asks for a lease, or has a port by chance', async () => {
    const text = starterPolicy({ host: HOST, sockets: SOCKETS, session: undefined });
    const open = async (protocol: number, ports: readonly number[]): Promise<readonly boolean[]> =>
      Promise.all(ports.map((port) => lets(text, HOST, protocol, port)));
    expect(await open(6, [22, 80, 443, 5432])).toEqual([true, true, true, true]);
    expect(await open(6, [23, 6379, 8080])).toEqual([false, false, false]);
    expect(await open(17, [53, 68, 45_123, 80])).toEqual([true, false, false, false]);
    expect(text).toContain('{ protocol: tcp, ports: "80,443", source: any, description: "nginx" }');
    expect(text).toContain('# A database: name those who need it');
    expect(text).toContain('"eth0": { securityGroups: [host] } # 192.0.2.11\n');
    expect(text).toContain('# Left to those who made them, and unfiltered by this policy: docker0\n');
    expect(text).not.toContain('"docker0"');
  });

  test('never cuts ssh: on its usual port, whether a server was seen or not, and from where somebody is logged in', async () => {
    const without = starterPolicy({ host: HOST, sockets: [], session: undefined });
    expect(await lets(without, HOST, 6, 22)).toBe(true);
    const session = { address: readAddress('203.0.113.7'), port: 2_222 };
    const text = starterPolicy({ host: HOST, sockets: [], session });
    expect(text).toContain('- { protocol: tcp, ports: 2222, source: "203.0.113.7" }');
    expect(await lets(text, HOST, 6, 2_222, '203.0.113.7')).toBe(true);
    expect(await lets(text, HOST, 6, 2_222, '203.0.113.8')).toBe(false);
  });

  test('is valid, and this host’s, whatever the host, its interfaces and its programs are called', async () => {
    const name = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' });
    // What Linux lets an interface be called (dev_valid_name).
    const link = fc
      .stringMatching(/^[^\s/:*\0\u0085\u00a0]{1,15}$/)
      .filter((one) => one !== '.' && one !== '..' && Buffer.byteLength(one) < 16);
    await fc.assert(
      fc.asyncProperty(name, fc.uniqueArray(link, { maxLength: 3 }), name, async (hostname, links, program) => {
        const interfaces = links.map((one, index) => ({ index, name: one, addresses: [] }));
        const host = { hostname, machineId: '', interfaces };
        const text = starterPolicy({ host, sockets: [socket('tcp', 80, undefined, program)], session: undefined });
        const located = locateHost(await policyOf(text), host, undefined);
        expect(located.kind).toBe('found');
      }),
    );
  });
});
