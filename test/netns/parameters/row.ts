/** One row: a parameter, a policy that uses it, packets that it lets through, and their neighbours that it does not. */
export interface ParameterRow {
  readonly parameter: string;
  /** The policy's text. */
  readonly policy: string;
  /** In the notation of packet-notation.ts. */
  readonly through: readonly string[];
  readonly not: readonly string[];
}

/** List files that the policies of rows name, by name. */
export const LISTS: Readonly<Record<string, string>> = {
  'lists/blocked.txt': '# from the abuse desk\n192.0.2.200\n\n192.0.2.208/30 # a block\n2001:db8:7::-2001:db8:7::1\n',
  'lists/everyone.txt': '10.0.0.0/8\n0.0.0.0/0 # and with it the one above\n192.0.2.8\n::/0\n2001:db8::/32\n',
};

// What rules of rows refer to.
const SURROUNDINGS = `
addressGroups:
  hosts: { addresses: [192.0.2.8, "2001:db8:1::8"] }
  cidrs: { addresses: [192.0.2.16/28, "2001:db8:2::/126"] }
  ranges: { addresses: [192.0.2.40-192.0.2.50, "2001:db8:3::a-2001:db8:3::c"] }
  mixed: { addresses: [192.0.2.60, 192.0.2.62-192.0.2.63, 192.0.2.66/31, "2001:db8:3::20", "2001:db8:3::22/127"] }
  overlapping: { addresses: [192.0.2.96/27, 192.0.2.112-192.0.2.130, 192.0.2.100, 192.0.2.131, 192.0.2.100] }
  listed: { file: lists/blocked.txt }
  every-ipv4: { addresses: [0.0.0.0/0] }
  every-ipv6: { addresses: ["::/0", 192.0.2.8, "2001:db8::/32"] }
  everyone: { file: lists/everyone.txt }
  empty: { addresses: [] }
  ipv6-only: { addresses: ["2001:db8:4::/64"] }
instances:
  other-1:
    interfaces:
      eth0: { addresses: [198.51.100.5, 198.51.100.9, "2001:db8:5::5"], securityGroups: [members] }
      eth1: { addresses: [198.51.100.20], securityGroups: [members, g] }
  other-2:
    interfaces:
      "*": { addresses: ["2001:db8:5::9"], securityGroups: [members, ipv6-members] }
      wg0: { addresses: ["2001:db8:5::20"], securityGroups: [g] }`;

/** A policy of rules in one group on eth0, for both directions: `REMOTE` is `source` in one and `destination` in the other. */
export function rules(...written: readonly string[]): string {
  return groups({ g: written });
}

/** The same with several groups, attached in this order. `instance` is further keys of the host's instance. */
export function groups(written: Readonly<Record<string, readonly string[]>>, instance = ''): string {
  return attach(written, { instance });
}

/** The same for rules that are to be asked about packets that conntrack calls invalid too. */
export function rulesForInvalid(...written: readonly string[]): string {
  return attach({ g: written }, { binding: ', invalid: match' });
}

function attach(
  written: Readonly<Record<string, readonly string[]>>,
  { instance = '', binding = '' }: { instance?: string; binding?: string },
): string {
  const list = (rows: readonly string[], remote: string): string =>
    rows.map((row) => `\n      - ${row.replaceAll('REMOTE', remote)}`).join('');
  const bodies = Object.entries({ g: [], members: [], 'ipv6-members': [], lonely: [], ...written }).map(
    ([name, rows]) => `\n  ${name}:\n    inbound:${list(rows, 'source')}\n    outbound:${list(rows, 'destination')}`,
  );
  return `version: 1
securityGroups:${bodies.join('')}
${SURROUNDINGS}
  host:
    ${instance}
    interfaces:
      eth0: { addresses: [10.77.0.1, "fd77:0::1"], securityGroups: [${Object.keys(written).join(', ')}]${binding} }
`;
}
