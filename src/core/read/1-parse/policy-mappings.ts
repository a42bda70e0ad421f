import type { Path } from '#core/read/yaml/node-positions.ts';
import {
  addressGroupSchema,
  assertedTrafficSchema,
  assertionSchema,
  dropInSchema,
  inboundRuleSchema,
  instanceSchema,
  interfaceSchema,
  lintSchema,
  loggingSchema,
  managementRuleSchema,
  outboundRuleSchema,
  platformSchema,
  securityGroupSchema,
} from './policy-schema.ts';

/** A mapping of the policy format: what people call it, and the keys it may have. */
export interface PolicyMapping {
  readonly what: string;
  readonly keys: readonly string[];
}

const LINT: PolicyMapping = { what: '`lint`', keys: Object.keys(lintSchema.shape) };

/** By the path to it, with `*` for any name or index. */
const MAPPINGS: ReadonlyMap<string, PolicyMapping> = new Map([
  ['', { what: 'a policy', keys: Object.keys(dropInSchema.shape) }],
  ['platform', { what: '`platform`', keys: Object.keys(platformSchema.shape) }],
  ['logging', { what: '`logging`', keys: Object.keys(loggingSchema.shape) }],
  ['lint', LINT],
  ...[
    'addressGroups *',
    'securityGroups *',
    'securityGroups * inbound *',
    'securityGroups * outbound *',
    'platform management *',
  ].map((of): [string, PolicyMapping] => [`${of} lint`, LINT]),
  ['platform management *', { what: 'a management rule', keys: Object.keys(managementRuleSchema.shape) }],
  ['addressGroups *', { what: 'an address group', keys: Object.keys(addressGroupSchema.shape) }],
  ['securityGroups *', { what: 'a security group', keys: Object.keys(securityGroupSchema.shape) }],
  ['securityGroups * inbound *', { what: 'an inbound rule', keys: Object.keys(inboundRuleSchema.shape) }],
  ['securityGroups * outbound *', { what: 'an outbound rule', keys: Object.keys(outboundRuleSchema.shape) }],
  ['instances *', { what: 'an instance', keys: Object.keys(instanceSchema.shape) }],
  ['instances * interfaces *', { what: 'an interface', keys: Object.keys(interfaceSchema.shape) }],
  ['assert *', { what: 'an assertion', keys: Object.keys(assertionSchema.shape) }],
  ['assert * allow', { what: 'asserted traffic', keys: Object.keys(assertedTrafficSchema.shape) }],
  ['assert * deny', { what: 'asserted traffic', keys: Object.keys(assertedTrafficSchema.shape) }],
  ...['assert * allow', 'assert * deny'].map((of): [string, PolicyMapping] => [
    `${of} except *`,
    { what: 'a remote', keys: ['securityGroup', 'addressGroup'] },
  ]),
  ...[
    'platform management *',
    'securityGroups * inbound *',
    'securityGroups * outbound *',
    'assert * allow',
    'assert * deny',
  ].flatMap((rule): [string, PolicyMapping][] => [
    [`${rule} source`, { what: 'a remote', keys: ['securityGroup', 'addressGroup'] }],
    [`${rule} destination`, { what: 'a remote', keys: ['securityGroup', 'addressGroup'] }],
    [`${rule} icmp`, { what: '`icmp`', keys: ['type', 'code'] }],
  ]),
]);

/** The mapping that stands at a path of the policy format. */
export function mappingAt(path: Path): PolicyMapping {
  // Every other key from the root is the name of a section; what follows a name or an index is a fixed key again.
  const pattern = path.map((key, depth) => (isFree(path, depth) ? '*' : String(key))).join(' ');
  return MAPPINGS.get(pattern) ?? { what: 'this place', keys: [] };
}

/** What has `key`, of the mappings that lines are indented for. */
export function mappingsWith(key: string): readonly string[] {
  const whats = OUTLINE.map((pattern) => MAPPINGS.get(pattern)).flatMap((mapping) =>
    mapping?.keys.includes(key) === true ? [mapping.what] : [],
  );
  return whats.length > MAX_OWNERS ? [] : whats;
}

/** A key that more mappings than this have says nothing of where it belongs. */
const MAX_OWNERS = 2;

const OUTLINE = [
  '',
  'platform',
  'logging',
  'addressGroups *',
  'securityGroups *',
  'securityGroups * inbound *',
  'securityGroups * outbound *',
  'instances *',
  'instances * interfaces *',
];

/** Whether a path ends with a name of the user's choice. */
export function isName(path: Path): boolean {
  return typeof path.at(-1) === 'string' && isFree(path, path.length - 1);
}

/** Sections with names of the user's choice. */
const NAMED: readonly (string | number)[] = ['addressGroups', 'securityGroups', 'instances'];

/** Whether the key at `depth` is a name the user chose, or an index. */
function isFree(path: Path, depth: number): boolean {
  if (typeof path[depth] === 'number') return true;
  if (depth === 1) return NAMED.includes(path[0] ?? '');
  return depth === 3 && path[2] === 'interfaces';
}
