import type { Report } from '#core/diagnostics/report.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import type { SecurityGroup } from '#core/model/policy/policy.ts';
import type { Direction, Rule } from '#core/model/policy/rule.ts';
import type { SecurityGroupInput } from '#core/read/1-parse/policy-schema.ts';
import { type Entry, keySpanAt, spanAt } from './merge-documents.ts';
import { type AnyRuleInput, type KnownNames, readRule } from './read-rule.ts';
import { expandTemplate } from './templates.ts';

/** Reads a security group: the rules of its template first, then its own, as they stand in the file. */
export function readSecurityGroup(
  name: GroupName,
  entry: Entry<SecurityGroupInput>,
  { known, report }: { known: KnownNames; report: Report },
): SecurityGroup {
  const read = (direction: Direction): readonly Rule[] => {
    const { template } = entry.input;
    const fromTemplate =
      template === undefined
        ? []
        : expandTemplate(template, { group: name, direction, span: spanAt(entry, 'template') });
    const own = (entry.input[direction] ?? []).flatMap((input: AnyRuleInput, index) => {
      const path = [...entry.path, direction, index];
      const origin = { group: name, direction, index, template: undefined, span: entry.document.spanOf(path) };
      return readRule({ input, document: entry.document, path }, { origin, known, report });
    });
    return [...fromTemplate, ...own];
  };
  return { name, inbound: read('inbound'), outbound: read('outbound'), span: keySpanAt(entry) };
}
