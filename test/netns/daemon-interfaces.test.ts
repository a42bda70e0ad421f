import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { tcpConnect, tcpServer } from './harness/sockets.ts';
import { createSite, reached, replaceFile, type Site } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';
import { carries, closeFlows, type Flow, openFlow, pause, received, talking } from './scenario.ts';

let site: Site;

beforeEach(async () => {
  site = await createSite({ interfaces: [{ name: 'eth0' }, { name: 'eth1' }] });
});
afterEach(async () => {
  await site?.remove();
});

/** Runs `ip` in the host. */
async function ip(...words: readonly string[]): Promise<void> {
  await site.world.exec(site.world.host, ['ip', ...words]);
}

/** A cable from the host to eth0's peer that no one knew of, with 10.9.`subnet`.1 here and .2 there. */
async function plug(name: string, subnet: number): Promise<void> {
  const peer = site.world.peer('eth0');
  await ip('link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', name, 'netns', peer.namespace);
  await ip('address', 'add', `10.9.${subnet}.1/24`, 'dev', name);
  await ip('link', 'set', name, 'up');
  await site.world.exec(peer, ['ip', 'address', 'add', `10.9.${subnet}.2/24`, 'dev', name]);
  await site.world.exec(peer, ['ip', 'link', 'set', name, 'up']);
}

/** Which of the host's ports 80 and 81 the peer reaches at this address. */
async function openPorts(address: string): Promise<readonly number[]> {
  const ends = await Promise.all(
    [80, 81].map((port) => tcpConnect(site.world.peer('eth0'), { address, port, timeout: 400 })),
  );
  const open: number[] = [];
  for (const [i, end] of ends.entries()) {
    if (end.kind === 'failed') continue;
    await end.socket.close(true);
    open.push(80 + i);
  }
  return open;
}

async function untilOpen(address: string, ports: readonly number[]): Promise<void> {
  await until(`at ${address} open are ${ports.join(', ')}`, async () => {
    return (await openPorts(address)).join() === ports.join();
  });
}

async function listen(): Promise<void> {
  for (const port of [80, 81]) await tcpServer(site.world.host, { address: '0.0.0.0', port });
}

test('a client that comes by another interface than holds the address is revoked by the rules of the one it comes by', async () => {
  const text = (ports: readonly number[]): string => {
    const inbound = (to: readonly number[]) => ({
      inbound: ['tcp', 'udp'].flatMap((protocol) => to.map((port) => ({ protocol, ports: port, source: 'any' }))),
      outbound: [{ destination: 'any' }],
    });
    const interfaces = { eth0: { securityGroups: ['web'] }, eth9: { securityGroups: ['other'] } };
    const securityGroups = { web: inbound([80]), other: inbound(ports) };
    return `${JSON.stringify({ version: 1, securityGroups, instances: { host: { interfaces } } })}\n`;
  };
  const { world } = site;
  await plug('eth9', 1);
  const way = ['10.77.0.1/32', 'via', '10.9.1.1', 'dev', 'eth9', 'src', '10.9.1.2'];
  await world.exec(world.peer('eth0'), ['ip', 'route', 'add', ...way]);
  replaceFile(site.policyFile, text([80]));
  const daemon = await site.start();
  const open = (transport: 'tcp' | 'udp'): Promise<Flow> =>
    openFlow({ world, transport, family: 'ipv4', port: 80, source: '10.9.1.2', server: talking(transport) });
  const flows = [await open('tcp'), await open('udp')];
  const revoked = (count: number): Promise<unknown> =>
    daemon.until(`${count} flows are revoked`, ({ revokedFlows }) => revokedFlows.remembered === count);
  replaceFile(site.policyFile, text([]));
  await revoked(flows.length);
  await world.flushConntrack();
  const hear = (): Promise<readonly number[]> => Promise.all(flows.map(({ far }) => received(far)));
  const heard = await hear();
  // The servers speak first.
  await pause(500);
  for (let i = 0; i < 5; i += 1) {
    for (const { near } of flows) await near.write(10);
    await pause(100);
  }
  expect(await hear()).toEqual(heard);
  replaceFile(site.policyFile, text([80]));
  await revoked(0);
  for (const { near, far } of flows) await carries(near, far);
  await closeFlows();
});

describe('interfaces that come and go', () => {
  test('one that the policy names and the host lacks: the daemon runs, and it is judged from its first packet', async () => {
    await listen();
    replaceFile(
      site.policyFile,
      `version: 1
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: any }], outbound: [{ destination: any }] }
instances:
  host: { interfaces: { eth9: { securityGroups: [web] } } }
`,
    );
    const daemon = await site.start();
    expect(await daemon.status()).toMatchObject({
      state: 'enforced',
      interfaces: [],
      absentInterfaces: ['eth9'],
      unmanagedInterfaces: { names: ['eth0', 'eth1'], action: 'allow' },
    });
    const table = await site.table();
    await plug('eth9', 1);
    expect(await openPorts('10.9.1.1')).toEqual([80]);
    expect(await openPorts('10.77.0.1')).toEqual([80, 81]);
    const status = await daemon.until('eth9 is told of', ({ interfaces }) => interfaces.length === 1);
    expect(status).toMatchObject({ interfaces: [{ name: 'eth9', groups: ['web'] }], absentInterfaces: [] });

    await ip('link', 'set', 'eth9', 'down');
    await ip('link', 'set', 'eth9', 'name', 'uplink');
    await ip('link', 'set', 'uplink', 'up');
    await untilOpen('10.9.1.1', [80, 81]);
    await daemon.until('uplink is told of', ({ unmanagedInterfaces, absentInterfaces }) => {
      return unmanagedInterfaces.names.includes('uplink') && absentInterfaces.includes('eth9');
    });
    await ip('link', 'set', 'uplink', 'down');
    await ip('link', 'set', 'uplink', 'name', 'eth9');
    await ip('link', 'set', 'eth9', 'up');
    await untilOpen('10.9.1.1', [80]);
    await ip('link', 'delete', 'eth9');
    await daemon.until('eth9 is gone', ({ absentInterfaces }) => absentInterfaces.includes('eth9'));
    // Names are compared for every packet, so nothing has to be loaded when an interface comes.
    expect(await site.table()).toBe(table);
    expect((await daemon.status()).inForce?.generation).toBe(1);
  });

  test('none that the policy names: everybody is told that the host is not protected, and with one it is', async () => {
    const policy = (name: string, more = ''): string => `version: 1
${more}securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: any }], outbound: [{ destination: any }] }
instances:
  "*": { interfaces: { ${name}: { securityGroups: [web] } } }
`;
    const OPEN = /^NOT PROTECTED: everything passes. The policy names only ehh0, and this host has eth0, eth1$/m;
    const HINT = /did you mean `eth0`, not `ehh0`\?/;
    replaceFile(site.policyFile, policy('ehh0'));
    const daemon = await site.start({ instance: null });
    expect(await daemon.status()).toMatchObject({ state: 'enforced', protected: false });
    const told = await site.sgctl('status');
    expect(told).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(OPEN) as string });
    expect(told.stdout.split('\n')[0]).toMatch(OPEN);
    expect(told.stdout).toMatch(HINT);
    expect(told.stdout.match(/ehh0/g)).toHaveLength(2);
    expect(told.stdout).not.toMatch(/^policy .*: active/m);
    expect(told.stdout).not.toContain('enforced');
    expect((await site.sgctl('status', '--json')).exitCode).toBe(1);
    expect(daemon.log.some(({ msg }) => msg.startsWith('NOT PROTECTED'))).toBe(true);
    for (const command of ['check', 'plan']) {
      const { exitCode, stderr } = await site.sgctl(command, site.policyFile);
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(OPEN) as string });
      expect(stderr).toMatch(HINT);
    }
    expect((await site.sgctl('check', site.policyFile)).stdout).not.toContain('ehh0');
    // Another host's plan is none of this one's.
    const elsewhere = ['--against', site.policyFile, '--instance', '*'];
    expect((await site.sgctl('plan', site.policyFile, ...elsewhere)).stderr).toBe('');

    const isProtected = async (text: string): Promise<void> => {
      replaceFile(site.policyFile, text);
      await daemon.until('the host is protected', (status) => status.protected);
      expect(await site.sgctl('status')).toMatchObject({
        exitCode: 0,
        stdout: expect.not.stringContaining('NOT PROTECTED') as string,
      });
      expect(await site.sgctl('check', site.policyFile)).toMatchObject({ exitCode: 0, stderr: '' });
    };
    await isProtected(policy('eth0'));
    replaceFile(site.policyFile, policy('ehh0'));
    await daemon.until('it is not', (status) => !status.protected);
    await isProtected(policy('eth*'));
    await isProtected(policy('ehh0', 'unmanagedInterfaces: deny\n'));
  });

  test('unmanagedInterfaces: deny shuts what the policy does not name, and a renamed interface with it', async () => {
    await listen();
    replaceFile(
      site.policyFile,
      `version: 1
unmanagedInterfaces: deny
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: any }] }
instances:
  host: { interfaces: { eth9: { securityGroups: [web] } } }
`,
    );
    await site.start();
    await plug('eth9', 2);
    expect(await openPorts('10.9.2.1')).toEqual([80]);
    expect(await openPorts('10.77.0.1')).toEqual([]);
    await ip('link', 'set', 'eth9', 'down');
    await ip('link', 'set', 'eth9', 'name', 'eth8');
    await ip('link', 'set', 'eth8', 'up');
    await untilOpen('10.9.2.1', []);
  });

  test('a glob judges each interface whose name begins so, the longer one first, and an exact name before both', async () => {
    await listen();
    replaceFile(
      site.policyFile,
      `version: 1
securityGroups:
  first: { inbound: [{ protocol: tcp, ports: 80, source: any }] }
  second: { inbound: [{ protocol: tcp, ports: 81, source: any }] }
  both: { inbound: [{ protocol: tcp, ports: 80-81, source: any }] }
instances:
  host:
    interfaces:
      "ens*": { securityGroups: [first] }
      "ens1*": { securityGroups: [second] }
      ens12: { securityGroups: [both] }
      "*": { securityGroups: [] }
`,
    );
    const daemon = await site.start();
    await plug('ens3', 3);
    await plug('ens13', 4);
    await plug('ens12', 5);
    expect(await openPorts('10.9.3.1')).toEqual([80]);
    expect(await openPorts('10.9.4.1')).toEqual([81]);
    expect(await openPorts('10.9.5.1')).toEqual([80, 81]);
    expect(await openPorts('10.77.0.1')).toEqual([]);
    const { interfaces } = await daemon.until('all are told of', (status) => status.interfaces.length === 5);
    expect(Object.fromEntries(interfaces.map(({ name, pattern }) => [name, pattern]))).toEqual({
      ens3: 'ens*',
      ens13: 'ens1*',
      ens12: 'ens12',
      eth0: '*',
      eth1: '*',
    });
  });
});

describe('dynamic addresses', () => {
  let identity = 0;

  /** Whether a packet from `source`, an address of the host as a rule, to this TCP port of eth0 is let in by the groups. */
  async function letsIn(source: string, destinationPort: number): Promise<boolean> {
    identity += 1;
    const destination = source.includes(':') ? 'fd77:0::1' : '10.77.0.1';
    const packet = { source, destination, protocol: 6, sourcePort: 1_024 + identity, destinationPort, identity };
    return (await sendInbound(site.world, 'eth0', [packet])).has(identity);
  }

  test('a group whose members they are follows the host by elements, while no chain is made anew', async () => {
    replaceFile(
      site.policyFile,
      `version: 1
platform: { ownAddress: false }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: 80, source: { securityGroup: lan } }
      - { protocol: tcp, ports: 81, source: self }
  lan: {}
instances:
  host:
    interfaces:
      eth0: { addresses: dynamic, securityGroups: [web] }
      eth1: { addresses: dynamic, securityGroups: [lan] }
`,
    );
    const daemon = await site.start();
    const chains = await site.nft('-a', 'list', 'chains');
    expect(await letsIn('198.51.100.7', 80)).toBe(false);
    expect(await letsIn('10.77.1.1', 80)).toBe(true);
    expect(await letsIn('10.77.0.1', 81)).toBe(true);
    expect(await letsIn('10.77.0.1', 80)).toBe(false);

    await ip('address', 'add', '198.51.100.7/32', 'dev', 'eth1');
    await daemon.until('the address is a member', reached(2));
    expect(await letsIn('198.51.100.7', 80)).toBe(true);
    expect(await letsIn('198.51.100.7', 81)).toBe(false);
    expect(await site.nft('list', 'set', 'inet', 'secgroupd', 'group/lan/ipv4/g1')).toContain('198.51.100.7');

    await ip('address', 'delete', '198.51.100.7/32', 'dev', 'eth1');
    await daemon.until('the address is no member', reached(3));
    expect(await letsIn('198.51.100.7', 80)).toBe(false);

    await ip('address', 'add', '198.51.100.7/32', 'dev', 'eth0');
    await ip('address', 'add', '2001:db8::7/128', 'dev', 'eth0', 'nodad');
    await until('both are members of the other group', async () => {
      return (await letsIn('198.51.100.7', 81)) && (await letsIn('2001:db8::7', 81));
    });
    expect(await letsIn('198.51.100.7', 80)).toBe(false);
    expect(await letsIn('2001:db8::7', 80)).toBe(false);

    expect(await site.nft('-a', 'list', 'chains')).toBe(chains);
    expect(daemon.log.flatMap(({ change }) => change ?? []).slice(0, 3)).toEqual(['swap', 'elements', 'elements']);
    expect(daemon.log.filter(({ change }) => change === 'swap')).toHaveLength(1);
  });

  test('an interface that comes brings its addresses, and takes them along when it goes', async () => {
    replaceFile(
      site.policyFile,
      `version: 1
platform: { ownAddress: false }
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: { securityGroup: guests } }] }
  guests: {}
instances:
  host:
    interfaces:
      eth0: { securityGroups: [web] }
      "tap*": { addresses: dynamic, securityGroups: [guests] }
`,
    );
    const daemon = await site.start();
    expect(await letsIn('10.9.6.1', 80)).toBe(false);
    await plug('tap0', 6);
    await until('its address is a member', () => letsIn('10.9.6.1', 80));
    expect(await letsIn('10.9.6.2', 80)).toBe(false);
    await ip('link', 'delete', 'tap0');
    await until('its address is no member', async () => !(await letsIn('10.9.6.1', 80)));
    expect(daemon.log.filter(({ change }) => change === 'swap')).toHaveLength(1);
  });
});

describe('names that the kernel has otherwise', () => {
  const POLICY = (interfaces: string): string => `version: 1
platform: { ownAddress: false }
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: any }], outbound: [{ destination: any }] }
instances:
  host: { interfaces: { ${interfaces} } }
`;

  /** The policy as a file of any host's: this one is called otherwise than its instance. */
  function ofAnyHost(): string {
    const file = join(site.directory, 'any.yaml');
    writeFileSync(file, readFileSync(site.policyFile, 'utf8').replace('  host:', '  "*":'));
    return file;
  }

  test('an alternative name judges the interface as soon as it has it, and no longer than that', async () => {
    await listen();
    replaceFile(site.policyFile, POLICY('alt0: { securityGroups: [web] }'));
    const daemon = await site.start();
    await plug('x0', 1);
    await untilOpen('10.9.1.1', [80, 81]);
    await ip('link', 'property', 'add', 'dev', 'x0', 'altname', 'alt0');
    await untilOpen('10.9.1.1', [80]);
    expect(await daemon.status()).toMatchObject({
      interfaces: [{ name: 'x0', pattern: 'alt0', as: 'altname', groups: ['web'] }],
      absentInterfaces: [],
      interfaceNotes: [],
    });
    expect((await site.sgctl('status')).stdout).toContain('x0 (by its other name alt0): web');
    const ends = ['--protocol', 'tcp', '--src', '10.9.1.2', '--dst', '10.9.1.1', '--dport', '81'];
    const asked = ['--policy', ofAnyHost(), '--direction', 'inbound', '--interface', 'x0'];
    expect((await site.sgctl('explain', ...asked, ...ends)).stdout).toMatch(
      /^deny .* on x0 \(by its other name alt0\)$/m,
    );
    await ip('link', 'property', 'del', 'dev', 'x0', 'altname', 'alt0');
    await untilOpen('10.9.1.1', [80, 81]);
    await daemon.until('it is told of', ({ absentInterfaces }) => absentInterfaces.includes('alt0'));
  });

  test('a port of a bridge judges nothing, which status, the log and lint say; the bridge does', async () => {
    await listen();
    replaceFile(site.policyFile, POLICY('eth9: { securityGroups: [web] }'));
    const daemon = await site.start();
    await plug('eth9', 1);
    await untilOpen('10.9.1.1', [80]);
    await ip('link', 'add', 'br7', 'type', 'bridge');
    await ip('address', 'flush', 'dev', 'eth9');
    await ip('link', 'set', 'eth9', 'master', 'br7');
    await ip('address', 'add', '10.9.1.1/24', 'dev', 'br7');
    await ip('link', 'set', 'br7', 'up');
    await untilOpen('10.9.1.1', [80, 81]);
    const message = '`eth9` is a port of the bridge `br7`, which the policy does not name: nothing is judged on it';
    const note = { code: 'judges-nothing', interface: 'eth9', message, help: 'name `br7` instead' };
    const status = await daemon.until('it is told of', ({ interfaceNotes }) => interfaceNotes.length > 0);
    expect(status.interfaceNotes).toEqual([note]);
    expect((await site.sgctl('status')).stdout).toContain(`interface    ${message}; name \`br7\` instead\n`);
    const linted = await site.sgctl('lint', ofAnyHost());
    expect(linted.stdout).toMatch(/warning\[judges-nothing\]: `eth9` is a port of the bridge `br7`/);
    expect(daemon.log.filter(({ msg }) => msg === message)).toMatchObject([{ level: 40, code: 'judges-nothing' }]);

    replaceFile(site.policyFile, POLICY('br7: { securityGroups: [web] }'));
    await untilOpen('10.9.1.1', [80]);
    expect((await daemon.status()).interfaceNotes).toEqual([]);
  });

  test('a renamed interface is told of by both names, and a macvlan that is not named by its parent', async () => {
    replaceFile(site.policyFile, POLICY('eth9: { securityGroups: [web] }, eth1: { securityGroups: [web] }'));
    const daemon = await site.start();
    await plug('eth9', 1);
    await daemon.until('eth9 is told of', ({ interfaces }) => interfaces.some(({ name }) => name === 'eth9'));
    await ip('link', 'set', 'eth9', 'down');
    await ip('link', 'set', 'eth9', 'name', 'uplink');
    await ip('link', 'add', 'link', 'eth1', 'name', 'mac0', 'type', 'macvlan');
    const { interfaceNotes } = await daemon.until('both are told of', (one) => one.interfaceNotes.length === 2);
    expect(
      Object.fromEntries(interfaceNotes.map(({ interface: name, code, message }) => [name, [code, message]])),
    ).toEqual({
      uplink: ['renamed', '`eth9` was renamed to `uplink`, which the policy does not name: nothing is judged on it'],
      mac0: [
        'unnamed-child',
        '`mac0` is a macvlan on `eth1` with traffic of its own, and the policy does not name it: nothing is judged on it',
      ],
    });
  });
});
