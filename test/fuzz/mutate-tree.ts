import { parse, stringify } from 'yaml';
import type { Random } from './random.ts';

type Tree = null | boolean | number | string | Tree[] | { [key: string]: Tree };

/** Where in a tree a value stands. */
interface Place {
  readonly holder: Tree[] | { [key: string]: Tree };
  readonly key: string | number;
}

/** What a key of the format may well have. Others keep what they have, or get somebody else's. */
const VALUES: Readonly<Record<string, readonly Tree[]>> = {
  action: ['allow', 'deny'],
  priority: [1, 2, 50, 100],
  type: ['ipv4', 'ipv6'],
  protocol: ['tcp', 'udp', 'icmp', 'gre', 'all', 6, 17, 1, 47, 58, 132, 255],
  ports: [22, '22', '80,443', '1-65535', '1-1023,8000-8999', [22, '80-90'], '65535', 1, '53'],
  icmp: ['echo-request', 8, 0, { type: 3, code: 4 }, { type: 255, code: 255 }, 128, 'packet-too-big', 13],
  source: [
    'any',
    'self',
    '10.0.0.0/8',
    '192.0.2.1',
    '2001:db8::/32',
    '::1',
    '10.0.0.1-10.0.0.9',
    '0.0.0.0/0',
    '::/0',
    '::ffff:192.0.2.1',
  ],
  destination: [
    'any',
    '10.0.0.0/8',
    '192.0.2.1',
    '2001:db8::/32',
    '198.51.100.0-198.51.100.255',
    '0.0.0.0/0',
    '::/0',
    '224.0.0.1',
  ],
  enabled: [true, false],
  log: [true, false],
  invalid: ['drop', 'match'],
  evaluation: ['sequence', 'merged'],
  template: ['default', 'Sys-WebServer', 'Sys-FullAccess'],
  unmanagedInterfaces: ['allow', 'deny'],
  counters: [true, false],
  logging: [{ denied: false }, { rate: 20 }, { denied: true, rate: 1 }],
  neighborDiscovery: [true, false],
  routerAdvertisement: [true, false],
  dhcpClient: [true, false],
  igmp: [true, false],
  helpers: [true, false],
  ownAddress: [true, false],
  addresses: ['dynamic', ['192.0.2.1'], ['10.0.0.0/8', '2001:db8::1'], []],
  description: [
    '"; flush ruleset; "',
    '} add rule',
    '$(reboot)',
    `it's`,
    '\\',
    'é😀',
    '#',
    'x'.repeat(256),
    '',
    'a\nb',
    '\u0000',
    '\u202e',
  ],
  because: ['"; flush ruleset; "', '\\" # '],
};

const REMOTES = ['source', 'destination'];
const PATTERNS = [
  'eth0',
  'eth*',
  '*',
  'wg0',
  'br-lan.100',
  'a@b',
  'en+',
  'x=y',
  '~',
  'eth0"',
  '-',
  'eth0; accept',
  'verylonginterface',
  '1',
];
const NAMES = [
  'web',
  'a.b',
  'a-b',
  'self',
  'any',
  'default',
  'in',
  'accept',
  'a'.repeat(64),
  '__proto__',
  'constructor',
  '1',
  '0',
  'g1',
  'applied',
  'input',
  '-',
  '.',
  '"',
  'ä',
];

/** The text with a few values of the policy in it replaced by others that the format knows; undefined where it is no YAML. */
export function mutateTree(text: string, random: Random): string | undefined {
  let tree: Tree;
  try {
    tree = parse(text, { logLevel: 'silent' }) as Tree;
  } catch {
    return undefined;
  }
  const times = 1 + random.below(4);
  for (let i = 0; i < times; i += 1) change(tree, random);
  return stringify(tree);
}

function change(tree: Tree, random: Random): void {
  const place = random.of(placesIn(tree));
  if (place === undefined) return;
  const { holder, key } = place;
  if (Array.isArray(holder)) {
    changeItem(holder, Number(key), random);
    return;
  }
  switch (random.below(6)) {
    case 0:
      delete holder[key];
      return;
    case 1:
      rename(holder, String(key), random);
      return;
    case 2: {
      const [name, values] = random.of(Object.entries(VALUES)) ?? ['', []];
      set(holder, name, random.of(values) ?? null);
      return;
    }
    default:
      set(holder, String(key), valueFor(String(key), tree, random) ?? holder[key] ?? null);
  }
}

function changeItem(items: Tree[], index: number, random: Random): void {
  const item = items[index] ?? null;
  if (random.below(3) === 0) items.splice(index, 1);
  else if (random.below(2) === 0) items.splice(random.below(items.length + 1), 0, structuredClone(item));
  else if (typeof item === 'string') items[index] = random.of(VALUES['destination'] ?? []) ?? item;
}

function rename(holder: { [key: string]: Tree }, key: string, random: Random): void {
  const value = holder[key] ?? null;
  delete holder[key];
  set(holder, random.of(/^(?:\*|[a-z]+[0-9*])/.test(key) ? PATTERNS : NAMES) ?? key, value);
}

/** As YAML would, be the key `__proto__`. */
function set(holder: { [key: string]: Tree }, key: string, value: Tree): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function valueFor(key: string, tree: Tree, random: Random): Tree | undefined {
  if (REMOTES.includes(key) && random.below(3) === 0) {
    const kind = random.of(['securityGroup', 'addressGroup'] as const) ?? 'securityGroup';
    return { [kind]: random.of(keysOf(tree, `${kind}s`)) ?? 'web' };
  }
  if (key === 'securityGroups') return undefined;
  return structuredClone(random.of(VALUES[key] ?? []));
}

function keysOf(tree: Tree, key: string): readonly string[] {
  const value = typeof tree === 'object' && tree !== null && !Array.isArray(tree) ? tree[key] : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

function placesIn(tree: Tree): readonly Place[] {
  if (typeof tree !== 'object' || tree === null) return [];
  if (Array.isArray(tree)) return tree.flatMap((item, key) => [{ holder: tree, key }, ...placesIn(item)]);
  return Object.entries(tree).flatMap(([key, item]) => [{ holder: tree, key }, ...placesIn(item)]);
}
