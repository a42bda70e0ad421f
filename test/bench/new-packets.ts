import type { Family } from '#core/model/net/address.ts';
import { checkHooks, type Firewall, FLOOR, loadFirewall, presentFirewalls } from './firewalls.ts';
import { ADDRESSES, LAST_PORT, MEMBERS, PROBED_ADDRESSES, type RulesSpec } from './generated-policy.ts';
import { cellsOf, inRounds, type Result, type Row, type Settings } from './measurement.ts';
import { send } from './send.ts';
import { createSite, MACS, type Site, unload } from './site.ts';

/** Which packets meet the rules: those of strangers, of hosts of a group, of a list's networks, of the last rule. */
interface Probe {
  readonly match: 'none' | 'member' | 'list' | 'last';
  readonly protocol: 'udp' | 'tcp';
}

const FRAMES = 8_192;

/** What a packet of a new flow costs, from the sender's system call to the end of the receive path. */
export async function newPackets(settings: Settings): Promise<readonly Result[]> {
  const { quick } = settings;
  const sizes = quick ? [10, 100, 1_000] : [10, 100, 1_000, 10_000];
  const probes: readonly Probe[] = (['udp', 'tcp'] as const).flatMap((protocol) =>
    (['none', 'member', 'list', 'last'] as const).map((match) => ({ match, protocol })),
  );
  const mixes = [
    { family: 'ipv4', groups: false },
    { family: 'ipv4', groups: true },
    { family: 'ipv4', groups: true, parts: 5 },
    { family: 'ipv6', groups: false },
    { family: 'ipv6', groups: true },
  ] as const;
  const chosen = {
    probes: quick ? probes.filter(({ protocol }) => protocol === 'udp') : probes,
    mixes: quick ? mixes.slice(0, 4) : mixes,
  };
  const columns = presentFirewalls();
  const site = await createSite(settings.root, columns);
  try {
    for (const family of ['ipv4', 'ipv6'] as const) await prepareFrames(site, family, chosen.probes);
    // What is let in ends at a socket, as in life, and not in an ICMP error.
    for (const { endpoint } of site.hosts.values()) {
      for (const { host: address } of Object.values(ADDRESSES)) {
        await endpoint.request('udp', { name: address, address, port: LAST_PORT });
      }
    }
    const rows: Row[] = [];
    for (const mix of chosen.mixes) {
      for (const rules of sizes)
        rows.push(...(await measureSize({ site, columns, settings }, { ...mix, rules }, chosen.probes)));
    }
    return [{ name: 'new-packets', title: 'a packet of a new flow', unit: 'ns', floor: FLOOR, rows }];
  } finally {
    await site.destroy();
  }
}

async function prepareFrames(site: Site, family: Family, probes: readonly Probe[]): Promise<void> {
  const ends = ADDRESSES[family];
  const groups = PROBED_ADDRESSES[family];
  const sources = {
    none: ends.unknown,
    member: groups.securityGroup,
    list: groups.addressGroup,
    last: ends.known,
  } as const satisfies Record<Probe['match'], string>;
  for (const probe of probes) {
    await site.peer.request('prepare', {
      name: frameName(family, probe),
      protocol: probe.protocol === 'udp' ? 17 : 6,
      source: sources[probe.match],
      // A group has but so many hosts; the ports make the rest of the flows.
      sources: probe.match === 'none' || probe.match === 'last' ? 4_096 : MEMBERS,
      sourcePort: 20_000,
      destination: ends.host,
      port: LAST_PORT,
      count: FRAMES,
      hostMac: MACS.host,
      peerMac: MACS.peer,
    });
  }
}

interface Bench {
  readonly site: Site;
  readonly columns: readonly Firewall[];
  readonly settings: Settings;
}

async function measureSize(bench: Bench, spec: RulesSpec, probes: readonly Probe[]): Promise<readonly Row[]> {
  const { site, columns, settings } = bench;
  const rows: Row[] = [];
  const loaded: Firewall[] = [];
  for (const column of columns) {
    const { namespace } = site.host(column);
    if (column !== 'none') unload(namespace);
    if (await loadFirewall(column, namespace, { ...spec, verdict: 'drop' })) loaded.push(column);
  }
  checkHooks(site);
  // Without groups, who is in one is a stranger; the order of groups is no matter of the protocol.
  const met = probes.filter(
    ({ match, protocol }) =>
      (spec.groups || match === 'none' || match === 'last') && (spec.parts === undefined || protocol === 'udp'),
  );
  for (const probe of met) {
    settings.progress(`${spec.rules} rules, ${spec.family}, ${probe.protocol}, match ${probe.match}`);
    // The floor gives the verdict that the rules give, since a flow that is let in costs more than one that is not.
    const floor = site.host(FLOOR).namespace;
    unload(floor);
    await loadFirewall(FLOOR, floor, { ...spec, verdict: probe.match === 'none' ? 'drop' : 'accept' });
    const samples = await inRounds(loaded, settings.quick ? 5 : 9, async (column) => {
      await site.host(column).endpoint.request('flush');
      return send(site, {
        frames: frameName(spec.family, probe),
        column,
        protocol: probe.protocol,
        milliseconds: settings.quick ? 15 : 40,
        fate: column === 'none' || probe.match !== 'none' ? 'let in' : 'dropped',
      });
    });
    const { rules, family, groups, parts = 1 } = spec;
    rows.push({
      case: { rules, family, remotes: groups ? 'a third groups' : 'networks', 'groups in order': parts, ...probe },
      cells: cellsOf(samples, FLOOR),
    });
  }
  return rows;
}

function frameName(family: Family, { protocol, match }: Probe): string {
  return `${family} ${protocol} ${match}`;
}
