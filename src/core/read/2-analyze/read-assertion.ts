import type { Report } from '#core/diagnostics/report.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { Assertion } from '#core/model/policy/policy.ts';
import type { Direction, Remote } from '#core/model/policy/rule.ts';
import type { AssertionInput } from '#core/read/1-parse/policy-schema.ts';
import { type Entry, keySpanAt, reportUnknown, spanAt } from './merge-documents.ts';
import { type KnownNames, readRemote, readRule } from './read-rule.ts';

/** What reading an assertion needs besides it. */
export interface AssertionContext {
  readonly known: KnownNames;
  readonly instances: readonly string[];
  readonly report: Report;
}

/** Reads an assertion, and reports what is wrong with it. One with both `allow` and `deny` is already reported. */
export function readAssertion(entry: Entry<AssertionInput>, context: AssertionContext): readonly Assertion[] {
  return (['deny', 'allow'] as const).flatMap((expected) => {
    const input = entry.input[expected];
    return input === undefined ? [] : [readExpected(entry, { expected, input, ...context })];
  });
}

interface ExpectedContext extends AssertionContext {
  readonly expected: 'allow' | 'deny';
  readonly input: NonNullable<AssertionInput['allow']>;
}

function readExpected(
  entry: Entry<AssertionInput>,
  { expected, input, known, instances, report }: ExpectedContext,
): Assertion {
  const { direction: written, except: excepted = [], instance, ...traffic } = input;
  const body = { input: traffic, document: entry.document, path: [...entry.path, expected] };
  const direction: Direction = traffic.source === undefined ? 'outbound' : 'inbound';
  if (written !== undefined && written !== direction) {
    report({
      code: 'wrong-remote-key',
      span: spanAt(body, 'direction'),
      message: `\`${direction === 'inbound' ? 'source' : 'destination'}\` is ${direction}, and the direction is \`${written}\``,
      help: 'leave `direction` out: `source` or `destination` implies it',
    });
  }
  if (instance !== undefined && !instances.includes(instance)) {
    const span = spanAt(body, 'instance');
    reportUnknown(report, { what: 'instance', code: 'unknown-instance', name: instance, known: instances, span });
  }
  const span = keySpanAt(body);
  const origin = { group: undefined, direction, index: 0, template: undefined, span } as const;
  const rules = readRule(body, { origin, known, report });
  const except = excepted.flatMap((remote, index): readonly Remote[] => {
    const context = { span: spanAt(body, 'except', index), group: undefined, known, report };
    const read = readRemote(remote, context);
    return read === undefined ? [] : [read];
  });
  const { because } = entry.input;
  return { expected, traffic: rules, except, instance: instance as InstanceName | undefined, because, span };
}
