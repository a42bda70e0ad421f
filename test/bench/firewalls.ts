import { spawnSync } from 'node:child_process';
import { type GeneratedRule, generatedGroups, generatedRules, policyText, type RulesSpec } from './generated-policy.ts';
import { openOurs } from './ours.ts';
import { loadNft, runIn, type Site } from './site.ts';

const FIREWALLS = ['none', 'conntrack', 'secgroupd', 'secgroupd-uncounted', 'nft-linear', 'iptables-nft'] as const;

/** One way of filtering. */
export type Firewall = (typeof FIREWALLS)[number];

/** The way that all others are compared with: flows are tracked, and nothing is looked at but their state. */
export const FLOOR: Firewall = 'conntrack';

/** The ways of filtering that can be measured here, in the order of all output; iptables only where it is installed. */
export function presentFirewalls(): readonly Firewall[] {
  const present = ['iptables-nft-restore', 'ip6tables-nft-restore'].every(
    (program) => spawnSync(program, ['--version']).status === 0,
  );
  return FIREWALLS.filter((firewall) => firewall !== 'iptables-nft' || present);
}

/** What to load; `verdict` is what the floor does to new flows. */
export interface LoadSpec extends RulesSpec {
  readonly verdict: 'accept' | 'drop';
}

/** Loads one way of filtering into a host that has none yet; false where it cannot say these rules. */
export async function loadFirewall(firewall: Firewall, namespace: string, spec: LoadSpec): Promise<boolean> {
  switch (firewall) {
    case 'none':
      return true;
    case 'conntrack':
      loadNft(namespace, floorScript(spec.verdict));
      return true;
    case 'secgroupd':
      await loadOurs(namespace, policyText(spec));
      return true;
    case 'secgroupd-uncounted':
      await loadOurs(namespace, policyText({ ...spec, uncounted: true }));
      return true;
    case 'nft-linear':
      loadNft(namespace, linearScript(spec));
      return true;
    case 'iptables-nft':
      // Groups would need another program's sets.
      if (spec.groups) return false;
      runIn(namespace, [`${spec.family === 'ipv4' ? 'ip' : 'ip6'}tables-nft-restore`], { input: iptablesScript(spec) });
      return true;
  }
}

/**
 * Throws unless the floor hooks into the kernel where secgroupd does: a hook costs something by being there, and a
 * ratio shall tell what the rules cost.
 */
export function checkHooks(site: Site): void {
  const hooks = (firewall: Firewall): string => {
    const { stdout } = runIn(site.host(firewall).namespace, ['nft', '--terse', 'list', 'chains']);
    return [...stdout.matchAll(/hook \w+ priority/g)].map(String).toSorted().join(', ');
  };
  const [floor, ours] = [hooks(FLOOR), hooks('secgroupd')];
  if (floor !== ours) throw new Error(`the floor has other hooks (${floor}) than secgroupd (${ours})`);
}

async function loadOurs(namespace: string, text: string): Promise<void> {
  const ours = openOurs(namespace);
  try {
    await ours.begin({ text }, 'untracked');
  } finally {
    await ours.close();
  }
}

function floorScript(verdict: LoadSpec['verdict']): string {
  return `table inet floor {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established accept
    ${verdict}
  }
  chain output {
    type filter hook output priority filter; policy drop;
    ct state established accept
    ${verdict}
  }
}
`;
}

/** The rules as one writes them by hand: one line each, in order, with sets for groups. */
export function linearScript(spec: RulesSpec): string {
  const rules = generatedRules(spec);
  const { security, address } = generatedGroups(spec);
  const type = spec.family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
  const sets = [
    ...[...security].map(([name, members]) => `  set ${name} { type ${type}; elements = { ${members.join(', ')} } }\n`),
    ...[...address].map(
      ([name, entries]) => `  set ${name} { type ${type}; flags interval; elements = { ${entries.join(', ')} } }\n`,
    ),
  ];
  const chain = (hook: 'input' | 'output', end: 'saddr' | 'daddr', interfaceKey: string): string => `  chain ${hook} {
    type filter hook ${hook} priority filter; policy drop;
    ct state established,related accept
    ${interfaceKey} lo accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
${rules.map((rule) => `    ${linearRule(rule, end, spec)}\n`).join('')}    counter drop
  }
`;
  return `table inet linear {
${spec.groups ? sets.join('') : ''}${chain('input', 'saddr', 'iifname')}${chain('output', 'daddr', 'oifname')}}
`;
}

function linearRule({ action, protocol, ports, remote }: GeneratedRule, end: string, { family }: RulesSpec): string {
  const address = `${family === 'ipv4' ? 'ip' : 'ip6'} ${end} ${remote.kind === 'cidr' ? '' : '@'}${remote.text}`;
  // The port first: it costs less to compare than an address, and much less than a set.
  return `${protocol} dport ${ports} ${address} ${action === 'allow' ? 'accept' : 'drop'}`;
}

/** The rules as iptables restores them, for one family. */
export function iptablesScript(spec: RulesSpec): string {
  const rules = generatedRules(spec);
  const lines = (chain: string, end: string): string =>
    rules
      .map(({ action, protocol, ports, remote }) => {
        const target = action === 'allow' ? 'ACCEPT' : 'DROP';
        return `-A ${chain} ${end} ${remote.text} -p ${protocol} --dport ${ports.replace('-', ':')} -j ${target}\n`;
      })
      .join('');
  return `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i lo -j ACCEPT
${lines('INPUT', '-s')}-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
${lines('OUTPUT', '-d')}COMMIT
`;
}
