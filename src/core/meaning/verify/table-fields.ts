import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { ListedExpression, ListedRange, ListedTable } from '#core/model/nft/listed-table.ts';
import type { Traffic } from '#core/model/policy/rule.ts';
import { transportField } from './transport-field.ts';

/** Fields that hold the name of an interface. */
const NAME_FIELDS = /^(?:iif|oif|sdif)name$/;

/** The names and globs of interfaces that rules of a table test for. */
export function namesIn({ chains, sets, maps }: ListedTable): ReadonlySet<string> {
  const names = new Set<string>();
  for (const step of [...chains.values()].flatMap(({ rules }) => rules.flatMap(({ steps }) => steps))) {
    if (step.kind === 'test' && NAME_FIELDS.test(step.field)) {
      const values = 'set' in step.values ? sets.get(step.values.set) : step.values;
      for (const name of values?.kind === 'names' ? values.names : []) names.add(name);
    }
    if (step.kind === 'map' && NAME_FIELDS.test(step.field)) {
      const elements = step.map === undefined ? step.elements : (maps.get(step.map) ?? []);
      for (const { key } of elements) if (typeof key === 'string') names.add(key);
    }
  }
  return names;
}

/** The protocols, ports, ICMP types and codes that rules of a table test for. */
export function trafficsOf({ chains, sets, maps }: ListedTable): Readonly<Record<Family, readonly Traffic[]>> {
  const found: Record<Family, Traffic[]> = { ipv4: [], ipv6: [] };
  const add = (field: string, ranges: readonly ListedRange[]): void => {
    for (const family of FAMILIES)
      for (const traffic of ranges.flatMap((range) => trafficOf(field, range, family))) found[family].push(traffic);
  };
  for (const { rules } of chains.values()) {
    for (const step of rules.flatMap(({ steps }) => steps))
      for (const { field, ranges } of rangesTested(step)) add(field, ranges);
  }
  return found;

  function rangesTested(
    step: ListedExpression,
  ): readonly { readonly field: string; readonly ranges: readonly ListedRange[] }[] {
    if (step.kind === 'test') {
      const values = 'set' in step.values ? sets.get(step.values.set) : step.values;
      return values?.kind === 'numbers' ? [{ field: step.field, ranges: values.ranges }] : [];
    }
    if (step.kind !== 'map') return [];
    const elements = step.map === undefined ? step.elements : (maps.get(step.map) ?? []);
    const keys = elements.map(({ key }) => key);
    return [{ field: step.field, ranges: keys.filter((key): key is ListedRange => typeof key !== 'string') }];
  }
}

const ALL_CODES = 256;
const LAST_BYTE = 255;

function trafficOf(field: string, range: ListedRange, family: Family): readonly Traffic[] {
  const [from, to] = [Number(range.from), Number(range.to)];
  const bytes = (): readonly number[] => Array.from({ length: Math.min(to, LAST_BYTE) - from + 1 }, (_, i) => from + i);
  if (field === 'l4proto') return bytes().map((protocol) => ({ kind: 'protocol', protocol }));
  const known = transportField(field);
  if (known === undefined) return [];
  switch (known.kind) {
    case 'port':
      return [{ kind: 'ports', protocol: known.protocol, ports: [{ from, to }] }];
    case 'icmp': {
      const { protocol, part } = known;
      if (known.family !== family) return [];
      if (part === 'type') return bytes().map((type) => ({ kind: 'icmp', protocol, type, code: 'any' }));
      // The rule's types are not known here: each code is compared with every type.
      return Array.from({ length: ALL_CODES }, (_, type) => type).flatMap((type) =>
        bytes().map((code): Traffic => ({ kind: 'icmp', protocol, type, code })),
      );
    }
  }
}
