import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { POLICY, policyText } from '../property/arbitrary-policy.ts';
import { mutateTree } from './mutate-tree.ts';
import type { Random } from './random.ts';

/** What somebody might put on disk as a policy; one list file serves all names. */
export interface FuzzInput {
  readonly main: string;
  readonly dropIn: string | undefined;
  /** What the drop-in is called, its ending left out; it is in comments of the script. */
  readonly dropInName: string;
  readonly list: string;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What nft, a shell, YAML, a terminal or JavaScript could take for more than text. */
const HOSTILE = [
  ...'[]{},:-?&*!|>\'"%@`#~$;\\/<=()\n\t\r\0 '.split(''),
  ...[
    '"; flush ruleset; "',
    '} flush ruleset',
    "'; reboot; '",
    '$(reboot)',
    '`reboot`',
    '\\"',
    '\\n',
    '"\\u0000"',
    '"\\n# "',
  ],
  ...[
    'include "/etc/passwd"',
    'add rule inet secgroupd input accept',
    'define x = 1',
    '$x',
    '@applied',
    'accept',
    'comment "',
    'drop',
  ],
  ...['\u001b[2J', '\u202e', '\u200b', '\u2028', '\ufeff', '😀', '\ud800', '\u0085', 'é', 'ﬁ', '\u00a0'],
  ...['&a ', '*a', '<<: *a', '!!int ', '!!binary ', '!x ', '---\n', '...\n', '%YAML 1.1\n', '- ', '? ', ': '],
  ...['__proto__', 'constructor', 'toString', 'null', '~', 'true', 'yes', '0x10', '0o17', '1e9', '.inf', '-1', '1_000'],
  ...[
    'any',
    'self',
    '0.0.0.0/0',
    '::/0',
    '0.0.0.0',
    '255.255.255.255',
    '1.2.3.4/33',
    '::ffff:1.2.3.4',
    'fe80::1%eth0',
    '1.2.3.4-1.2.3.3',
  ],
  ...[
    '10.0.0.0-10.255.255.255',
    '2001:db8::-2001:db8::ffff',
    '010.1.1.1',
    '1.2.3',
    '0',
    '65535',
    '65536',
    '22,22',
    '1-65535',
    '22-',
    '*',
    'eth*',
    'e*h',
    '"*"',
  ],
  ...[
    'a'.repeat(64),
    'a'.repeat(65),
    '"'.repeat(200),
    'description: x',
    'enabled: false',
    'priority: 100',
    'priority: 0',
    'log: true',
  ],
  ...[
    'action: deny',
    'protocol: gre',
    'protocol: 47',
    'protocol: icmp',
    'icmp: 8',
    'icmp: { type: 3, code: 4 }',
    'type: ipv6',
    'ports: []',
    'invalid: match',
  ],
  ...[
    'evaluation: merged',
    'unmanagedInterfaces: deny',
    'counters: true',
    'counters: false',
    'logging: { denied: false }',
    'template: default',
    'version: 1',
  ],
] as const;

/** So many random policies, valid all of them, are there to begin with. */
const RANDOM_POLICIES = 300;

/** Of those, only ones that take little time are of use: there is much to try. */
const LONGEST_RANDOM = 1_200;

/** The project's own policies and those of its tests: what mutations begin with. */
export function seedInputs(): readonly FuzzInput[] {
  const examples = read(join(ROOT, 'config/examples'));
  const goldens = ['rulesets', 'diagnostics', 'lint'].flatMap((kind) => {
    const folder = join(ROOT, 'test/golden', kind);
    return readdirSync(folder).flatMap((name) => read(join(folder, name)));
  });
  const found = read(join(ROOT, 'test/fuzz/found'));
  const list = '# a list\n198.51.100.0/24\n203.0.113.7 # one\n2001:db8::/32\n192.0.2.1-192.0.2.9\n';
  const random = fc
    .sample(POLICY, { numRuns: RANDOM_POLICIES, seed: 1 })
    .map((policy) => policyText(policy))
    .filter((text) => text.length < LONGEST_RANDOM);
  const texts = [...found, ...random, readFileSync(join(ROOT, 'config/policy.yaml'), 'utf8'), ...examples, ...goldens];
  return texts.map((main, i) => ({
    main,
    dropIn: i % 5 === 0 ? texts[(i * 7) % texts.length] : undefined,
    dropInName: 'a',
    list,
  }));
}

function read(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

const DROP_IN = `securityGroups:
  dropped: { inbound: [{ protocol: tcp, ports: 8080, source: any, description: "of a drop-in" }] }
instances:
  dropped: { interfaces: { eth0: { securityGroups: [dropped] } } }
`;

/** Another input, made from one or two. */
export function mutate(input: FuzzInput, other: FuzzInput, random: Random): FuzzInput {
  const where = random.below(10);
  if (where === 0) return { ...input, list: mutateText(input.list, other.main, random) };
  if (where === 1) return { ...input, dropIn: mutateText(input.dropIn ?? DROP_IN, other.main, random) };
  if (where === 3) return { ...input, dropInName: `${input.dropInName}${random.of(HOSTILE) ?? ''}`.slice(-40) };
  if (where === 2 && input.dropIn !== undefined) return { ...input, dropIn: undefined };
  const changed = random.below(5) < 3 ? mutateTree(input.main, random) : undefined;
  // Some of what is left is spoiled as well.
  const isSpoiled = changed === undefined || random.below(6) === 0;
  return { ...input, main: isSpoiled ? mutateText(changed ?? input.main, other.main, random) : changed };
}

function mutateText(text: string, other: string, random: Random): string {
  let mutated = text;
  const times = 1 + random.below(random.below(4) === 0 ? 8 : 3);
  for (let i = 0; i < times; i += 1) mutated = mutateOnce(mutated, other, random);
  // Long ones are the business of tests of their own.
  return mutated.slice(0, 20_000);
}

function mutateOnce(text: string, other: string, random: Random): string {
  const hostile = random.of(HOSTILE) ?? '';
  const at = random.below(text.length + 1);
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at) + hostile + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random.below(8));
    case 2:
    case 3:
    case 4:
      return replaceToken(text, random, () => hostile);
    case 5:
      return replaceToken(text, random, (token) => random.of(text.match(TOKEN) ?? []) ?? token);
    case 6:
      return replaceLine(text, random, (line) => `${line}\n${line}`);
    case 7:
      return replaceLine(text, random, () => random.of(other.split('\n')) ?? '');
    default:
      return (
        text.slice(0, at) + String.fromCharCode(random.below(random.below(4) === 0 ? 65_536 : 128)) + text.slice(at + 1)
      );
  }
}

/** What policies are made of: words, numbers, addresses. */
const TOKEN = /[\p{L}\p{N}_.:/*-]+/gu;

function replaceToken(text: string, random: Random, to: (token: string) => string): string {
  const tokens = [...text.matchAll(TOKEN)];
  const token = random.of(tokens);
  if (token === undefined) return text;
  return text.slice(0, token.index) + to(token[0]) + text.slice(token.index + token[0].length);
}

function replaceLine(text: string, random: Random, to: (line: string) => string): string {
  const lines = text.split('\n');
  const index = random.below(lines.length);
  return lines.map((line, i) => (i === index ? to(line) : line)).join('\n');
}
