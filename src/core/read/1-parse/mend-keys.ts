import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import type { Span } from '#core/model/policy/span.ts';
import type { NodePositions, Path } from '#core/read/yaml/node-positions.ts';
import { isMapping, Mapping, unescapeKey, type YamlMapping, type YamlValue } from '#core/read/yaml/yaml-value.ts';
import { type MeantKey, meantKey } from './meant-keys.ts';
import type { Origins } from './origins.ts';
import { mappingAt, type PolicyMapping } from './policy-mappings.ts';
import { strayKeys } from './stray-keys.ts';

/** What mending keys needs besides the value. */
export interface MendContext {
  readonly positions: NodePositions;
  readonly origins: Origins;
  readonly report: Report;
}

/**
 * `value` with each mistyped key under the key that was meant, if that is not there as well; reports each. What stands
 * under such a key is then read like all else, so that its mistakes are found in the same go.
 */
export function mendKeys(value: YamlValue, context: MendContext): YamlValue {
  return mend(value, [], [], { ...context, meant: new Map() });
}

interface Mending extends MendContext {
  /** The keys meant, by mapping and mistyped key: the same slip often repeats. */
  readonly meant: Map<string, MeantKey | undefined>;
}

/** `path` is that of the policy format, `place` the one in the file. */
function mend(value: YamlValue, path: Path, place: Path, context: Mending): YamlValue {
  if (Array.isArray(value)) {
    const list = value as readonly YamlValue[];
    const entries = list.map((entry, index) => mend(entry, [...path, index], [...place, index], context));
    return entries.every((entry, index) => entry === list[index]) ? value : entries;
  }
  if (!isMapping(value)) return value;
  return mendMapping(value, path, place, context);
}

function mendMapping(value: YamlMapping, path: Path, place: Path, context: Mending): YamlValue {
  const mapping = mappingAt(path);
  const address = mapping.what === 'a remote' ? bareAddress(value) : undefined;
  if (address !== undefined) {
    reportBareAddress(address, place, context);
    return address.text;
  }
  const keySpanOf = (key: string): Span => context.positions.keySpanOf([...place, unescapeKey(key)]);
  const merged = value['<<'];
  if (isMapping(merged) && mapping.keys.length > 0) {
    context.report({
      code: 'unknown-key',
      span: keySpanOf('<<'),
      message: `unknown key \`<<\` in ${mapping.what}`,
      help: 'merge keys are not part of YAML 1.2: write the keys out',
    });
    // The merged keys are not reported as missing too.
    const own = Object.entries(value).filter(([key]) => key !== '<<');
    const whole = Object.assign(new Mapping(), merged, Object.fromEntries(own));
    context.origins.note(whole, value, new Map());
    return mendMapping(whole, path, place, context);
  }
  const stray = strayKeys(value, { mapping, keySpanOf, report: context.report });
  const result = new Mapping();
  const moves = new Map<string, string>();
  let changed = stray.size > 0;
  for (const [key, body] of Object.entries(value)) {
    if (stray.has(key)) continue;
    const meant =
      mapping.keys.length === 0 || mapping.keys.includes(key) ? undefined : meantBy(unescapeKey(key), mapping, context);
    const here = [...place, unescapeKey(key)];
    if (meant === undefined || body === null || meant.key in value || meant.key in result) {
      result[key] = mend(body, [...path, key], here, context);
    } else {
      report(key, meant.help, here);
      moves.set(meant.key, key);
      result[meant.key] = mend(body, [...path, meant.key], here, context);
    }
    changed ||= result[key] !== body;
  }
  if (!changed) return value;
  context.origins.note(result, value, moves);
  return result;

  function report(key: string, help: string, here: Path): void {
    const isRemoteKey = key === 'source' || key === 'destination';
    context.report({
      code: isRemoteKey ? 'wrong-remote-key' : 'unknown-key',
      span: context.positions.keySpanOf(here),
      message: `${isRemoteKey ? '' : 'unknown key '}${quote(unescapeKey(key))} in ${mapping.what}`,
      help,
    });
  }
}

interface BareAddress {
  readonly key: string;
  readonly text: string;
}

/** What other tools write as `{ cidr: ADDRESS }`. */
const ADDRESS_KEYS = /^(?:cidr|cidrip|cidripv6|address|ip|ipv4|ipv6|ipblock|network|subnet|prefix|range)$/i;

function bareAddress(value: YamlMapping): BareAddress | undefined {
  const [entry, ...more] = Object.entries(value);
  if (entry === undefined || more.length > 0) return undefined;
  const [key, text] = entry;
  return ADDRESS_KEYS.test(key.replace(/[-_]/g, '')) && typeof text === 'string' ? { key, text } : undefined;
}

function reportBareAddress({ key, text }: BareAddress, place: Path, { positions, report }: Mending): void {
  const owner = place.findLast((at) => typeof at === 'string');
  report({
    code: 'unknown-key',
    span: positions.keySpanOf([...place, key]),
    message: `unknown key ${quote(key)} in a remote`,
    help: `write the address without it: ${quote(owner === 'except' ? `[${text}]` : `${owner}: ${text}`)}`,
  });
}

function meantBy(key: string, mapping: PolicyMapping, { meant }: Mending): MeantKey | undefined {
  const both = `${mapping.what}\0${key}`;
  if (!meant.has(both)) meant.set(both, meantKey(key, mapping));
  return meant.get(both);
}
