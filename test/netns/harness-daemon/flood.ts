import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildPacket, type PacketDescription } from '../harness/packet.ts';
import { ethernetFrame } from '../harness/probe-frames.ts';
import type { World } from '../harness/world.ts';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('flood.py', import.meta.url));

/** The source MACs by which the host's counters know what a packet ought to meet; no interface has them. */
const MAC = { allowed: '02:53:47:00:01:01', forbidden: '02:53:47:00:01:02' } as const;

/** What ought to happen to a packet. */
type Class = keyof typeof MAC;

/** Packets to send round and round, in turns. */
export interface FloodSpec {
  readonly interface: string;
  readonly allowed: readonly PacketDescription[];
  readonly forbidden: readonly PacketDescription[];
  /** Packets a second. */
  readonly rate: number;
  /** The flood ends by itself after so long. */
  readonly mostSeconds: number;
}

/** What became of a flood, exact to the packet. */
export interface FloodCount {
  /** Packets that entered the host, counted before everything else there. */
  readonly entered: Readonly<Record<Class, number>>;
  /** Allowed packets that did not come through. */
  readonly lost: number;
  /** Forbidden packets that did. */
  readonly leaked: number;
}

/** A flood under way. */
export interface Flood {
  /** Ends it, and counts once every packet is through. */
  stop(): Promise<FloodCount>;
}

// What passed is dropped behind the counters: so no flow is ever confirmed, conntrack's table stays empty, and every
// packet is a new one that the rules judge.
const COUNTERS = `
table inet flood {
  counter allowed_entered { }
  counter forbidden_entered { }
  counter allowed_passed { }
  counter forbidden_passed { }
  chain before {
    type filter hook prerouting priority -1000000000
    ether saddr ${MAC.allowed} counter name allowed_entered
    ether saddr ${MAC.forbidden} counter name forbidden_entered
  }
  chain behind {
    type filter hook input priority 300
    ether saddr ${MAC.allowed} counter name allowed_passed drop
    ether saddr ${MAC.forbidden} counter name forbidden_passed drop
  }
}
`;

/** Starts a flood from the peer of an interface; it is under way when this returns. */
export async function startFlood(world: World, spec: FloodSpec): Promise<Flood> {
  await world.nft(`add table inet flood\ndelete table inet flood\n${COUNTERS}`);
  const child = spawn('ip', ['netns', 'exec', world.peer(spec.interface).namespace, 'python3', '-B', PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(order(world, spec))}\n`);
  await until('the flood has started', () => lines.includes('started'));
  await until('packets enter', async () => {
    const { allowed_entered: allowed = 0, forbidden_entered: forbidden = 0 } = await readCounters(world);
    return allowed + forbidden > 0;
  });
  return {
    async stop() {
      child.stdin.end();
      await exited;
      const { sent, dropped } = JSON.parse(lines.at(-1) ?? '{}') as Sent;
      const total = (sent.allowed ?? 0) + (sent.forbidden ?? 0) - dropped;
      const counters = await until('every packet sent has entered', async () => {
        const now = await readCounters(world);
        return (now['allowed_entered'] ?? 0) + (now['forbidden_entered'] ?? 0) === total && now;
      });
      // The last of them may be between the two hooks still; nothing that entered stays there for so long.
      const again = await until('the counters stand', async () => {
        const [first, second] = [await readCounters(world), await readCounters(world)];
        return JSON.stringify(first) === JSON.stringify(second) && second;
      });
      await world.nft('delete table inet flood');
      const entered = { allowed: counters['allowed_entered'] ?? 0, forbidden: counters['forbidden_entered'] ?? 0 };
      return {
        entered,
        lost: entered.allowed - (again['allowed_passed'] ?? 0),
        leaked: again['forbidden_passed'] ?? 0,
      };
    },
  };
}

interface Sent {
  readonly sent: Partial<Record<Class, number>>;
  readonly dropped: number;
}

function order(world: World, { interface: name, allowed, forbidden, rate, mostSeconds }: FloodSpec): object {
  const { host } = world.link(name);
  const encode = (kind: Class, packet: PacketDescription): readonly [Class, string] => [
    kind,
    ethernetFrame(buildPacket(packet), MAC[kind], host.mac).toString('base64'),
  ];
  // One of each in turn, so that however short a moment something is wrong, packets of both kinds meet it.
  const frames = Array.from({ length: Math.max(allowed.length, forbidden.length) }, (_, i) => [
    ...allowed.slice(i, i + 1).map((packet) => encode('allowed', packet)),
    ...forbidden.slice(i, i + 1).map((packet) => encode('forbidden', packet)),
  ]).flat();
  return { interface: name, frames, rate, seconds: mostSeconds };
}

async function readCounters(world: World): Promise<Readonly<Record<string, number>>> {
  const { stdout } = await world.exec(world.host, ['nft', 'list', 'counters', 'table', 'inet', 'flood']);
  const found = stdout.matchAll(/counter (\w+) \{\s*packets (\d+)/g);
  return Object.fromEntries([...found].map(([, name = '', packets]) => [name, Number(packets)]));
}
