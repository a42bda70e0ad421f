import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import { PLATFORM_SWITCHES } from '#core/model/policy/platform.ts';
import type { PlatformTraffic } from '#core/model/policy/policy.ts';
import type { Span } from '#core/model/policy/span.ts';
import type { PolicyDocument } from '#core/read/1-parse/parse-document.ts';
import type {
  AddressGroupInput,
  AssertionInput,
  InstanceInput,
  LintInput,
  ManagementRuleInput,
  PolicyInput,
  SecurityGroupInput,
} from '#core/read/1-parse/policy-schema.ts';

/** A path into a document, from its root. */
export type Path = readonly (string | number)[];

/** A part of a policy and where it was written. */
export interface Entry<Input> {
  readonly input: Input;
  readonly document: PolicyDocument;
  readonly path: Path;
}

/** All files of a policy as one: every name once, every setting once. */
export interface MergedInput {
  readonly evaluation: 'sequence' | 'merged' | undefined;
  readonly unmanagedInterfaces: 'allow' | 'deny' | undefined;
  /** The switches of built-in traffic that are written. */
  readonly platform: Partial<PlatformTraffic>;
  readonly counters: boolean | undefined;
  readonly logDenied: boolean | undefined;
  readonly logRate: Entry<number> | undefined;
  readonly management: readonly Entry<ManagementRuleInput>[];
  readonly addressGroups: ReadonlyMap<string, Entry<AddressGroupInput>>;
  readonly securityGroups: ReadonlyMap<string, Entry<SecurityGroupInput>>;
  readonly instances: ReadonlyMap<string, Entry<InstanceInput>>;
  readonly assertions: readonly Entry<AssertionInput>[];
  /** The findings of `sgctl lint` that are accepted for the whole policy, one entry per document. */
  readonly lint: readonly Entry<LintInput>[];
}

/** The span of the value at `path` below `entry`. */
export function spanAt(entry: Entry<unknown>, ...path: Path): Span {
  return entry.document.spanOf([...entry.path, ...path]);
}

/** The span of the key at `path` below `entry`. */
export function keySpanAt(entry: Entry<unknown>, ...path: Path): Span {
  return entry.document.keySpanOf([...entry.path, ...path]);
}

/** Merges the policy file and its drop-ins by name; reports a name or a setting written twice, with both places. */
export function mergeDocuments(documents: readonly PolicyDocument[], report: Report): MergedInput {
  const setting = <Value>(path: Path, read: (input: PolicyInput) => Value | undefined): Value | undefined => {
    const holders = documents.filter((document) => read(document.input) !== undefined);
    const [first, ...others] = holders;
    if (first === undefined) return undefined;
    for (const other of others) {
      report({
        code: 'conflicting-setting',
        span: other.keySpanOf(path),
        message: `\`${path.join('.')}\` is set in two files`,
        help: 'keep it in one of them',
        related: [{ span: first.keySpanOf(path), message: 'also set here' }],
      });
    }
    return read(first.input);
  };
  const named = <Input>(section: 'addressGroups' | 'securityGroups' | 'instances', what: string) =>
    mergeSection<Input>({ documents, section, what, report });
  return {
    evaluation: setting(['evaluation'], (input) => input.evaluation),
    unmanagedInterfaces: setting(['unmanagedInterfaces'], (input) => input.unmanagedInterfaces),
    platform: Object.fromEntries(
      PLATFORM_SWITCHES.flatMap((name) => {
        const value = setting(['platform', name], (input) => input.platform?.[name]);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    counters: setting(['counters'], (input) => input.counters),
    logDenied: setting(['logging', 'denied'], (input) => input.logging?.denied),
    logRate: setting(['logging', 'rate'], (input) => input.logging?.rate) === undefined ? undefined : rateOf(documents),
    management: documents.flatMap((document) =>
      (document.input.platform?.management ?? []).map((input, index) => ({
        input,
        document,
        path: ['platform', 'management', index],
      })),
    ),
    addressGroups: named<AddressGroupInput>('addressGroups', 'address group'),
    securityGroups: named<SecurityGroupInput>('securityGroups', 'security group'),
    instances: named<InstanceInput>('instances', 'instance'),
    assertions: documents.flatMap((document) =>
      (document.input.assert ?? []).map((input, index) => ({ input, document, path: ['assert', index] })),
    ),
    lint: documents.flatMap((document) =>
      document.input.lint === undefined ? [] : [{ input: document.input.lint, document, path: ['lint'] }],
    ),
  };
}

/** The first rate that is written. */
function rateOf(documents: readonly PolicyDocument[]): Entry<number> | undefined {
  return documents.flatMap((document) => {
    const input = document.input.logging?.rate;
    return input === undefined ? [] : [{ input, document, path: ['logging', 'rate'] }];
  })[0];
}

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;

interface Section {
  readonly documents: readonly PolicyDocument[];
  readonly section: 'addressGroups' | 'securityGroups' | 'instances';
  readonly what: string;
  readonly report: Report;
}

function mergeSection<Input>({ documents, section, what, report }: Section): ReadonlyMap<string, Entry<Input>> {
  const entries = new Map<string, Entry<Input>>();
  for (const document of documents) {
    for (const [name, input] of Object.entries(document.input[section] ?? {})) {
      const entry = { input: input as Input, document, path: [section, name] };
      const before = entries.get(name);
      if (before !== undefined) {
        report({
          code: 'duplicate-name',
          span: keySpanAt(entry),
          message: `the ${what} \`${name}\` is defined twice`,
          help: 'rename one of them, or merge them',
          related: [{ span: keySpanAt(before), message: 'first defined here' }],
        });
        continue;
      }
      if (!NAME.test(name) && !(section === 'instances' && name === '*')) {
        report({
          code: 'bad-name',
          span: keySpanAt(entry),
          message: `\`${name}\` cannot be the name of ${section === 'securityGroups' ? 'a' : 'an'} ${what}`,
          help: 'a name has 1 to 64 letters, digits, `_`, `.` or `-`',
        });
      }
      entries.set(name, entry);
    }
  }
  return entries;
}

/** The names listed in a hint at most. */
const MAX_LISTED = 8;

function existingNames(what: string, names: readonly string[]): string {
  if (names.length === 0) return `the policy has no ${what}s`;
  const listed = names.slice(0, MAX_LISTED).map(quote).join(', ');
  return `the policy has ${listed}${names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : ''}`;
}

/** Reports a reference to something that does not exist, with the nearest name that does. */
export function reportUnknown(
  report: Report,
  {
    what,
    code,
    name,
    known,
    span,
    elsewhere,
  }: {
    what: string;
    code: 'unknown-group' | 'unknown-address-group' | 'unknown-instance';
    name: string;
    known: Iterable<string>;
    span: Span;
    /** What to write where the name is one of another kind. */
    elsewhere?: string | undefined;
  },
): void {
  const names = [...known].toSorted();
  const near = didYouMean(name, names);
  report({
    code,
    span,
    message: `there is no ${what} \`${name}\``,
    help: elsewhere ?? (near === undefined ? existingNames(what, names) : `did you mean \`${near}\`?`),
  });
}
