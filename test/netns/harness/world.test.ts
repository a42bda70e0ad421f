import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sendInbound, sendOutbound } from './probe.ts';
import { needKernel } from './requirements.ts';
import { tcpConnect, tcpServer } from './sockets.ts';
import { createWorld } from './world.ts';

test('a machine without the programs is told so', () => {
  const path = process.env['PATH'];
  try {
    process.env['PATH'] = '/nonexistent';
    expect(needKernel).toThrow('the program `ip`, the program `nft`, the program `python3`');
  } finally {
    process.env['PATH'] = path;
  }
  expect(needKernel).not.toThrow();
});

test('without its observer a world gives no answer', async () => {
  const world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  try {
    await world.nft('delete table inet harness');
    const probe = { source: '203.0.113.9', destination: world.link('eth0').host.ipv4, protocol: 6, identity: 1 };
    await expect(sendInbound(world, 'eth0', [probe])).rejects.toThrow('no sentinel came');
  } finally {
    await world.destroy();
  }
}, 10_000);

test('addresses, names and resolved neighbours are as asked', async () => {
  const world = await createWorld({
    interfaces: [{ name: 'ens5', ipv4: '172.31.5.10/20', ipv6: '2001:db8:5::a/64' }],
    neighbors: 'resolved',
  });
  try {
    const { host, peer } = world.link('ens5');
    expect(peer).toMatchObject({ ipv4: '172.31.5.11', ipv6: '2001:db8:5::b' });
    for (const address of [host.ipv4, host.ipv6, 'fe80::1%ens5']) {
      const server = await tcpServer(world.host, { address, port: 8080 });
      expect(await tcpConnect(world.peer('ens5'), { address, port: 8080 })).toMatchObject({ kind: 'connected' });
      await server.close();
    }
    const { stdout } = await world.exec(world.host, ['ip', 'neighbour', 'show', 'to', peer.ipv6]);
    expect(stdout).toContain(peer.mac);
    await expect(sendOutbound(world, 'ens5', [])).rejects.toThrow('static neighbours');
  } finally {
    await world.destroy();
  }
});

test('nothing of a world remains, nor of one that failed', async () => {
  const before = namespaces();
  const world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  const { namespace } = world.host;
  const created = namespaces().filter((name) => !before.includes(name));
  expect(created).toContain(namespace);
  await world.destroy();
  await world.destroy();
  expect(existsSync(`/run/netns/${namespace}`)).toBe(false);
  await expect(world.host.agent.request('settings', { settings: {} })).rejects.toThrow('has ended');
  await expect(createWorld({ interfaces: [{ name: 'longer-than-fifteen' }] })).rejects.toThrow('not a valid ifname');
  expect(namespaces().filter((name) => name.startsWith(`sgt${process.pid}-`) && !before.includes(name))).toEqual([]);
});

test('namespaces of a process that was killed are removed', async () => {
  const { pid } = spawnSync('true');
  const stale = `sgt${pid}-0.1-host`;
  execFileSync('ip', ['netns', 'add', stale]);
  const world = await createWorld({ interfaces: [] });
  await world.destroy();
  expect(namespaces()).not.toContain(stale);
});

function namespaces(): string[] {
  return readdirSync('/run/netns');
}
