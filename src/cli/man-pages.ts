import { VERSION } from '#api/version.ts';
import { SECGROUPD } from '#cli/commands/secgroupd-command.ts';
import { type Command, type CommandOption, EXIT } from '#cli/framework/command.ts';
import { OPTION } from '#cli/framework/options.ts';
import type { CommandShape } from '#cli/framework/shell-completion.ts';
import { type PolicySection, policySections } from '#core/read/1-parse/policy-mappings.ts';
import { choresLines } from './chores-page.ts';
import { COMMANDS } from './commands.ts';

/**
 * The manual pages, by file name: of both programs from what `--help` prints, of the policy file from its schema, of
 * chores from `chores`, the text of config/chores.md.
 */
export function manPages(chores: string): Readonly<Record<string, string>> {
  return {
    'secgroupd.8': secgroupdPage(),
    'sgctl.8': sgctlPage(),
    'secgroupd-policy.5': policyPage(),
    'secgroupd-chores.7': page('SECGROUPD-CHORES', 7, [
      ...section('NAME', [text('secgroupd-chores - how to do common chores with secgroupd')]),
      ...choresLines(chores, { text, section }),
      ...section('SEE ALSO', ['.BR secgroupd (8),', '.BR sgctl (8),', '.BR secgroupd-policy (5)']),
    ]),
  };
}

const FILES = [
  [
    '/etc/secgroupd/policy.yaml',
    'The policy; every *.yaml in /etc/secgroupd/policy.d belongs to it. Files there named *.yml, *.json or *.conf are not read, and check, log and status warn of them; hidden files and backups are ignored.',
  ],
  ['/var/lib/secgroupd/last-good.nft', 'The rules in force, which plain nft loads at boot.'],
  ['/run/secgroupd/secgroupd.sock', "The daemon's socket: HTTP and JSON, for root and the group secgroupd."],
  ['/run/secgroupd/secgroupd-read.sock', 'The same for the group secgroupd-read, for calls that change nothing.'],
  ['/etc/secgroupd/boot.conf', 'What to do at boot if the last rules do not load.'],
] as const;

const TRUST = [
  'The policy file, its drop-ins and lists are read only if no user but root and the daemon\u2019s own can change them: the file itself, every directory from / to it, every directory that a symlink on the path leads through, and the directory of each symlink belong to root or to the daemon\u2019s user, and neither their group nor others can write to them. In a world-writable directory with the sticky bit, such as /tmp, a directory that belongs to root is trusted; a file or a symlink is not.',
  'If no policy was ever in force, and others can change the first one, the daemon loads the limited rules: ssh in, everything out. FALLBACK=open in boot.conf leaves the host open instead.',
  'The same checks apply to boot.conf and to the script that its FALLBACK names; if others can change them, boot continues with the limited rules.',
  'The message names the first file or directory that others can change, and the remedy. --trust any skips these checks.',
  'The state directory belongs to the daemon\u2019s user. sgctl apply and secgroupd --once, run by root, act in it as that user and follow no symlink there; if it is missing, they create it with mode 0750 and owner secgroupd, if that user exists. A daemon that root starts by hand in the state directory of another user warns, and keeps its files there readable for that user.',
  'sgctl does not trust the daemon, since the daemon is not root. sgctl try and sgctl confirm write the policy file that --policy names, and refuse if the daemon enforces another. They only replace a valid policy by a valid policy: the one that sgctl try submitted, or one that a user has seen and agreed to.',
] as const;

const LIVE_CONNECTIONS: readonly string[] = [
  'A change of the inbound rules applies to live connections at once: a connection that the new rules deny stops. From then on the host drops all packets of its client on that TCP or UDP flow, even after a forged reset, and even if conntrack forgets the flow while the server continues to send. The sets revoked/ipv4 and revoked/ipv6 hold such flows, each for as long as its socket is open, and at most a day longer. sgctl status shows how many there are.',
  'Connections that the host opened continue until they end, from any port and even if conntrack forgets them.',
  'At the first start the daemon adds the live connections to conntrack, from the list of sockets: those on a local port that listens were opened by the other end. Connections that the rules allow continue, also with nf_conntrack_tcp_loose=0.',
];

/** Where to find whole policies. */
const EXAMPLES = 'the examples in /usr/share/doc/secgroupd/examples (config/examples of the sources).';

/** Values that are valid and seldom mean what they seem to mean. */
const ADDRESSES_AND_NUMBERS = [
  'An address that no interface can have (0.0.0.0, loopback, multicast, broadcast) is an error as the address of an interface. No packet comes from such an address: sgctl check and sgctl lint warn of it as the source of a rule. 0.0.0.0/0 and ::/0 are all addresses of a family; 0.0.0.0 is a single address.',
  'An ICMP number means a different type in each family: 8 is echo-request over IPv4 and nothing over IPv6. Names are clearer, and sgctl check warns where a number is ambiguous.',
  'A host that is an instance by its name stays that instance while the daemon runs, even if the name changes (a DHCP server may set it): sgctl status and the log warn, and a reload or a restart looks for the instance again. machineId and --instance do not depend on the name.',
] as const;

/** When a change of a file takes effect. */
const WRITING = [
  'The daemon waits until a file is completely written. The best way to replace the policy file, a drop-in or a list is to write a new file beside it and rename it: then it takes effect at once.',
  'A file that is written in place takes effect when its writer closes it. inotifywait(1) reports that; without it, or on a network file system that hides it, the file takes effect after 2 seconds without a change. A file that is closed within a line, or is suddenly empty, takes effect 10 seconds after its last change.',
  'Until then the earlier text of the file applies, other files are applied as usual, and sgctl status shows what the daemon waits for. A reload does not shorten the wait. A daemon that starts takes files as they are, except for a file that ends within a line, or is empty, and changed less than 10 seconds ago: it waits for that file while the rules in force, or the last good ones, apply.',
  'A file without an earlier text, such as a list that the policy has just begun to name, delays every edit of the policy, by at most 10 seconds. A list that ends with a whole line and that its writer keeps open takes effect after 2 seconds without a change, and again when it is closed. A list that is empty or ends within a line while it is open, and a policy file that is open, are refused after 10 seconds: the policy before stays in force, and other files can be edited.',
] as const;

const STATUSES: Readonly<Record<keyof typeof EXIT, string>> = {
  success: 'Success.',
  no: 'Not valid, or not as expected; each command documents its meaning.',
  usage: 'Wrong usage.',
  failed: 'Failed: no rights, the kernel refused, no daemon, or not done in time.',
};

function secgroupdPage(): string {
  return page('SECGROUPD', 8, [
    ...section('NAME', [text('secgroupd - security groups for this host')]),
    ...section('SYNOPSIS', [`.B secgroupd`, text(SECGROUPD.usage)]),
    ...section('DESCRIPTION', [
      text(SECGROUPD.summary),
      '.PP',
      text(
        'The kernel keeps the rules: stopping the daemon leaves them in force. A policy with a mistake changes nothing.',
      ),
    ]),
    ...section('OPTIONS', optionLines(SECGROUPD)),
    ...section('TRUST', paragraphs(TRUST)),
    ...section('WRITING FILES', paragraphs(WRITING)),
    ...section('EXAMPLES', exampleLines(SECGROUPD)),
    ...section('LIVE CONNECTIONS', paragraphs(LIVE_CONNECTIONS)),
    ...section(
      'FILES',
      FILES.flatMap(([file, what]) => ['.TP', `.I ${text(file)}`, text(what)]),
    ),
    ...section('SEE ALSO', ['.BR sgctl (8),', '.BR secgroupd-policy (5),', '.BR secgroupd-chores (7),', '.BR nft (8)']),
  ]);
}

/** The paragraphs of a section; the section's heading begins the first. */
function paragraphs(texts: readonly string[]): readonly string[] {
  return texts.flatMap((paragraph) => ['.PP', text(paragraph)]).slice(1);
}

function sgctlPage(): string {
  return page('SGCTL', 8, [
    ...section('NAME', [text('sgctl - check, plan, explain and apply the policy that secgroupd enforces')]),
    ...section(
      'SYNOPSIS',
      COMMANDS.flatMap(({ name, usage }, index) => [
        ...(index === 0 ? [] : ['.br']),
        `.B sgctl ${text(name)}`,
        ...(usage === '' ? [] : [text(usage)]),
      ]),
    ),
    ...section('COMMANDS', COMMANDS.flatMap(commandLines)),
    ...section('COMMON OPTIONS', optionLines({ options: { help: OPTION.help, version: VERSION_OPTION } })),
    ...section(
      'EXIT STATUS',
      Object.entries(EXIT).flatMap(([kind, status]) => [
        '.TP',
        `.B ${status}`,
        text(STATUSES[kind as keyof typeof EXIT]),
      ]),
    ),
    ...section('SEE ALSO', [
      '.BR secgroupd (8),',
      '.BR secgroupd-policy (5),',
      '.BR secgroupd-chores (7),',
      text(EXAMPLES),
    ]),
  ]);
}

const VERSION_OPTION: CommandOption = { type: 'boolean', help: 'print the version' };

/** Drops `--help`, which is the same for every command and documented once. */
function withoutHelp(options: CommandShape['options']): CommandShape['options'] {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'help'));
}

function commandLines(command: CommandShape & Pick<Command, 'exitNo'>): readonly string[] {
  return [
    `.SS ${text(command.name)}`,
    text(command.summary),
    ...optionLines({ options: withoutHelp(command.options) }),
    ...(command.exitNo === undefined ? [] : ['.PP', text(`Exit status 1: ${command.exitNo}.`)]),
    '.PP',
    'Examples:',
    ...exampleLines(command),
  ];
}

function optionLines({ options }: Pick<CommandShape, 'options'>): readonly string[] {
  return Object.entries(options).flatMap(([name, { short, value, help }]: readonly [string, CommandOption]) => [
    '.TP',
    `.BR ${short === undefined ? '' : `${text(`-${short}`)} ", " `}${text(`--${name}`)}${value === undefined ? '' : ` " ${text(value)}"`}`,
    text(help),
  ]);
}

function exampleLines({ examples }: CommandShape): readonly string[] {
  return ['.nf', '.RS', ...examples.map(text), '.RE', '.fi'];
}

const EXAMPLE = `version: 1
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: "80,443", source: any }
      - { protocol: tcp, ports: 22, source: 192.0.2.10 }
    outbound:
      - { destination: any }
instances:
  web-1:
    interfaces:
      eth0: { securityGroups: [web] }`;

function policyPage(): string {
  return page('SECGROUPD-POLICY', 5, [
    ...section('NAME', [text('secgroupd-policy - the policy file of secgroupd')]),
    ...section('DESCRIPTION', [
      text(
        'YAML 1.2, of which JSON is a part. Unknown keys are errors. What no rule allows is denied, in both directions.',
      ),
    ]),
    ...section('EXAMPLE', ['.nf', '.RS', ...EXAMPLE.split('\n').map(text), '.RE', '.fi']),
    ...section(
      'KEYS',
      policySections().flatMap((mapping) => [`.SS ${text(headingOf(mapping))}`, ...keyLines(mapping)]),
    ),
    ...section('ADDRESSES AND NUMBERS', paragraphs(ADDRESSES_AND_NUMBERS)),
    ...section('SEE ALSO', ['.BR secgroupd (8),', '.BR sgctl (8),', '.BR secgroupd-chores (7),', text(EXAMPLES)]),
  ]);
}

function keyLines({ keys }: PolicySection): readonly string[] {
  return keys.flatMap(({ key, description }) => ['.TP', `.B ${text(key)}`, text(description)]);
}

/** Where a mapping stands, and what it is: `securityGroups NAME inbound (an inbound rule)`. */
function headingOf({ places, what }: PolicySection): string {
  const [first = '', ...more] = places;
  if (first === '') return 'The file';
  const key = first.split(' ').at(-1) ?? '';
  const isOneKey = more.length > 0 && more.every((place) => place.split(' ').at(-1) === key);
  const where = isOneKey ? key : places.join(', ');
  return what === `\`${where}\`` ? where : `${where} (${what})`;
}

function page(title: string, number: number, lines: readonly string[]): string {
  return `${[`.TH ${title} ${number} "" "secgroupd ${VERSION}"`, ...lines].join('\n')}\n`;
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return [`.SH ${title}`, ...lines];
}

/** Escapes text for roff, so that nothing in it is a request or an escape. */
function text(plain: string): string {
  return plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('\u2019', "'")
    .split('\n')
    .map((line) => line.replace(/^([.'])/, '\\&$1'))
    .join('\n.br\n');
}
