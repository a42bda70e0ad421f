import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../netns/harness-daemon/until.ts';
import { createMachine, type Machine, PROJECT_INSIDE } from './machine/machine.ts';
import { startProbes } from './machine/probes.ts';

/** A Debian with the other firewall, ours beside it, and somebody outside who knocks. */

const SSH = 22;
/** Open in ours, shut in theirs; the other way round; open in both. */
const OURS = 443;
const THEIRS = 80;
const BOTH = 8_443;
const PORTS = [SSH, THEIRS, OURS, BOTH];

const POLICY = `version: 1
securityGroups:
  web:
    inbound: [{ protocol: tcp, ports: "22,${OURS},${BOTH}", source: any }]
    outbound: [{ destination: any }]
instances:
  "*": { interfaces: { eth0: { securityGroups: [web] } } }
`;

/** A program that takes connections on these ports and ends them. */
function listener(ports: readonly number[]): string {
  return `import selectors, socket
chosen = selectors.DefaultSelector()
for port in [${ports.join(', ')}]:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("", port))
    one.listen(64)
    chosen.register(one, selectors.EVENT_READ)
while True:
    for key, _ in chosen.select():
        key.fileobj.accept()[0].close()
`;
}

const LISTENER_UNIT = `[Service]
ExecStart=/usr/bin/python3 -B /root/listener.py
[Install]
WantedBy=multi-user.target
`;

let machine: Machine;

async function bash(script: string): Promise<string> {
  return (await machine.exec(['bash', '-euc', script])).stdout;
}

/** Which ports somebody outside reaches now. */
async function open(ports: readonly number[] = PORTS): Promise<readonly number[]> {
  const probes = await startProbes(machine.world, 'eth0', ports);
  await new Promise((resolve) => setTimeout(resolve, 600));
  return (await probes.stop()).answered;
}

/** Our table, with the handles by which one that was made anew is told from one that stayed. */
async function ours(): Promise<string> {
  return bash('nft -a list chains inet | sed -n "/^table inet secgroupd /,/^}/p"');
}

/** What others have in the kernel, without their counters. */
async function theirs(): Promise<string> {
  return bash('nft -s list ruleset | sed "/^table inet secgroupd /,/^}/d"');
}

async function status(): Promise<string> {
  return (await machine.exec(['sgctl', 'status'])).stdout;
}

async function startMachine(): Promise<void> {
  machine = await createMachine('bookworm', 'firewalls');
  machine.write('/root/listener.py', listener([THEIRS, OURS, BOTH]));
  machine.write('/etc/systemd/system/listener.service', LISTENER_UNIT);
  machine.write('/etc/secgroupd/policy.yaml', POLICY);
  await machine.powerOn();
  await machine.booted();
  await bash('systemctl enable --now listener.service');
  await until('what listens is reached', async () => (await open()).length === PORTS.length);
}

/** Starts ours, where theirs is at work; returns what the installation says. */
async function install(): Promise<string> {
  const { stdout } = await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`]);
  expect(await status()).toMatch(/^policy .*: active$/m);
  return stdout;
}

/** Asserts that a restart of ours, an edit and a verify leave what is theirs as it is. */
async function expectTheirsUntouched(): Promise<void> {
  const before = await theirs();
  await bash('systemctl restart secgroupd.service && sgctl verify');
  await bash('sed -i "s/8443/8443,9999/" /etc/secgroupd/policy.yaml');
  await until('the edit is in force', async () => /9999/.test(await bash('nft list table inet secgroupd')));
  // A second after a change ours has flows judged anew; if others commit amid that, it makes its table anew, to be sure.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await theirs()).toBe(before);
}

/** Asserts that what `script` does to theirs leaves ours as it is. */
async function expectOursUntouched(script: string): Promise<void> {
  const before = await ours();
  expect(before).toContain('chain input');
  await bash(script);
  expect(await ours()).toBe(before);
  expect(await status()).not.toMatch(/^(?:drift|trouble) /m);
}

/** Restarts the machine, its kernel too; returns which ports were ever reached until both firewalls were back. */
async function restartUnderProbes(): Promise<readonly number[]> {
  await machine.shutDown();
  await machine.world.nft('flush ruleset');
  const probes = await startProbes(machine.world, 'eth0', PORTS);
  await machine.powerOn();
  await machine.booted();
  await until('ours is in force', async () =>
    /: active$/m.test((await machine.exec(['sgctl', 'status'], { reject: false })).stdout),
  );
  return (await probes.stop()).answered;
}

describe('beside ufw', () => {
  beforeAll(async () => {
    await startMachine();
    await bash(
      `systemctl enable --now ufw.service; ufw allow 22/tcp; ufw allow ${THEIRS}/tcp; ufw allow ${BOTH}/tcp; ufw --force enable`,
    );
  });
  afterAll(async () => {
    await machine?.remove();
  });

  test('a packet has to pass both, and status says so', async () => {
    expect(await open()).toEqual([SSH, THEIRS, BOTH]);
    expect(await install()).toContain('\nufw is at work here too: what it does not let in stays out');
    expect(await open()).toEqual([SSH, BOTH]);
    expect(await status()).toContain(
      'others       ufw: table ip filter, chain INPUT (input) drops what it does not accept itself, whatever is allowed here\n',
    );
  });

  test('neither changes what is the other’s', async () => {
    await expectTheirsUntouched();
    await expectOursUntouched(`ufw allow ${OURS}/tcp; ufw reload`);
    expect(await open()).toEqual([SSH, OURS, BOTH]);
  });

  test('both are back after a restart of the machine', async () => {
    expect(await restartUnderProbes()).toEqual([SSH, OURS, BOTH]);
    expect(await bash('ufw status')).toContain('Status: active');
  });

  test('without ufw ours alone decides, and status no longer names it', async () => {
    await expectOursUntouched('ufw --force disable');
    expect(await open()).toEqual([SSH, OURS, BOTH]);
    expect(await status()).not.toContain('whatever is allowed here');
  });
});

describe('beside firewalld', () => {
  beforeAll(async () => {
    await startMachine();
    await bash(
      `systemctl enable --now firewalld.service; firewall-cmd -q --permanent --add-port=${THEIRS}/tcp --add-port=${BOTH}/tcp; firewall-cmd -q --reload`,
    );
  });
  afterAll(async () => {
    await machine?.remove();
  });

  test('a packet has to pass both, and status says so', async () => {
    expect(await open()).toEqual([SSH, THEIRS, BOTH]);
    await install();
    expect(await open()).toEqual([SSH, BOTH]);
    expect(await status()).toContain(
      'others       firewalld: table inet firewalld, chain filter_INPUT (input) can drop',
    );
  });

  test('neither changes what is the other’s', async () => {
    await expectTheirsUntouched();
    await expectOursUntouched(`firewall-cmd -q --add-port=${OURS}/tcp; firewall-cmd -q --runtime-to-permanent`);
    expect(await open()).toEqual([SSH, OURS, BOTH]);
    await expectOursUntouched('firewall-cmd -q --reload; systemctl restart firewalld.service');
    expect(await open()).toEqual([SSH, OURS, BOTH]);
  });

  test('both are back after a restart of the machine', async () => {
    expect(await restartUnderProbes()).toEqual([SSH, OURS, BOTH]);
    expect(await bash('firewall-cmd --state')).toBe('running');
  });

  test('without firewalld ours alone decides', async () => {
    await expectOursUntouched('systemctl disable --now firewalld.service');
    expect(await open()).toEqual([SSH, OURS, BOTH]);
    expect(await status()).not.toContain('firewalld');
  });
});

/** The rules that dockerd makes by iptables for a container whose port 80 is published as 8080. */
const DOCKER = `
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
ip netns add container
ip link add veth0 type veth peer name eth0 netns container
ip link set veth0 master docker0 up
ip -n container address add 172.17.0.2/16 dev eth0
ip -n container link set eth0 up
ip -n container link set lo up
ip -n container route add default via 172.17.0.1
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables -t nat -A DOCKER ! -i docker0 -p udp -m udp --dport 5000:5009 -j DNAT --to-destination 172.17.0.2
iptables -t nat -A DOCKER ! -i docker0 -p tcp -m multiport --dports 8443,9000:9010 -j DNAT --to-destination 172.17.0.3-172.17.0.4:90-99
iptables -t nat -A DOCKER ! -i docker0 -d 192.0.2.99 -p tcp ! --dport 9999 -j DNAT --to-destination 172.17.0.5
iptables -N DOCKER
iptables -N DOCKER-USER
iptables -P FORWARD DROP
iptables -A FORWARD -j DOCKER-USER
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -o docker0 -j DOCKER
iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
`;

describe('beside Docker, and rules made by iptables', () => {
  const PUBLISHED = 8_080;
  const ALL = [SSH, THEIRS, OURS, PUBLISHED];

  beforeAll(async () => {
    await startMachine();
    const { world } = machine;
    await world.exec(world.host, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    await bash(DOCKER);
    machine.write('/root/container.py', listener([80]));
    await bash('systemd-run --quiet ip netns exec container python3 -B /root/container.py');
    await until('the container is reached', async () => (await open([PUBLISHED])).length === 1);
  });
  afterAll(async () => {
    await machine?.remove();
  });

  /** Whether the container reaches port 22 of the host outside of docker0. */
  async function containerGoesOut(port: number): Promise<boolean> {
    const { world } = machine;
    const peer = world.link('eth0').peer.ipv4;
    const program = `import socket; socket.create_connection(("${peer}", ${port}), 1)`;
    const { exitCode } = await machine.exec(['ip', 'netns', 'exec', 'container', 'python3', '-c', program], {
      reject: false,
    });
    return exitCode === 0;
  }

  test('ports of the host are judged, published ones pass by, and status says so', async () => {
    expect(await open(ALL)).toEqual([SSH, THEIRS, OURS, PUBLISHED]);
    expect(await install()).not.toContain('at work here too');
    expect(await open(ALL)).toEqual([SSH, OURS, PUBLISHED]);
    const text = await status();
    expect(text).toContain('published    tcp 8080 goes to 172.17.0.2:80 by table ip nat, past these rules');
    expect(text).toContain('published    udp 5000-5009 goes to 172.17.0.2 by table ip nat');
    expect(text).toContain('published    tcp { 8443, 9000-9010 } goes to 172.17.0.3-172.17.0.4:90-99 by table ip nat');
    expect(text).not.toContain('172.17.0.5');
    expect(text).toContain('Docker: table ip nat, chain PREROUTING (prerouting) can redirect packets');
    expect(text).toMatch(/^not filtered .*docker0.*all traffic passes$/m);
    expect(text).toMatch(/^forwarded +not filtered/m);
  });

  test('a container goes out as before', async () => {
    const { world } = machine;
    const outside = world.exec(world.peer('eth0'), [
      'timeout',
      '20',
      'python3',
      '-c',
      'import socket; one = socket.create_server(("", 7777)); [one.accept() for _ in range(1)]',
    ]);
    await until('somebody outside is reached', () => containerGoesOut(7_777));
    await outside;
    expect(await containerGoesOut(7_778)).toBe(false);
  });

  test('neither changes what is the other’s', async () => {
    await expectTheirsUntouched();
    await expectOursUntouched('iptables -A DOCKER-USER -p tcp --dport 80 -j DROP');
    expect(await open(ALL)).toEqual([SSH, OURS]);
    await expectOursUntouched('iptables -F DOCKER-USER; iptables-save >/root/saved; iptables-restore </root/saved');
    expect(await open(ALL)).toEqual([SSH, OURS, PUBLISHED]);
  });

  test('a rule of iptables can drop what ours allows, and cannot allow what ours denies', async () => {
    await expectOursUntouched(
      `iptables -A INPUT -p tcp --dport ${OURS} -j DROP; iptables -A INPUT -p tcp --dport ${THEIRS} -j ACCEPT`,
    );
    expect(await open(ALL)).toEqual([SSH, PUBLISHED]);
    expect(await bash('sgctl status')).toContain('table ip filter, chain INPUT (input) can drop what is allowed here');
    await expectOursUntouched('iptables -F INPUT');
    expect(await open(ALL)).toEqual([SSH, OURS, PUBLISHED]);
  });

  test('sgctl clear removes ours alone', async () => {
    const before = await theirs();
    await bash('sgctl clear --yes');
    expect(await theirs()).toBe(before);
    expect(await open(ALL)).toEqual([SSH, THEIRS, OURS, PUBLISHED]);
  });
});
