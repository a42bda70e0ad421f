import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { AddressGroupName, GroupName } from '#core/model/policy/names.ts';
import type { Remote, Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import type { Span } from '#core/model/policy/span.ts';
import type { RemoteInput, RuleInput } from '#core/read/1-parse/policy-schema.ts';
import { remoteWord } from './address-hint.ts';
import { parseInterval } from './address-text.ts';
import { type Entry, reportUnknown, spanAt } from './merge-documents.ts';
import { readTraffic } from './read-traffic.ts';
import { reportExtensionHeader } from './report-numbers.ts';
import { reportUnrealRemote } from './report-unreal.ts';

/** The names a rule may refer to. */
export interface KnownNames {
  readonly securityGroups: ReadonlySet<string>;
  readonly addressGroups: ReadonlySet<string>;
}

/** What reading a rule needs beside the rule: where it stands, whose it is, what it may name. */
export interface RuleContext {
  readonly origin: RuleOrigin;
  readonly known: KnownNames;
  readonly report: Report;
}

/** A rule of either direction as the parser leaves it; which key holds the remote follows from the direction. */
export type AnyRuleInput = Omit<RuleInput, 'source'> & {
  readonly source?: RemoteInput | undefined;
  readonly destination?: RemoteInput | undefined;
};

/** Reads one rule into one rule a family; none if it is disabled or, with what is wrong reported, invalid. */
export function readRule(entry: Entry<AnyRuleInput>, { origin, known, report }: RuleContext): readonly Rule[] {
  const { input } = entry;
  const remoteKey = origin.direction === 'inbound' ? 'source' : 'destination';
  const remoteInput = input[remoteKey];
  const remote =
    remoteInput === undefined
      ? undefined
      : readRemote(remoteInput, { span: spanAt(entry, remoteKey), group: origin.group, known, report });
  const families = readFamilies(entry, remote, { remoteKey, report });
  const priority = input.priority ?? 1;
  if (!Number.isInteger(priority) || priority < 1 || priority > 100) {
    report({
      code: 'bad-priority',
      span: spanAt(entry, 'priority'),
      message: `priority \`${priority}\` is out of range`,
      help: `priorities are 1 (first) to 100 (last)${priority > 100 ? ': keep the order in smaller numbers' : ''}`,
    });
  }
  const traffic = readTraffic(entry, families, report);
  if (remote === undefined || input.enabled === false) return [];
  const { action = 'allow', description } = input;
  const { direction } = origin;
  reportUnrealRemote({ remote, direction, action, traffic, span: spanAt(entry, remoteKey) }, report);
  if (input.protocol !== undefined) reportExtensionHeader(traffic, spanAt(entry, 'protocol'), report);
  const priorityWritten = input.priority !== undefined;
  return [...traffic].map(([family, of]) => ({
    origin,
    action,
    priority,
    priorityWritten,
    family,
    traffic: of,
    remote,
    log: input.log,
    description,
  }));
}

interface Families {
  readonly list: readonly Family[];
  /** Whether the rule says its type, so that what does not fit is a mistake and not to be passed over. */
  readonly written: boolean;
}

function readFamilies(
  entry: Entry<AnyRuleInput>,
  remote: Remote | undefined,
  { remoteKey, report }: { readonly remoteKey: string; readonly report: Report },
): Families {
  const { type } = entry.input;
  const remoteFamily = remote?.kind === 'interval' ? remote.interval.family : undefined;
  if (type !== undefined && remoteFamily !== undefined && type !== remoteFamily) {
    report({
      code: 'family-mismatch',
      span: spanAt(entry, 'type'),
      message: `the rule's type is \`${type}\`, and its ${remoteKey} is an ${remoteFamily === 'ipv4' ? 'IPv4' : 'IPv6'} address`,
      help: `write \`type: ${remoteFamily}\` or leave it out`,
    });
  }
  const family = type ?? remoteFamily;
  return family === undefined ? { list: FAMILIES, written: false } : { list: [family], written: true };
}

/** What reading a remote needs beside it: where it stands, in which group, what it may name. */
export interface RemoteContext {
  readonly span: Span;
  readonly group: GroupName | undefined;
  readonly known: KnownNames;
  readonly report: Report;
}

/** Reads a remote; undefined once what is wrong with it is reported. */
export function readRemote(input: RemoteInput, { span, group, known, report }: RemoteContext): Remote | undefined {
  if (typeof input === 'object') {
    return 'securityGroup' in input
      ? readGroup('securityGroup', input.securityGroup, { span, known, report })
      : readGroup('addressGroup', input.addressGroup, { span, known, report });
  }
  if (input === 'any') return { kind: 'any' };
  if (input === 'self') {
    if (group !== undefined) return { kind: 'securityGroup', name: group };
    report({
      code: 'self-outside-group',
      span,
      message: '`self` means the group a rule is in, and this is in none',
      help: 'name the group: `{ securityGroup: NAME }`',
    });
    return undefined;
  }
  return readAddressRemote(input, { span, known, report });
}

const GROUP_KINDS = {
  securityGroup: { what: 'security group', code: 'unknown-group', names: 'securityGroups', other: 'addressGroup' },
  addressGroup: {
    what: 'address group',
    code: 'unknown-address-group',
    names: 'addressGroups',
    other: 'securityGroup',
  },
} as const;

function readGroup(
  kind: 'securityGroup' | 'addressGroup',
  name: string,
  { span, known, report }: Omit<RemoteContext, 'group'>,
): Remote | undefined {
  const { what, code, names, other } = GROUP_KINDS[kind];
  if (known[names].has(name)) {
    return kind === 'securityGroup' ? { kind, name: name as GroupName } : { kind, name: name as AddressGroupName };
  }
  const { what: otherWhat, names: otherNames } = GROUP_KINDS[other];
  const elsewhere = known[otherNames].has(name)
    ? `it is ${otherWhat === 'address group' ? 'an' : 'a'} ${otherWhat}: write \`{ ${other}: ${name} }\``
    : undefined;
  reportUnknown(report, { what, code, name, known: known[names], span, elsewhere });
  return undefined;
}

function readAddressRemote(text: string, { span, known, report }: Omit<RemoteContext, 'group'>): Remote | undefined {
  const parsed = parseInterval(text);
  if (parsed.kind === 'problem') {
    const named = known.securityGroups.has(text)
      ? 'securityGroup'
      : known.addressGroups.has(text)
        ? 'addressGroup'
        : undefined;
    const word = remoteWord(text);
    const help =
      named !== undefined
        ? `to name the group write \`{ ${named}: ${text} }\``
        : word === undefined
          ? parsed.help
          : `write \`${word}\``;
    const message = word === undefined ? parsed.message : `${quote(text)} is not an address, a CIDR or a range`;
    report({ code: 'bad-address', span, message, help });
    return undefined;
  }
  reportHostBits({ text, normalised: parsed.normalised, span, report });
  return { kind: 'interval', interval: parsed.interval };
}

interface HostBits {
  readonly text: string;
  readonly normalised: string | undefined;
  readonly span: Span;
  readonly report: Report;
}

/** Warns of a CIDR with host bits set, which is taken for its network. */
export function reportHostBits({ text, normalised, span, report }: HostBits): void {
  if (normalised === undefined) return;
  report({
    code: 'host-bits',
    span,
    message: `\`${text}\` has host bits set and is taken for \`${normalised}\``,
    help: `write \`${normalised}\`, or \`${text.slice(0, text.indexOf('/'))}\` for the one address`,
  });
}
