import { z } from 'zod';
import { assertionSchema } from './assertion-schema.ts';
import { lintSchema } from './lint-schema.ts';
import { inboundRuleSchema, managementRuleSchema, outboundRuleSchema, type remote } from './rule-schema.ts';
import {
  description,
  emptyIfBare,
  flag,
  groupName,
  type MappingMeta,
  mapping,
  mayBeBare,
  mayBeEmpty,
  named,
  text,
} from './schema-parts.ts';

/*
 * The shape of a policy document. The `error` of each schema says what is expected there, as a noun phrase for
 * "expected ..., found ..."; titles name mappings (`policy-mappings`), descriptions are for editors and the manual. What has a grammar of its own (addresses, ports, ICMP names,
 * names, limits) is a string or a number here; phase 2 reads it, and `meta` tells editors as much of it as JSON Schema can.
 */

const lint = lintSchema.optional();

const evaluation = z
  .enum(['sequence', 'merged'], { error: '`sequence` or `merged`' })
  .optional()
  .describe(
    'Whether the order of the groups on an interface comes before the priority of a rule (sequence, the default) or counts for nothing (merged).',
  );

/** The built-in traffic and the rules that no group can take back. */
const platformSchema = mapping(
  {
    neighborDiscovery: flag
      .optional()
      .describe('IPv6 neighbour discovery and multicast listener discovery. Default: true.'),
    routerAdvertisement: flag.optional().describe('IPv6 router advertisements in. Default: true.'),
    dhcpClient: flag
      .optional()
      .describe(
        'DHCP for IPv4 and IPv6, as a client: answers are let in from whoever sends them. Switch it off where addresses are static. Default: true.',
      ),
    igmp: flag.optional().describe('IGMP, by which IPv4 hosts join multicast groups. Default: true.'),
    ownAddress: flag
      .optional()
      .describe(
        "Whether packets are dropped that come in with an address of the host's own, or for loopback: neighbours forge them. Default: true.",
      ),
    helpers: flag
      .optional()
      .describe(
        'Whether connections pass that a conntrack helper announces, as those of FTP, whatever the rules say. Default: false.',
      ),
    management: mayBeEmpty(z.array(managementRuleSchema, { error: 'a list of rules' })).describe(
      'Rules judged before all groups, so that no group can lock you out.',
    ),
  },
  { title: '`platform`', expected: 'a mapping' },
);

/** A named list of addresses: in place, from a file, or both together. */
const addressGroupSchema = mapping(
  {
    description,
    lint,
    addresses: z
      .array(z.string({ error: 'an address, a CIDR or a range' }), { error: 'a list of addresses' })
      .nullish()
      // Unlike other keys this one is not left out by being empty: it is the list with nothing in it.
      .transform((value) => (value === null ? [] : value))
      .optional()
      .describe('Addresses, CIDRs and ranges `a-b`, of either family; `0.0.0.0/0` and `::/0` are all of one.'),
    file: z
      .string({ error: 'the name of a file' })
      .optional()
      .describe('A file with one entry a line, `#` or `;` begins a comment; relative to this file.'),
  },
  { title: 'an address group', anyOf: [{ required: ['addresses'] }, { required: ['file'] }] },
);

/** A named group of rules. */
const securityGroupSchema = mapping(
  {
    description,
    lint,
    template: z
      .enum(['default', 'Sys-WebServer', 'Sys-FullAccess'], { error: '`default`, `Sys-WebServer` or `Sys-FullAccess`' })
      .optional()
      .describe('Rules to start from; those below are added.'),
    inbound: mayBeEmpty(z.array(inboundRuleSchema, { error: 'a list of rules' })).describe(
      'What the host may receive; nothing, if left out.',
    ),
    outbound: mayBeEmpty(z.array(outboundRuleSchema, { error: 'a list of rules' })).describe(
      'What the host may send; nothing, if left out.',
    ),
  },
  { title: 'a security group' },
);

/** One interface, or one glob of them, of an instance. */
const interfaceSchema = mapping(
  {
    description,
    addresses: z
      .union([z.literal('dynamic'), z.array(z.string({ error: 'an address' }))], {
        error: 'a list of addresses or `dynamic`',
      })
      .optional()
      .describe(
        "The addresses meant when another host's rule names a group of this interface; `dynamic` (the default) is what the interface holds.",
      ),
    securityGroups: z
      .array(groupName, { error: 'a list of security groups' })
      .describe('The groups that judge its traffic, in order. `[]` denies everything but platform traffic.'),
    invalid: z
      .enum(['drop', 'match'], { error: '`drop` or `match`' })
      .optional()
      .describe(
        'Packets that fit no connection: dropped (the default), or judged by the rules, for asymmetric routing.',
      ),
  },
  { title: 'an interface' },
);

/** A host. */
const instanceSchema = mapping(
  {
    description,
    hostname: text.optional().describe("The host's name, if it is not that of the instance."),
    machineId: text
      .meta({ pattern: '^[0-9a-fA-F]{32}$' })
      .optional()
      .describe("The content of the host's /etc/machine-id."),
    evaluation,
    interfaces: named(
      emptyIfBare(interfaceSchema),
      'interfaces by name',
      'Its interfaces, by name, alternative name or glob (`ens*`, `*`). A member of a VRF by its own name or as its VRF.',
    ),
  },
  { title: 'an instance' },
);

/** Which packets are logged. */
const loggingSchema = mapping(
  {
    denied: flag.optional().describe('Whether denied packets are logged. Default: true.'),
    rate: z
      .number({ error: 'packets a second' })
      .meta({ type: 'integer', minimum: 1, maximum: 20 })
      .optional()
      .describe(
        'At most this many denied packets a second are logged, and as many allowed ones. Half of it is kept for addresses of which nothing was logged for a minute, so that a flood hides nobody else. 1 to 20. Default: 10.',
      ),
  },
  { title: '`logging`', expected: 'a mapping' },
);

const version = z
  .literal(1, { error: 'the number `1`' })
  .describe('The version of the policy format: 1. Drop-ins may leave it out.');

const sections = {
  description,
  evaluation,
  unmanagedInterfaces: z
    .enum(['allow', 'deny'], { error: '`allow` or `deny`' })
    .optional()
    .describe('What happens on interfaces the policy does not name. Default: allow.'),
  counters: flag
    .optional()
    .describe(
      'Whether it is counted how many packets each rule decides on. Default: where an interface has up to 500 rules a direction.',
    ),
  logging: mayBeEmpty(loggingSchema).describe('Which packets are logged.'),
  platform: mayBeEmpty(platformSchema).describe(
    'Built-in traffic, judged before the groups; all of it is on by default.',
  ),
  addressGroups: named(
    emptyIfBare(addressGroupSchema),
    'address groups by name',
    'Lists of addresses that rules refer to, by name.',
  ),
  securityGroups: named(mayBeBare(securityGroupSchema), 'security groups by name', 'Groups of rules, by name.'),
  instances: named(
    mayBeBare(instanceSchema),
    'instances by name',
    'Hosts, by name; `*` is any host no other instance matches.',
  ),
  lint,
  assert: mayBeEmpty(z.array(assertionSchema, { error: 'a list of assertions' })).describe(
    'What must be true of the rules, proved whenever the policy is read: one that makes it false, or that cannot be proved within 20 s, is invalid.',
  ),
};

const ROOT: MappingMeta = { title: 'a policy', expected: 'a mapping' };

/** The policy file itself. */
export const policySchema = mapping({ version, ...sections }, ROOT);

/** A file of `policy.d`: a policy file that may leave the version out. */
export const dropInSchema = mapping({ version: version.optional(), ...sections }, ROOT);

export type PolicyInput = z.output<typeof dropInSchema>;
export type AddressGroupInput = z.output<typeof addressGroupSchema>;
export type SecurityGroupInput = z.output<typeof securityGroupSchema>;
export type InstanceInput = z.output<typeof instanceSchema>;
export type InterfaceInput = z.output<typeof interfaceSchema>;
export type InboundRuleInput = z.output<typeof inboundRuleSchema>;
export type OutboundRuleInput = z.output<typeof outboundRuleSchema>;
export type ManagementRuleInput = z.output<typeof managementRuleSchema>;
export type RuleInput = InboundRuleInput | OutboundRuleInput;
export type RemoteInput = z.output<typeof remote>;
export type AssertionInput = z.output<typeof assertionSchema>;
export type LintInput = z.output<typeof lintSchema>;
