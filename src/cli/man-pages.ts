import { type PolicySection, policySections } from '#core/read/1-parse/policy-mappings.ts';
import { VERSION } from '#api/version.ts';
import { type Command, type CommandOption, EXIT } from '#cli/framework/command.ts';
import { COMMANDS } from './commands.ts';
import { OPTION } from '#cli/framework/options.ts';
import { SECGROUPD } from '#cli/commands/secgroupd-command.ts';
import type { CommandShape } from '#cli/framework/shell-completion.ts';

/** The manual pages, by file name: of both programs from what `--help` prints, of the policy file from its schema. */
export function manPages(): Readonly<Record<string, string>> {
  return { 'secgroupd.8': secgroupdPage(), 'sgctl.8': sgctlPage(), 'secgroupd-policy.5': policyPage() };
}

const FILES = [
  [
    '/etc/secgroupd/policy.yaml',
    'The policy; every *.yaml of /etc/secgroupd/policy.d belongs to it. Files there called *.yml, *.json or *.conf are not read, which check, log and status warn about; hidden files and backups are passed over.',
  ],
  ['/var/lib/secgroupd/last-good.nft', 'What is in force, for plain nft to load at boot.'],
  ['/run/secgroupd/secgroupd.sock', "The daemon's socket: HTTP and JSON, for root and the group secgroupd."],
  ['/run/secgroupd/secgroupd-read.sock', 'The same for the group secgroupd-read, which may ask and change nothing.'],
  ['/etc/secgroupd/boot.conf', 'What is done at boot where the rules last in force do not load.'],
] as const;

const TRUST = [
  'The policy file, its drop-ins and lists are read only if nobody but root and the user that the daemon runs as can change them: the file itself, every directory from / to it, every directory that a symlink on the way leads through, and the directory that each symlink is in belong to root or to that user, and neither their group nor others can write to them. Of a directory with the sticky bit that all can write to, such as /tmp, a directory of root in it is trusted, and a file or a symlink in it is not.',
  'Where no policy was ever in force, and the first one can be changed by others, the daemon loads the limited rules: ssh in, everything out. FALLBACK=open in boot.conf leaves the host open instead.',
  'boot.conf, and the script that its FALLBACK names, are judged in the same way; if others can change them, boot goes on with the limited rules.',
  'The message names the first place that others can change, and what to do about it. --trust any reads the files whoever can change them.',
  'The state directory belongs to the user that the daemon runs as. sgctl apply and secgroupd --once, run by root, act in it as that user and follow no symlink there; where it is missing they make it with owner secgroupd, if there is that user, and mode 0750. A daemon that root starts by hand in the state directory of another user warns, and leaves there what that user can read.',
  'sgctl does not take the daemon\u2019s word, since the daemon is not root. sgctl try and sgctl confirm write the policy file that they are told by --policy, and refuse if the daemon enforces another; they write only a valid policy over a valid policy, which is what sgctl try submitted, or what a person has seen and agreed to.',
] as const;

const LIVE_CONNECTIONS: readonly string[] = [
  'A change of the inbound rules reaches live connections at once: one that the new rules deny stops. After that its client is not heard again on that TCP or UDP flow, on no port, not after a forged reset and not when conntrack has forgotten the flow while the server goes on sending. The sets revoked/ipv4 and revoked/ipv6 hold such flows; each stays for as long as its socket is open, and for a day more at most. sgctl status says how many there are.',
  'Connections that the host opened live on until they end, from whatever port and when conntrack has forgotten them.',
  'At the first start the daemon tells conntrack of the live connections, by the sockets: a local port that listens was called by the other end. Connections that the rules allow go on, with nf_conntrack_tcp_loose=0 too.',
];

/** Where whole policies are to be read. */
const EXAMPLES = 'the examples in /usr/share/doc/secgroupd/examples (config/examples of the sources).';

/** Values that are valid and seldom mean what they seem to. */
const ADDRESSES_AND_NUMBERS = [
  'An address that no interface can have (0.0.0.0, loopback, multicast, broadcast) is an error as the address of an interface. No packet comes from one: as the source of a rule it is a warning of sgctl check and sgctl lint. 0.0.0.0/0 and ::/0 are every address of a family; 0.0.0.0 is one address.',
  'An ICMP number means another type in each family: 8 is echo-request over IPv4 and nothing over IPv6. Names are clearer, and sgctl check warns where a number is ambiguous.',
  'A host that is an instance by its name stays that instance while the daemon runs, also when the name changes (a DHCP server may set it): sgctl status and the log warn, and a reload or a restart finds the instance anew. machineId, or --instance, does not depend on the name.',
] as const;

/** When a file of the policy counts. */
const WRITING = [
  'A file that is being written is not a policy. Policy file, drop-ins and lists are best written beside and renamed: then they count at once.',
  'A file that is written in place counts when its writer closes it. inotifywait(1) reports that; without it, and where a network file system hides it, the file counts when it has been as it is for 2 seconds. One that is closed amid a line, or that suddenly says nothing, counts 10 seconds after its last change.',
  'Until then what the file said before counts, other files are applied as usual, and sgctl status says what is waited for. A reload does not overrule that. A daemon that starts takes files as they are, but for one that ends amid a line, or says nothing, and changed less than 10 seconds ago: that one is waited for while the rules in force, or the last good ones, stand in.',
  'A file that nothing stands in for, such as a list that the policy has just begun to name, keeps every edit of the policy waiting, but for 10 seconds at most. A list that ends with a whole line and that its writer keeps open counts after 2 seconds of quiet, and again when it is closed. A list that is empty or ends amid a line while it is open, and a policy file that is open, are refused after 10 seconds: what was in force stays in force, and other files can be edited.',
] as const;

const STATUSES: Readonly<Record<keyof typeof EXIT, string>> = {
  success: 'Success.',
  no: 'Not valid, or not as expected; each command says what that means for it.',
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
        'The rules are the kernel\u2019s: ending the daemon leaves them in force. A policy with a mistake changes nothing.',
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
    ...section('SEE ALSO', ['.BR sgctl (8),', '.BR secgroupd-policy (5),', '.BR nft (8)']),
  ]);
}

/** Paragraphs of a section, which itself begins the first. */
function paragraphs(texts: readonly string[]): readonly string[] {
  return texts.flatMap((paragraph) => ['.PP', text(paragraph)]).slice(1);
}

function sgctlPage(): string {
  return page('SGCTL', 8, [
    ...section('NAME', [text('sgctl - check, foresee, explain and apply the policy that secgroupd enforces')]),
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
    ...section('SEE ALSO', ['.BR secgroupd (8),', '.BR secgroupd-policy (5),', text(EXAMPLES)]),
  ]);
}

const VERSION_OPTION: CommandOption = { type: 'boolean', help: 'print the version' };

/** `--help` is the same everywhere, and said once. */
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
    ...section('SEE ALSO', ['.BR secgroupd (8),', '.BR sgctl (8),', text(EXAMPLES)]),
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

/** Text as roff has it: nothing in it is a request or an escape. */
function text(plain: string): string {
  return plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('\u2019', "'")
    .split('\n')
    .map((line) => line.replace(/^([.'])/, '\\&$1'))
    .join('\n.br\n');
}
