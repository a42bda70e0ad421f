import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PacketDescription } from './harness/packet.ts';
import { sendInbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';
import { startFlood } from './harness-daemon/flood.ts';
import { reached, replaceFile, type Site, useSite } from './harness-daemon/site.ts';

function policy(ports: string): string {
  return `version: 1
addressGroups:
  good: { addresses: [198.51.100.0/24, 203.0.113.7] }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: "${ports}", source: any }
      - { protocol: udp, ports: 53, source: { addressGroup: good } }
      - { protocol: icmp, icmp: echo-request, source: 0.0.0.0/0 }
      - { protocol: udp, ports: 1000-1999, source: { securityGroup: friends } }
  friends: {}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
  friend: { interfaces: { eth0: { addresses: [192.0.2.77], securityGroups: [friends] } } }
`;
}

let identity = 0;

function packet(source: string, protocol: number, destinationPort: number): PacketDescription {
  identity += 1;
  const common = { source, destination: '10.77.0.1', protocol, identity };
  return protocol === 1
    ? { ...common, icmpType: destinationPort }
    : { ...common, sourcePort: 1_024 + identity, destinationPort };
}

/** One of each kind: those that `policy('80,443')` lets in, and their neighbours that it does not. */
function packets(): readonly PacketDescription[] {
  return [
    packet('203.0.113.9', 6, 80),
    packet('203.0.113.9', 6, 443),
    packet('198.51.100.1', 17, 53),
    packet('203.0.113.7', 17, 53),
    packet('203.0.113.9', 1, 8),
    packet('192.0.2.77', 17, 1_999),
    packet('203.0.113.9', 6, 81),
    packet('203.0.113.9', 17, 53),
    packet('198.51.100.1', 17, 54),
    packet('203.0.113.9', 1, 13),
    packet('192.0.2.77', 17, 2_000),
    packet('192.0.2.78', 17, 1_999),
  ];
}

const JUDGED = '111111000000';

/** Which of `packets()` come through, as a row of 1 and 0. */
async function judged(world: World): Promise<string> {
  const sent = packets();
  const arrived = await sendInbound(world, 'eth0', sent);
  return sent.map((one) => (arrived.has(one.identity) ? '1' : '0')).join('');
}

let site: Site;

useSite((made) => {
  site = made;
});

describe('the end of the daemon', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)('by %s leaves the rules in force', async (signal) => {
    replaceFile(site.policyFile, policy('80,443'));
    const daemon = await site.start();
    const table = await site.table();
    expect(await judged(site.world)).toBe(JUDGED);
    const ended = await daemon.stop(signal);
    expect(ended).toEqual(signal === 'SIGKILL' ? { exitCode: null, signal } : { exitCode: 0, signal: null });
    expect(await site.table()).toBe(table);
    expect(await judged(site.world)).toBe(JUDGED);
    expect(await site.sgctl('status')).toMatchObject({ exitCode: 3 });
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'by %s and a new start: no packet notices, nothing is made anew',
    async (signal) => {
      replaceFile(site.policyFile, policy('80,443'));
      const first = await site.start();
      const table = await site.table();
      const flood = await startFlood(site.world, {
        interface: 'eth0',
        allowed: packets().slice(0, 6),
        forbidden: packets().slice(6),
        rate: 5_000,
        mostSeconds: 60,
      });
      await first.stop(signal);
      const second = await site.start();
      expect(await flood.stop()).toMatchObject({ lost: 0, leaked: 0 });
      expect((await second.status()).inForce?.generation).toBe(1);
      expect(await site.table()).toBe(table);
      // It knows what it found well enough to go on from there.
      replaceFile(site.policyFile, policy('81'));
      await second.until('the next policy is in force', reached(2));
      expect(await judged(site.world)).toBe('001111100000');
    },
  );
});

describe('a start', () => {
  test('with another policy than was in force goes from the one to the other, and no packet is misjudged', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    await (await site.start()).stop();
    replaceFile(site.policyFile, policy('79-80,443').replace('198.51.100.0/24', '198.51.100.0/25'));
    const flood = await startFlood(site.world, {
      interface: 'eth0',
      allowed: packets().slice(0, 6),
      forbidden: packets().slice(6),
      rate: 5_000,
      mostSeconds: 60,
    });
    const daemon = await site.start();
    expect(await flood.stop()).toMatchObject({ lost: 0, leaked: 0 });
    expect((await daemon.status()).inForce?.generation).toBe(2);
    const names = (await site.table()).matchAll(/^\t(?:chain|set) \S+\/g(\d+) /gm);
    expect([...new Set([...names].map(([, generation]) => generation))]).toEqual(['2']);
  });

  test('with a mistake in the policy changes nothing that was in force, says so, and goes on when it is mended', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    await (await site.start()).stop();
    const table = await site.table();
    replaceFile(site.policyFile, policy('80,44z'));
    const daemon = await site.start({ becomes: 'refused' });
    expect((await daemon.status()).refusal?.diagnostics[0]).toMatchObject({ file: site.policyFile, severity: 'error' });
    expect(await site.table()).toBe(table);
    expect(await judged(site.world)).toBe(JUDGED);
    replaceFile(site.policyFile, policy('81'));
    await daemon.until('mended', ({ state }) => state === 'enforced');
    expect(await judged(site.world)).toBe('001111100000');
  });

  test('with a mistake in the policy, after a boot that loaded nothing, brings back what was last in force', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    await (await site.start()).stop();
    await site.world.nft('delete table inet secgroupd');
    replaceFile(site.policyFile, policy('80,44z'));
    const daemon = await site.start({ becomes: 'refused' });
    expect(await judged(site.world)).toBe(JUDGED);
    expect((await daemon.status()).inForce).toMatchObject({ generation: 1 });
    replaceFile(site.policyFile, policy('81'));
    await daemon.until('mended', ({ state }) => state === 'enforced');
    expect(await judged(site.world)).toBe('001111100000');
  });

  test('with a mistake in the very first policy loads nothing: the host stays as open as it was', async () => {
    replaceFile(site.policyFile, policy('80,44z'));
    const daemon = await site.start({ becomes: 'refused' });
    expect(await daemon.status()).toMatchObject({ state: 'refused', inForce: null });
    expect(await site.table()).toBe('');
    expect(await judged(site.world)).toBe('111111111111');
  });

  test('of a second daemon in the same runtime directory ends with status 3 and disturbs nothing', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    const first = await site.start();
    const table = await site.table();
    const second = site.spawn();
    expect(await second.ended).toEqual({ exitCode: 3, signal: null });
    expect(second.log.at(-1)).toMatchObject({ level: 60, msg: expect.stringContaining(site.runtimeDirectory) });
    expect(await site.table()).toBe(table);
    replaceFile(site.policyFile, policy('81'));
    await first.until('the first still enforces', reached(2));
  });

  test('after the daemon was killed takes over its socket', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    await (await site.start()).stop('SIGKILL');
    await site.start();
    expect((await site.sgctl('status')).exitCode).toBe(0);
  });

  test('finds its instance by the name of the host, and refuses to guess', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    const lost = await site.start({ instance: null, becomes: 'refused' });
    expect((await lost.status()).refusal?.diagnostics[0]).toMatchObject({ code: 'host-not-in-policy' });
    expect(await site.table()).toBe('');
    replaceFile(site.policyFile, policy('80,443').replace('  host:', '  "*":'));
    const status = await lost.until('found as any other host', ({ state }) => state === 'enforced');
    expect(status.instance).toBe('*');
    expect(await judged(site.world)).toBe(JUDGED);
  });
});

describe('SIGHUP', () => {
  test('brings the rules back after a clear', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    const daemon = await site.start();
    expect((await site.sgctl('clear', '--yes')).exitCode).toBe(0);
    expect(await site.table()).toBe('');
    daemon.signal('SIGHUP');
    const status = await daemon.until('the rules are back', ({ inForce }) => inForce !== null);
    expect(status).toMatchObject({ state: 'enforced', driftsMended: 0 });
    expect(await judged(site.world)).toBe(JUDGED);
  });

  test('is answered by a status that says enforced only once the rules are in force', async () => {
    mkdirSync(join(site.directory, 'etc/lists'));
    const entries = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/25\n`);
    writeFileSync(join(site.directory, 'etc/lists/long.txt'), entries.join(''));
    replaceFile(site.policyFile, policy('80,443').replace(/addresses: \[198.*\]/, 'file: lists/long.txt'));
    const daemon = await site.start();
    expect((await site.sgctl('clear', '--yes')).exitCode).toBe(0);
    daemon.signal('SIGHUP');
    let untrue = 0;
    await daemon.until('the rules are back', (status) => {
      if (status.state === 'enforced' && status.inForce === null) untrue += 1;
      return status.inForce !== null;
    });
    expect(untrue).toBe(0);
  });

  test('or its like by the socket, of a policy with a mistake, is answered by the refusal', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    const daemon = await site.start();
    replaceFile(site.policyFile, policy('80,44z'));
    expect(await daemon.reload()).toMatchObject({ state: 'refused', inForce: { generation: 1 } });
  });

  test('without any change puts a table in place that says the same', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    const daemon = await site.start();
    const table = await site.table();
    for (let i = 0; i < 3; i += 1) daemon.signal('SIGHUP');
    expect(await daemon.reload()).toMatchObject({ state: 'enforced', driftsMended: 0 });
    // The kernel lists chains in the order they were made.
    const meaning = (text: string): readonly string[] =>
      text
        .replace(/generation \d+|\/g\d+|# handle \d+/g, '')
        .split('\n')
        .toSorted();
    expect(meaning(await site.table())).toEqual(meaning(table));
    expect(await site.table()).not.toBe(table);
  });
});

describe('the last good script', () => {
  test('loads with plain nft into a host that has nothing, and judges alike', async () => {
    replaceFile(site.policyFile, policy('81'));
    const daemon = await site.start();
    replaceFile(site.policyFile, policy('80,443'));
    await daemon.until('the second policy', reached(2));
    replaceFile(site.policyFile, policy('80,44z'));
    await daemon.until('the third is refused', ({ state }) => state === 'refused');
    const fresh = await createWorld({ interfaces: [{ name: 'eth0' }] });
    try {
      expect(await judged(fresh)).toBe('111111111111');
      const script = join(site.stateDirectory, 'last-good.nft');
      await fresh.exec(fresh.host, ['nft', '-f', script]);
      expect(await judged(fresh)).toBe(JUDGED);
      // Loading it over itself, as a restart of the boot service does, is no error.
      await fresh.exec(fresh.host, ['nft', '-f', script]);
      expect(await judged(fresh)).toBe(JUDGED);
    } finally {
      await fresh.destroy();
    }
  });

  test('loads with plain nft when a list is long, and judges alike', async () => {
    const hosts = Array.from({ length: 2_500 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const ranges = Array.from({ length: 1_500 }, (_, i) => `10.${2 + (i >> 8)}.${i & 255}.0/25`);
    mkdirSync(join(site.directory, 'etc'), { recursive: true });
    writeFileSync(
      join(site.directory, 'etc/good.txt'),
      [...hosts, ...ranges, '198.51.100.0/24', '203.0.113.7', ''].join('\n'),
    );
    replaceFile(site.policyFile, policy('80,443').replace(/addresses: \[198[^\]]*\]/, 'file: good.txt'));
    await site.start();
    const fresh = await createWorld({ interfaces: [{ name: 'eth0' }] });
    try {
      await fresh.exec(fresh.host, ['nft', '-f', join(site.stateDirectory, 'last-good.nft')]);
      for (const world of [site.world, fresh]) {
        expect(await judged(world)).toBe(JUDGED);
        const sent = ['10.1.9.195', '10.1.9.196', '10.2.7.127', '10.2.7.128'].map((source) => packet(source, 17, 53));
        const arrived = await sendInbound(world, 'eth0', sent);
        expect(sent.map(({ identity: sequence }) => arrived.has(sequence))).toEqual([true, false, true, false]);
      }
    } finally {
      await fresh.destroy();
    }
  });

  test('is what a daemon that starts after it finds in force already', async () => {
    replaceFile(site.policyFile, policy('80,443'));
    await (await site.start()).stop();
    await site.world.nft('delete table inet secgroupd');
    await site.world.exec(site.world.host, ['nft', '-f', join(site.stateDirectory, 'last-good.nft')]);
    const table = await site.table();
    const daemon = await site.start();
    expect(await daemon.status()).toMatchObject({ state: 'enforced', changesApplied: 0, inForce: { generation: 1 } });
    expect(await site.table()).toBe(table);
  });

  test('that cannot be written is trouble that is told, and no reason to leave the policy out of force', async () => {
    writeFileSync(site.stateDirectory, 'a file where a directory has to be');
    replaceFile(site.policyFile, policy('80,443'));
    const daemon = await site.start();
    const status = await daemon.status();
    expect(status.state).toBe('enforced');
    expect(status.troubles.map(({ message }) => message).join()).toContain('not kept for the next boot');
    expect((await site.sgctl('status')).stdout).toContain('not kept for the next boot');
    expect(await judged(site.world)).toBe(JUDGED);
  });
});
