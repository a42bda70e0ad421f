import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import { comparePlaces, type Span } from '#core/model/policy/span.ts';
import type { YamlMapping } from '#core/read/yaml/yaml-value.ts';
import type { PolicyMapping } from './policy-mappings.ts';

/** What reading the keys of a mapping in their order needs. */
export interface StrayContext {
  readonly mapping: PolicyMapping;
  readonly keySpanOf: (key: string) => Span;
  readonly report: Report;
}

/**
 * Finds keys of a mapping in braces that were not meant as keys: what follows a comma in a text without quotes, as in
 * `{ ports: 80, 443 }`. Reports each run of them as one mistake.
 */
export function strayKeys(value: YamlMapping, { mapping, keySpanOf, report }: StrayContext): ReadonlySet<string> {
  const isStray = (key: string): boolean =>
    value[key] === null && !mapping.keys.includes(key) && !/^[a-z]+$/i.test(key);
  const keys = Object.keys(value);
  if (mapping.keys.length === 0 || !keys.some(isStray)) return new Set();
  // Keys like numbers come first in an object, wherever they stood.
  const inOrder = keys.map((key) => ({ key, span: keySpanOf(key) })).toSorted((a, b) => comparePlaces(a.span, b.span));
  const stray = new Set<string>();
  let owner: string | undefined;
  let run: { readonly key: string; readonly span: Span }[] = [];
  const flush = (): void => {
    const [first] = run;
    const before = owner === undefined ? undefined : value[owner];
    if (owner !== undefined && first !== undefined && (typeof before === 'string' || typeof before === 'number')) {
      const parts = [String(before), ...run.map(({ key }) => key)];
      report({
        code: 'unknown-key',
        span: first.span,
        message: `${quote(first.key)} follows a comma, so it is a key of its own in ${mapping.what}`,
        help: helpFor(owner, parts),
      });
      for (const { key } of run) stray.add(key);
    }
    run = [];
  };
  for (const one of inOrder) {
    if (isStray(one.key)) {
      run.push(one);
    } else {
      flush();
      owner = one.key;
    }
  }
  flush();
  return stray;
}

function helpFor(owner: string, parts: readonly string[]): string {
  switch (owner) {
    case 'ports':
      return `put several ports in quotes: ${quote(`ports: "${parts.join(',')}"`)}`;
    case 'source':
    case 'destination':
      return parts.length === 2 && parts.includes('0.0.0.0/0') && parts.includes('::/0')
        ? `write ${quote(`${owner}: any`)}: it is every address of both families`
        : `a rule takes one ${owner}: write a rule for each, or put them into an address group`;
    case 'protocol':
      return 'a rule takes one protocol: write a rule for each, or `all` for every protocol';
    case 'securityGroups':
    case 'addresses':
      return `put several in brackets: ${quote(`${owner}: [${parts.join(', ')}]`)}`;
    default:
      return `put a text with a comma in quotes: ${quote(`${owner}: "${parts.join(', ')}"`)}`;
  }
}
