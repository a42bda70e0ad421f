import type { Family } from '#core/model/net/address.ts';
import { checkHooks, type Firewall, FLOOR, loadFirewall, presentFirewalls } from './firewalls.ts';
import { ADDRESSES, LAST_PORT, type RulesSpec } from './generated-policy.ts';
import { cellsOf, inRounds, type Result, type Row, type Settings } from './measurement.ts';
import { send } from './send.ts';
import { createSite, type Host, MACS, type Site, unload } from './site.ts';

/** Whose flow it is: a client's that came in, or one that the host opened. */
type Opener = 'client' | 'host';

/** A port of the host's own, from which it opens flows. */
const LOCAL_PORT = 50_000;

const FAMILIES = ['ipv4', 'ipv6'] as const;

/** What a packet of a flow that lives costs, and how fast TCP is, with the flow's rule the last of them. */
export async function liveFlows(settings: Settings): Promise<readonly Result[]> {
  const { quick } = settings;
  const columns = presentFirewalls();
  const site = await createSite(settings.root, columns);
  const packets: Row[] = [];
  const throughput: Row[] = [];
  try {
    for (const family of FAMILIES) await prepareFrames(site, family);
    for (const rules of quick ? [100, 1_000] : [10, 100, 1_000, 10_000]) {
      for (const family of FAMILIES) {
        await load(site, columns, { rules, family });
        for (const opener of ['client', 'host'] as const) {
          const flow = { family, opener };
          settings.progress(`${rules} rules, ${family}, flow of the ${opener}`);
          for (const column of columns) await establish(site, site.host(column), flow);
          const samples = await inRounds(columns, quick ? 5 : 9, (column) =>
            send(site, {
              frames: nameOf(flow),
              column,
              protocol: 'udp',
              milliseconds: quick ? 15 : 40,
              fate: 'let in',
            }),
          );
          for (const column of columns) await site.host(column).endpoint.request('close', { name: nameOf(flow) });
          packets.push({ case: { rules, family, 'opened by': opener }, cells: cellsOf(samples, FLOOR) });
        }
        if (family === 'ipv6') continue;
        settings.progress(`${rules} rules, throughput`);
        const speeds = await inRounds(columns, quick ? 3 : 7, (column) => pour(site, column, quick ? 0.2 : 0.5));
        throughput.push({ case: { rules }, cells: cellsOf(speeds, FLOOR) });
      }
    }
  } finally {
    await site.destroy();
  }
  return [
    { name: 'live-packets', title: 'an inbound packet of a live UDP flow', unit: 'ns', floor: FLOOR, rows: packets },
    { name: 'throughput', title: 'one TCP connection inbound', unit: 'Mbit/s', floor: FLOOR, rows: throughput },
  ];
}

async function load(
  site: Site,
  columns: readonly Firewall[],
  { rules, family }: Pick<RulesSpec, 'rules' | 'family'>,
): Promise<void> {
  for (const column of columns) {
    const { namespace } = site.host(column);
    if (column !== 'none') unload(namespace);
    await loadFirewall(column, namespace, { rules, family, groups: false, verdict: 'accept' });
  }
  checkHooks(site);
}

interface Flow {
  readonly family: Family;
  readonly opener: Opener;
}

function nameOf({ family, opener }: Flow): string {
  return `${family} ${opener}`;
}

async function prepareFrames(site: Site, family: Family): Promise<void> {
  const common = {
    protocol: 17,
    source: ADDRESSES[family].client,
    destination: ADDRESSES[family].host,
    count: 8_192,
    same: true,
    hostMac: MACS.host,
    peerMac: MACS.peer,
  };
  const name = (opener: Opener): string => nameOf({ family, opener });
  await site.peer.request('prepare', { ...common, name: name('client'), sourcePort: LOCAL_PORT, port: LAST_PORT });
  await site.peer.request('prepare', { ...common, name: name('host'), sourcePort: LAST_PORT, port: LOCAL_PORT });
}

/** Makes the flow a live one: a packet each way. */
async function establish(site: Site, { endpoint, peerInterface }: Host, flow: Flow): Promise<void> {
  const name = nameOf(flow);
  const { host, client } = ADDRESSES[flow.family];
  await endpoint.request('flush');
  const first = { name, interface: peerInterface, milliseconds: 0 };
  if (flow.opener === 'client') {
    await endpoint.request('udp', { name, address: host, port: LAST_PORT });
    await site.peer.request('send', first);
    await endpoint.request('answer', { name });
    return;
  }
  await endpoint.request('udp', { name, address: host, port: LOCAL_PORT });
  await endpoint.request('greet', { name, address: client, port: LAST_PORT });
  await site.peer.request('send', first);
  // The answer came through, or this would throw.
  await endpoint.request('answer', { name });
}

async function pour(site: Site, column: Firewall, seconds: number): Promise<number> {
  const { endpoint, peerInterface } = site.host(column);
  const { host, client } = ADDRESSES.ipv4;
  await endpoint.request('listen', { name: 'tcp', address: host, port: LAST_PORT });
  const drained = endpoint.request<{ megabitsPerSecond: number }>('drain', { name: 'tcp' });
  const [{ megabitsPerSecond }] = await Promise.all([
    drained,
    site.peer.request('pour', { interface: peerInterface, source: client, address: host, port: LAST_PORT, seconds }),
  ]);
  await endpoint.request('close', { name: 'tcp' });
  return megabitsPerSecond;
}
