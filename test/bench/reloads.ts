import type { PacketDescription } from '../netns/harness/packet.ts';
import { createWorld, type World } from '../netns/harness/world.ts';
import { type FloodCount, startFlood } from '../netns/harness-daemon/flood.ts';
import { memberAddresses, membersPolicyText } from './generated-members.ts';
import { ADDRESSES, LAST_PORT, policyText, type RulesSpec } from './generated-policy.ts';
import type { Cell, Result, Row, Settings } from './measurement.ts';
import { openOurs } from './ours.ts';
import { FIREWALLD } from './peers/firewalld.ts';
import type { PeerKind } from './peers/peer.ts';
import { IPTABLES, LINEAR } from './peers/plain.ts';
import { UFW } from './peers/ufw.ts';
import { loadNft } from './site.ts';

const OURS = 'secgroupd';

/** Packets a second; each finds what is wrong for longer than 50 microseconds. */
const RATE = 20_000;

/** What the allowed packets of the members' policy are sent to. */
const SSH = 22;

const SPEC = { rules: 100, family: 'ipv4', groups: false } as const satisfies RulesSpec;

/** Something that can be changed time and again while packets come. */
interface Case {
  readonly way: string;
  readonly changed: string;
  readonly reloads: number;
  readonly packets: Packets;
  /** Loads it, and gives what makes the i-th change and what ends it. */
  readonly open: (namespace: string) => Promise<{
    readonly reload: (i: number) => Promise<void>;
    readonly close: () => Promise<void>;
  }>;
}

/** Packets that both of what is loaded in turns allow, and packets that both forbid. */
interface Packets {
  readonly allowed: readonly PacketDescription[];
  readonly forbidden: readonly PacketDescription[];
}

/** How many packets meet what neither the old rules nor the new ones say, while rules are changed. */
export async function reloads(settings: Settings): Promise<readonly Result[]> {
  const rows: Row[] = [];
  for (const one of casesOf(settings)) {
    settings.progress(`${one.way}, ${one.changed}`);
    rows.push(await measureCase(one));
  }
  return [
    {
      name: 'reloads',
      title: `wrong packets per 1,000 changes, of ${RATE} a second, half of them allowed`,
      unit: 'packets',
      floor: undefined,
      rows,
    },
  ];
}

function casesOf(settings: Settings): readonly Case[] {
  const many = settings.quick ? 50 : 300;
  const few = settings.quick ? 3 : 15;
  const peers: readonly (readonly [PeerKind, number])[] = [
    [LINEAR, many],
    [IPTABLES, many],
    [UFW, few],
    [FIREWALLD, 2 * few],
  ];
  const rule = (groups: boolean): readonly [string, string] => [
    policyText({ ...SPEC, groups }),
    policyText({ ...SPEC, groups, edited: true }),
  ];
  const members = memberAddresses(1_000);
  const texts = [membersPolicyText(members), membersPolicyText([...members, '203.0.113.9'])] as const;
  return [
    ourCase('a rule', rule(false), RULE_PACKETS, many),
    ourCase('a rule, with groups', rule(true), RULE_PACKETS, many),
    ourCase('a member of 1,000', texts, MEMBER_PACKETS, many),
    replacedTable(rule(true), many),
    ...peers.filter(([kind]) => kind.isPresent()).map(([kind, count]) => peerCase(kind, count, settings.scratch)),
  ];
}

function ourCase(changed: string, texts: readonly [string, string], packets: Packets, count: number): Case {
  return {
    way: OURS,
    changed,
    packets,
    reloads: count,
    open: async (namespace) => {
      const ours = openOurs(namespace);
      await ours.begin({ text: texts[0] });
      const reload = async (i: number): Promise<void> => {
        await ours.change({ text: texts[i % 2] ?? '' });
      };
      return { reload, close: () => ours.close() };
    },
  };
}

/** Our own rules, loaded as a file of rules is: in one transaction that replaces the table. */
function replacedTable(texts: readonly [string, string], count: number): Case {
  return {
    way: 'nft -f, same rules',
    changed: 'a rule, with groups',
    packets: RULE_PACKETS,
    reloads: count,
    open: async (namespace) => {
      const ours = openOurs(namespace);
      await ours.begin({ text: texts[0] });
      const scripts = [await ours.wholeText()];
      await ours.change({ text: texts[1] });
      scripts.push(await ours.wholeText());
      await ours.close();
      const reload = async (i: number): Promise<void> => {
        loadNft(namespace, scripts[i % 2] ?? '');
      };
      return { reload, close: async () => undefined };
    },
  };
}

function peerCase(kind: PeerKind, count: number, scratch: string): Case {
  return {
    way: kind.name,
    changed: 'a rule',
    packets: RULE_PACKETS,
    reloads: count,
    open: async (namespace) => {
      const peer = await kind.open(scratch, namespace);
      try {
        peer.write(SPEC);
        await peer.start();
      } catch (error) {
        await peer.close();
        throw error;
      }
      const reload = async (i: number): Promise<void> => {
        peer.write({ ...SPEC, edited: i % 2 === 1 });
        peer.reload();
      };
      return { reload, close: () => peer.close() };
    },
  };
}

async function measureCase({ way, changed, reloads: count, packets, open }: Case): Promise<Row> {
  const world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  try {
    const { reload, close } = await open(world.host.namespace);
    try {
      // What nobody changes has to judge every packet rightly, or the count would be of other mistakes.
      const still = await underFlood(world, packets, 0, reload);
      if (still.lost + still.leaked > 0 || still.entered.allowed === 0) {
        throw new Error(`${way}, unchanged, judges packets wrongly: ${JSON.stringify(still)}`);
      }
      const { lost, leaked } = await underFlood(world, packets, count, reload);
      const cell = (column: string, value: number): Cell => {
        const perThousand = (value * 1_000) / count;
        return { column, median: perThousand, p99: perThousand, samples: count, ratio: undefined };
      };
      return { case: { way, changed, changes: count }, cells: [cell('dropped', lost), cell('leaked', leaked)] };
    } finally {
      await close();
    }
  } finally {
    await world.destroy();
  }
}

async function underFlood(
  world: World,
  { allowed, forbidden }: Packets,
  count: number,
  reload: (i: number) => Promise<void>,
): Promise<FloodCount> {
  const flood = await startFlood(world, { interface: 'eth0', allowed, forbidden, rate: RATE, mostSeconds: 120 });
  try {
    for (let i = 1; i <= count; i += 1) await reload(i);
    // The flood sees what the last change left, too.
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
  } catch (error) {
    await flood.stop();
    throw error;
  }
  return flood.stop();
}

let identity = 0;

function packet(protocol: 6 | 17, source: string, destinationPort: number): PacketDescription {
  identity += 1;
  return { source, destination: '10.77.0.1', protocol, sourcePort: 30_000 + identity, destinationPort, identity };
}

const { known, unknown } = ADDRESSES.ipv4;

const RULE_PACKETS: Packets = {
  // Let in by the first rule, whose port is one of a range, and by the last two.
  allowed: [packet(17, '10.0.0.1', 8_000), packet(17, known, LAST_PORT), packet(6, known, LAST_PORT)],
  forbidden: [packet(17, unknown, LAST_PORT), packet(6, unknown, LAST_PORT), packet(17, known, 7)],
};

const MEMBER_PACKETS: Packets = {
  allowed: [packet(6, '10.0.0.1', SSH), packet(6, '10.0.7.207', SSH)],
  forbidden: [packet(6, unknown, SSH), packet(6, '10.0.0.1', 80)],
};
