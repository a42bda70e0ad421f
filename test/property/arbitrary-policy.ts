import fc from 'fast-check';
import { stringify } from 'yaml';
import type { HostState } from '#core/model/policy/host.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { PlainInstance, PlainInterface, PlainPolicy } from '../oracle/plain-policy.ts';
import { readAddress } from '../oracle/read-literals.ts';
import { addressOf, entryOf } from './arbitrary-literals.ts';
import { type Names, placeManagementRule, placeRule, RULE } from './arbitrary-rule.ts';

/** The instance of every generated policy that packets are judged at. */
export const INSTANCE = 'host-a' as InstanceName;

/** The host that is `INSTANCE`, with one interface (`wlan0`) that policies seldom name. */
export const HOST: HostState = {
  hostname: 'host-a',
  machineId: '',
  interfaces: [
    { index: 1, name: 'lo', addresses: ['127.0.0.1', '::1'].map(readAddress) },
    { index: 2, name: 'eth0', addresses: ['10.1.0.1', '2001:db8:1::1', 'fe80::1'].map(readAddress) },
    { index: 3, name: 'eth1', addresses: ['10.1.0.128', '2001:db8:1::80', 'fe80::1'].map(readAddress) },
    { index: 4, name: 'wlan0', addresses: ['10.1.0.200', '2001:db8:1::c8', 'fe80::1'].map(readAddress) },
  ],
};

// Names that the format allows and that would meet if their odd characters were replaced by one another.
const SECURITY_GROUPS = ['web', 'a.b', 'a-b', `${'long'.repeat(15)}er_1`];
const ADDRESS_GROUPS = ['web', 'a_b', 'self'];
const OTHER_INSTANCES = ['host-b', 'host.b', '*'];
const PATTERNS = ['eth0', 'eth0', 'eth0', 'et*', 'et*', 'eth1', '*'];

const TEMPLATES = ['default', 'Sys-WebServer', 'Sys-FullAccess'] as const;

const ENTRY = fc.oneof({ withCrossShrink: true }, entryOf('ipv4'), entryOf('ipv6'));
const MEMBER = fc.oneof({ withCrossShrink: true }, addressOf('ipv4'), addressOf('ipv6'));
const RULES = fc.array(RULE, { maxLength: 8, size: 'max' });

const SECURITY_GROUP = fc.record(
  {
    // Seldom, for a template decides nearly everything by itself.
    template: fc.constantFrom(undefined, undefined, undefined, undefined, ...TEMPLATES),
    inbound: RULES,
    outbound: RULES,
  },
  { requiredKeys: ['inbound', 'outbound'] },
);

const INTERFACE = fc.record(
  {
    pattern: fc.constantFrom(...PATTERNS),
    addresses: fc.oneof(
      { withCrossShrink: true },
      { weight: 1, arbitrary: fc.constant('dynamic' as const) },
      { weight: 3, arbitrary: fc.uniqueArray(MEMBER, { maxLength: 4 }) },
    ),
    groups: fc.uniqueArray(fc.nat({ max: 3 }), { maxLength: 3, size: 'max' }),
    invalid: fc.constantFrom('drop' as const, 'match' as const),
  },
  { requiredKeys: ['pattern', 'groups'] },
);

const EVALUATION = fc.constantFrom('sequence' as const, 'merged' as const);

const INSTANCE_DRAFT = fc.record(
  {
    evaluation: EVALUATION,
    interfaces: fc.uniqueArray(INTERFACE, { minLength: 1, maxLength: 3, selector: ({ pattern }) => pattern }),
  },
  { requiredKeys: ['interfaces'] },
);

type InstanceDraft = typeof INSTANCE_DRAFT extends fc.Arbitrary<infer Drawn> ? Drawn : never;

const FLAG = fc.constantFrom(true, false);
const PLATFORM = fc.record(
  {
    neighborDiscovery: FLAG,
    routerAdvertisement: FLAG,
    dhcpClient: FLAG,
    igmp: FLAG,
    ownAddress: FLAG,
    helpers: FLAG,
    management: fc.array(
      fc.record({ rule: RULE, direction: fc.constantFrom('inbound' as const, 'outbound' as const) }),
      {
        maxLength: 2,
      },
    ),
  },
  { requiredKeys: [] },
);

const DRAFT = fc.record(
  {
    evaluation: EVALUATION,
    unmanagedInterfaces: fc.constantFrom('allow' as const, 'deny' as const),
    platform: PLATFORM,
    addressGroups: fc.array(fc.array(ENTRY, { maxLength: 6 }), { maxLength: ADDRESS_GROUPS.length }),
    securityGroups: fc.array(SECURITY_GROUP, { minLength: 1, maxLength: SECURITY_GROUPS.length }),
    own: INSTANCE_DRAFT,
    others: fc.array(INSTANCE_DRAFT, { maxLength: OTHER_INSTANCES.length }),
  },
  { requiredKeys: ['addressGroups', 'securityGroups', 'own', 'others'] },
);

type Draft = typeof DRAFT extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/**
 * Valid policies of one to four groups that use everything the format has but list files. Groups are drawn before
 * they have names, and references are numbers, so that taking groups away while shrinking keeps the policy valid.
 */
export const POLICY: fc.Arbitrary<PlainPolicy> = DRAFT.map(placePolicy);

/** The policy as a policy file's text, in the notation people write or in the one programs do. */
export function policyText(policy: PlainPolicy, notation: 'yaml' | 'json' = 'yaml'): string {
  return notation === 'yaml' ? stringify(policy) : `${JSON.stringify(policy, undefined, 2)}\n`;
}

function placePolicy({ platform, addressGroups, securityGroups, own, others, ...settings }: Draft): PlainPolicy {
  const names: Names = {
    securityGroups: SECURITY_GROUPS.slice(0, securityGroups.length),
    addressGroups: ADDRESS_GROUPS.slice(0, addressGroups.length),
  };
  return {
    version: 1,
    ...settings,
    ...(platform !== undefined && { platform: placePlatform(platform, names) }),
    addressGroups: named(names.addressGroups, addressGroups, (addresses) => ({ addresses })),
    securityGroups: named(names.securityGroups, securityGroups, ({ template, inbound, outbound }) => ({
      ...(template !== undefined && { template }),
      ...(inbound.length > 0 && { inbound: inbound.map((rule) => placeRule(rule, 'inbound', names)) }),
      outbound: outbound.map((rule) => placeRule(rule, 'outbound', names)),
    })),
    instances: named([INSTANCE, ...OTHER_INSTANCES], [own, ...others], (instance) => placeInstance(instance, names)),
  };
}

function placePlatform(
  { management, ...switches }: NonNullable<Draft['platform']>,
  names: Names,
): NonNullable<PlainPolicy['platform']> {
  if (management === undefined) return switches;
  return {
    ...switches,
    management: management.map(({ rule, direction }) => placeManagementRule(rule, direction, names)),
  };
}

function placeInstance({ interfaces, ...settings }: InstanceDraft, names: Names): PlainInstance {
  const bindings = interfaces.map(({ pattern, groups, ...binding }): readonly [string, PlainInterface] => [
    pattern,
    { ...binding, securityGroups: attachedNames(groups, names) },
  ]);
  return { ...settings, interfaces: Object.fromEntries(bindings) };
}

function attachedNames(groups: readonly number[], { securityGroups }: Names): string[] {
  const attached = groups.flatMap((index) => securityGroups[index % securityGroups.length] ?? []);
  return [...new Set(attached)];
}

function named<In, Out>(
  names: readonly string[],
  drafts: readonly In[],
  place: (draft: In) => Out,
): Record<string, Out> {
  return Object.fromEntries(
    names.flatMap((name, index) => drafts.slice(index, index + 1).map((draft) => [name, place(draft)])),
  );
}
