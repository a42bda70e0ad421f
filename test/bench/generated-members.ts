import { type PolicyTexts, policyText, type RulesSpec } from './generated-policy.ts';

/** The list file of every policy that has one. */
export const LIST_FILE = 'list.txt';

/** So many addresses of hosts, no two of them neighbours, or a list of them would be a few ranges. */
export function memberAddresses(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => {
    const at = 2 * i + 1;
    return `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;
  });
}

/** A policy whose one rule lets the members of a group in; a million of them stay below the most that a file may hold. */
export function membersPolicyText(addresses: readonly string[]): string {
  return `version: 1
securityGroups:
  measured:
    inbound:
      - { protocol: tcp, ports: 22, source: { securityGroup: members } }
  members: {}
instances:
  host: { interfaces: { eth0: { securityGroups: [measured] } } }
  other: { interfaces: { eth0: { securityGroups: [members], addresses: [${addresses.join(',')}] } } }
`;
}

/** A policy whose one rule lets the entries of a list file in. */
export function listPolicyTexts(addresses: readonly string[]): PolicyTexts & { readonly list: string } {
  const text = `version: 1
addressGroups:
  listed: { file: ${LIST_FILE} }
securityGroups:
  measured:
    inbound:
      - { protocol: tcp, ports: 22, source: { addressGroup: listed } }
instances:
  host: { interfaces: { eth0: { securityGroups: [measured] } } }
`;
  return { text, list: listText(addresses) };
}

/** Rules, and before them one that lets nothing in from the entries of a list file. */
export function policyWithList(spec: RulesSpec, addresses: readonly string[]): PolicyTexts {
  const text = policyText(spec, {
    addressGroups: `  listed: { file: ${LIST_FILE} }\n`,
    inbound: '      - { action: deny, priority: 1, source: { addressGroup: listed } }\n',
  });
  return { text, list: listText(addresses) };
}

function listText(addresses: readonly string[]): string {
  return `${addresses.join('\n')}\n`;
}
