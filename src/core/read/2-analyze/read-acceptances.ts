import type { Report } from '#core/diagnostics/report.ts';
import type { AddressGroupName, GroupName } from '#core/model/policy/names.ts';
import type { Acceptance } from '#core/model/policy/policy.ts';
import { DIRECTIONS } from '#core/model/policy/rule.ts';
import type { LintInput } from '#core/read/1-parse/policy-schema.ts';
import { type Entry, keySpanAt, type MergedInput, spanAt } from './merge-documents.ts';

/** Reads which findings of `sgctl lint` are accepted, and where; reports an empty reason. */
export function readAcceptances(merged: MergedInput, report: Report): readonly Acceptance[] {
  const read = (entry: Entry<LintInput> | undefined, scope: Acceptance['scope']): readonly Acceptance[] =>
    entry === undefined
      ? []
      : Object.entries(entry.input).flatMap(([code, because]) => {
          if (because === undefined) return [];
          if (because.trim() === '') reportNoReason(entry, code, report);
          return [{ code, because, scope, span: keySpanAt(entry, code) }];
        });
  return [
    ...merged.lint.flatMap((entry) => read(entry, { kind: 'policy' })),
    ...merged.management.flatMap((entry, index) => {
      const direction = entry.input.destination === undefined ? 'inbound' : 'outbound';
      const origin = { group: undefined, direction, index, template: undefined, span: keySpanAt(entry) } as const;
      return read(lintOf(entry), { kind: 'rule', origin });
    }),
    ...[...merged.addressGroups].flatMap(([name, entry]) =>
      read(lintOf(entry), { kind: 'addressGroup', name: name as AddressGroupName }),
    ),
    ...[...merged.securityGroups].flatMap(([name, entry]) => [
      ...read(lintOf(entry), { kind: 'securityGroup', name: name as GroupName }),
      ...DIRECTIONS.flatMap((direction) =>
        (entry.input[direction] ?? []).flatMap((input, index) => {
          const rule = { input, document: entry.document, path: [...entry.path, direction, index] };
          const group = name as GroupName;
          const origin = { group, direction, index, template: undefined, span: keySpanAt(rule) } as const;
          return read(lintOf(rule), { kind: 'rule', origin });
        }),
      ),
    ]),
  ];
}

function lintOf(entry: Entry<{ readonly lint?: LintInput | undefined }>): Entry<LintInput> | undefined {
  const { input, document, path } = entry;
  return input.lint === undefined ? undefined : { input: input.lint, document, path: [...path, 'lint'] };
}

function reportNoReason(entry: Entry<LintInput>, code: string, report: Report): void {
  report({
    code: 'bad-value',
    span: spanAt(entry, code),
    message: `expected why \`${code}\` is meant to be so, found empty text`,
    help: 'write the reason, for the next reader',
  });
}
