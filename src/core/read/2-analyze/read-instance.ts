import type { Report } from '#core/diagnostics/report.ts';
import type { Address } from '#core/model/net/address.ts';
import type { GroupName, InstanceName, InterfacePattern } from '#core/model/policy/names.ts';
import type { Evaluation, Instance, InterfaceBinding } from '#core/model/policy/policy.ts';
import type { InstanceInput, InterfaceInput } from '#core/read/1-parse/policy-schema.ts';
import { parseAddress } from './address-text.ts';
import { whyNoInterface } from './interface-text.ts';
import { type Entry, keySpanAt, reportUnknown, spanAt } from './merge-documents.ts';
import type { KnownNames } from './read-rule.ts';
import { reportUnrealMember } from './report-unreal.ts';

/** What reading an instance needs besides it. */
export interface InstanceContext {
  readonly evaluation: Evaluation;
  readonly known: KnownNames;
  readonly report: Report;
}

/** Reads an instance: which host it is, and the groups of its interfaces. */
export function readInstance(
  name: InstanceName,
  entry: Entry<InstanceInput>,
  { evaluation, known, report }: InstanceContext,
): Instance {
  const { input } = entry;
  const hostKey = input.hostname !== undefined ? 'hostname' : 'machineId';
  if (name === '*' && (input.hostname !== undefined || input.machineId !== undefined)) {
    report({
      code: 'bad-host-match',
      span: keySpanAt(entry, hostKey),
      message: `the instance \`*\` is any host no other instance matches, so it cannot have a \`${hostKey}\``,
      help: 'give the instance a name',
    });
  }
  if (input.machineId !== undefined && !/^[0-9a-fA-F]{32}$/.test(input.machineId)) {
    report({
      code: 'bad-host-match',
      span: spanAt(entry, 'machineId'),
      message: `\`${input.machineId}\` is not a machine id`,
      help: 'a machine id has 32 hexadecimal digits: `cat /etc/machine-id` on the host',
    });
  }
  const interfaces = Object.entries(input.interfaces ?? {}).map(([pattern, binding]) =>
    readInterface(
      pattern,
      { input: binding, document: entry.document, path: [...entry.path, 'interfaces', pattern] },
      { known, report },
    ),
  );
  return {
    name,
    hostname: input.hostname?.toLowerCase(),
    machineId: input.machineId?.toLowerCase(),
    evaluation: input.evaluation ?? evaluation,
    interfaces,
    span: keySpanAt(entry),
  };
}

function readInterface(
  pattern: string,
  entry: Entry<InterfaceInput>,
  { known, report }: { known: KnownNames; report: Report },
): InterfaceBinding {
  const { input } = entry;
  const notAName = whyNoInterface(pattern);
  if (notAName !== undefined) report({ code: 'bad-interface', span: keySpanAt(entry), ...notAName });
  if (pattern === 'lo') {
    report({
      code: 'loopback-bound',
      span: keySpanAt(entry),
      message: 'loopback is never filtered, so these groups have no effect',
      help: 'leave `lo` out',
    });
  }
  const groups: GroupName[] = [];
  (input.securityGroups ?? []).forEach((group, index) => {
    const span = spanAt(entry, 'securityGroups', index);
    if (!known.securityGroups.has(group)) {
      reportUnknown(report, {
        what: 'security group',
        code: 'unknown-group',
        name: group,
        known: known.securityGroups,
        span,
        elsewhere: known.addressGroups.has(group)
          ? 'it is an address group, which rules name, not interfaces'
          : undefined,
      });
    } else if (groups.includes(group as GroupName)) {
      report({
        code: 'group-attached-twice',
        span,
        message: `\`${group}\` is attached twice to \`${pattern}\``,
        help: 'leave one of them out',
      });
    } else {
      groups.push(group as GroupName);
    }
  });
  return {
    pattern: pattern as InterfacePattern,
    addresses: readAddresses(entry, report),
    groups,
    invalid: input.invalid ?? 'drop',
    span: keySpanAt(entry),
  };
}

function readAddresses(entry: Entry<InterfaceInput>, report: Report): readonly Address[] | 'dynamic' {
  const { addresses } = entry.input;
  if (addresses === undefined || addresses === 'dynamic') return 'dynamic';
  return addresses.flatMap((text, index) => {
    const parsed = parseAddress(text);
    const span = spanAt(entry, 'addresses', index);
    if (parsed.kind === 'address') {
      reportUnrealMember(parsed.address, { span, report });
      return [parsed.address];
    }
    report({
      code: 'bad-address',
      span,
      message: parsed.message,
      help: parsed.help,
    });
    return [];
  });
}
