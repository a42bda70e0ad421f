import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import type { PolicyMapping } from './policy-mappings.ts';

/** The key that a mistaken one was meant to be, and the hint. */
export interface MeantKey {
  readonly key: string;
  readonly help: string;
}

/** What clouds and other firewalls call the keys of any rule, in lower case without `-` and `_`. */
const RULE_WORDS: Readonly<Record<string, string>> = {
  port: 'ports',
  dport: 'ports',
  dports: 'ports',
  dstport: 'ports',
  destport: 'ports',
  destinationport: 'ports',
  destinationports: 'ports',
  portrange: 'ports',
  proto: 'protocol',
  protocols: 'protocol',
  ipprotocol: 'protocol',
  family: 'type',
  ethertype: 'type',
  ipversion: 'type',
  verdict: 'action',
  effect: 'action',
  target: 'action',
  comment: 'description',
  name: 'description',
  icmptype: 'icmp',
  prio: 'priority',
  order: 'priority',
};

/** Their names for the remote of an inbound rule. */
const SOURCE_WORDS = ['from', 'src', 'saddr', 'sourceaddress', 'sourceip', 'sourcecidr'];

/** Their names for the remote of an outbound rule. */
const DESTINATION_WORDS = ['to', 'dst', 'daddr', 'destinationaddress', 'destinationip', 'destinationcidr'];

/** Their names for the remote of a rule of either direction. */
const REMOTE_WORDS = [
  'cidr',
  'cidrip',
  'address',
  'ip',
  'remote',
  'remoteip',
  'remoteipprefix',
  'network',
  'cidrblocks',
  'cidrblock',
  'cidripv6',
  'ipv6cidrblocks',
  'remotegroup',
  'remotegroupid',
  'sourcegroup',
];

const remoteWords = (words: readonly string[], key: string): Readonly<Record<string, string>> =>
  Object.fromEntries(words.map((word) => [word, key]));

/** Other names for the keys of a mapping, by its title. */
const WORDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'an inbound rule': { ...RULE_WORDS, ...remoteWords([...SOURCE_WORDS, ...REMOTE_WORDS, 'destination'], 'source') },
  'an outbound rule': {
    ...RULE_WORDS,
    ...remoteWords([...DESTINATION_WORDS, ...REMOTE_WORDS, 'source'], 'destination'),
  },
  'a management rule': {
    ...RULE_WORDS,
    ...remoteWords(SOURCE_WORDS, 'source'),
    ...remoteWords(DESTINATION_WORDS, 'destination'),
  },
  'asserted traffic': {
    ...RULE_WORDS,
    ...remoteWords(SOURCE_WORDS, 'source'),
    ...remoteWords(DESTINATION_WORDS, 'destination'),
  },
  'a security group': {
    ingress: 'inbound',
    input: 'inbound',
    in: 'inbound',
    egress: 'outbound',
    output: 'outbound',
    out: 'outbound',
  },
  'an address group': {
    entries: 'addresses',
    members: 'addresses',
    cidrs: 'addresses',
    networks: 'addresses',
    ips: 'addresses',
    path: 'file',
  },
  'an interface': { groups: 'securityGroups', sgs: 'securityGroups', ips: 'addresses' },
  'a remote': {
    group: 'securityGroup',
    sg: 'securityGroup',
    groupid: 'securityGroup',
    groupname: 'securityGroup',
    securitygroupid: 'securityGroup',
    list: 'addressGroup',
    addresslist: 'addressGroup',
    ipset: 'addressGroup',
    prefixlist: 'addressGroup',
  },
  'a policy': { groups: 'securityGroups', hosts: 'instances', servers: 'instances', log: 'logging' },
};

/** The key of a mapping that the unknown key `key` was meant to be; undefined if that is unclear. */
export function meantKey(key: string, { what, keys }: PolicyMapping): MeantKey | undefined {
  const words = WORDS[what] ?? {};
  const word = key.toLowerCase().replace(/(?<=[a-z])[-_](?=[a-z])/g, '');
  const other = Object.hasOwn(words, word) ? words[word] : undefined;
  if (other !== undefined && keys.includes(other)) return { key: other, help: helpFor(key, other, what) };
  // The header of another tool's file is no misspelling.
  if (word === 'apiversion') return undefined;
  const near = didYouMean(key, keys);
  return near === undefined ? undefined : { key: near, help: `did you mean \`${near}\`?` };
}

function helpFor(key: string, other: string, what: string): string {
  if (key === 'destination' || key === 'source')
    return `${key === 'source' ? 'outbound' : 'inbound'} rules say \`${other}\``;
  return `the key is called \`${other}\` in ${what}`;
}
