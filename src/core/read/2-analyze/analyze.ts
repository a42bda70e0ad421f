import type { DiagnosticCode } from '#core/diagnostics/codes.ts';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { type Report, reportTo } from '#core/diagnostics/report.ts';
import type { AddressGroupName, GroupName, InstanceName } from '#core/model/policy/names.ts';
import { PLATFORM_DEFAULTS } from '#core/model/policy/platform.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { PolicyDocument } from '#core/read/1-parse/parse-document.ts';
import type { NamedSection } from '#core/read/1-parse/salvage.ts';
import { CHECKS, HOST_CHECKS } from '#core/read/2-analyze/checks/registry.ts';
import { type Entry, keySpanAt, type MergedInput, mergeDocuments, spanAt } from './merge-documents.ts';
import { readAcceptances } from './read-acceptances.ts';
import { type ListFiles, readAddressGroup } from './read-address-group.ts';
import { readAssertion } from './read-assertion.ts';
import { readInstance } from './read-instance.ts';
import { type AnyRuleInput, type KnownNames, readRule } from './read-rule.ts';
import { readSecurityGroup } from './read-security-group.ts';

/** A policy, unless one of the diagnostics is an error. */
export interface Analysis {
  readonly policy: Policy | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** The code that reports an unknown name, by section. */
const UNKNOWN: Readonly<Record<NamedSection, DiagnosticCode>> = {
  addressGroups: 'unknown-address-group',
  securityGroups: 'unknown-group',
  instances: 'unknown-instance',
};

/**
 * Turns the documents of a policy, main file first, into the policy they mean: names resolved, templates expanded,
 * everything checked. `lost` are sections that may have names in documents not given here; without all documents there
 * is no policy.
 */
export function analyze(
  documents: readonly PolicyDocument[],
  lists: ListFiles,
  lost: Iterable<NamedSection> = [],
): Analysis {
  const diagnostics: Diagnostic[] = [];
  const doubtful = new Set(
    [...lost, ...documents.flatMap((document) => [...(document.lost ?? [])])].map((section) => UNKNOWN[section]),
  );
  const add = reportTo(diagnostics);
  // An unknown name may be one that a document with mistakes lost.
  const unsure = new Map(documents.map(({ source, unsure: lines }) => [source.file, lines]));
  const report: Report = (finding) => {
    const { code, span } = finding;
    if (!doubtful.has(code) && unsure.get(span.file)?.has(span.line) !== true) add(finding);
  };
  const policy = readPolicy(mergeDocuments(documents, report), lists, report);
  const invalid = (): boolean => diagnostics.some(({ severity }) => severity === 'error');
  // A document with mistakes may lack the keys that say which host an instance is.
  if (doubtful.size === 0 && documents.every((document) => document.lost === undefined))
    for (const check of HOST_CHECKS) check(policy, report);
  // The checks follow names, so all names must be known first.
  if (!invalid()) for (const check of CHECKS) check(policy, report);
  return { policy: invalid() ? undefined : policy, diagnostics };
}

function readPolicy(merged: MergedInput, lists: ListFiles, report: Report): Policy {
  const known: KnownNames = {
    securityGroups: new Set(merged.securityGroups.keys()),
    addressGroups: new Set(merged.addressGroups.keys()),
  };
  const evaluation = merged.evaluation ?? 'sequence';
  return {
    unmanagedInterfaces: merged.unmanagedInterfaces ?? 'allow',
    platform: { ...PLATFORM_DEFAULTS, ...merged.platform },
    accounts: {
      counters: merged.counters ?? 'few',
      logDenied: merged.logDenied ?? true,
      logRate: readLogRate(merged.logRate, report),
    },
    management: readManagement(merged.management, known, report),
    addressGroups: mapEntries(merged.addressGroups, (name, entry) =>
      readAddressGroup(name as AddressGroupName, entry, lists, report),
    ),
    securityGroups: mapEntries(merged.securityGroups, (name, entry) =>
      readSecurityGroup(name as GroupName, entry, { known, report }),
    ),
    instances: mapEntries(merged.instances, (name, entry) =>
      readInstance(name as InstanceName, entry, { evaluation, known, report }),
    ),
    assertions: merged.assertions.flatMap((entry) =>
      readAssertion(entry, { known, instances: [...merged.instances.keys()], report }),
    ),
    acceptances: readAcceptances(merged, report),
  };
}

const DEFAULT_LOG_RATE = 10;

/** What the daemon's socket buffers while the daemon is busy for some seconds: src/kernel/nflog/packet-log.ts. */
const MAX_LOG_RATE = 20;

function readLogRate(entry: Entry<number> | undefined, report: Report): number {
  if (entry === undefined) return DEFAULT_LOG_RATE;
  const { input } = entry;
  if (Number.isInteger(input) && input >= 1 && input <= MAX_LOG_RATE) return input;
  report({
    code: 'bad-number',
    span: spanAt(entry),
    message: `\`${input}\` is no rate`,
    help: 'write packets a second, 1 to 20',
  });
  return DEFAULT_LOG_RATE;
}

function readManagement(entries: readonly Entry<AnyRuleInput>[], known: KnownNames, report: Report): readonly Rule[] {
  return entries.flatMap((entry, index) => {
    const direction = entry.input.destination === undefined ? 'inbound' : 'outbound';
    const origin = { group: undefined, direction, index, template: undefined, span: keySpanAt(entry) } as const;
    return readRule(entry, { origin, known, report });
  });
}

function mapEntries<Key extends string, Input, Output>(
  entries: ReadonlyMap<string, Entry<Input>>,
  read: (name: string, entry: Entry<Input>) => Output,
): ReadonlyMap<Key, Output> {
  return new Map([...entries].map(([name, entry]) => [name as Key, read(name, entry)]));
}
