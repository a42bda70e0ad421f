import { z } from 'zod';
import { LINT_CODES, type LintCode } from '#core/diagnostics/lint-codes.ts';
import { unescapeKey } from '#core/read/yaml/yaml-value.ts';
import { PROTOCOL_WORDS } from '#core/model/policy/protocol-lookup.ts';
import { EXPECTED_PROTOCOL } from './protocol-forms.ts';

/*
 * The shape of a policy document. The `error` of each schema says what is expected there, as a noun phrase for
 * "expected ..., found ..."; descriptions are for editors. What has a grammar of its own (addresses, ports, ICMP names,
 * names, limits) is a string or a number here; phase 2 reads it, and `meta` tells editors as much of it as JSON Schema can.
 */

/** A key that may stand there without a value (`inbound:`), as if it were left out. */
function mayBeEmpty<Schema extends z.ZodType>(schema: Schema) {
  return schema
    .nullish()
    .transform((value) => value ?? undefined)
    .optional();
}

/** Entries by name. The result has no prototype, so that every name is safe. */
function named<Schema extends z.ZodType>(entry: Schema, error: string, description: string) {
  return mayBeEmpty(
    z.record(z.string(), entry, { error }).transform((entries) => {
      const byName: Record<string, z.output<Schema>> = Object.create(null);
      for (const [key, value] of Object.entries(entries)) byName[unescapeKey(key)] = value;
      return byName;
    }),
  ).describe(description);
}

/** An entry that may be a name alone (`web:`), without a body. */
function mayBeBare<Schema extends z.ZodObject>(schema: Schema) {
  return schema.nullable().transform((value) => value ?? ({} as NonNullable<typeof value>));
}

/** A name alone as a mapping without keys, so that the keys it must have are reported as missing. */
function emptyIfBare<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (value === null ? {} : value), schema);
}

const NAME_PATTERN = '^[A-Za-z0-9_.-]{1,64}$';
const name = (error: string) => z.string({ error });
const groupName = name('the name of a security group').meta({ pattern: NAME_PATTERN });
const text = z.string({ error: 'text' });
const flag = z.boolean({ error: '`true` or `false`' });
const description = text.optional().describe('What it is for, in your words.');

const lintCodes = Object.keys(LINT_CODES) as LintCode[];
const reasonFor = (code: LintCode) =>
  z
    .string({ error: 'the reason, as text' })
    .optional()
    .describe(`Why this need not hold here: ${LINT_CODES[code].requirement}`);

/** Findings of the advisor, and why each is meant. */
export const lintSchema = z
  .strictObject(
    Object.fromEntries(lintCodes.map((code) => [code, reasonFor(code)])) as Record<
      LintCode,
      ReturnType<typeof reasonFor>
    >,
    { error: 'findings of `sgctl lint` and why each is meant' },
  )
  .meta({ id: 'lint', description: 'Findings of `sgctl lint` that are meant to be so: each code with the reason.' });
const lint = lintSchema.optional();

const evaluation = z
  .enum(['sequence', 'merged'], { error: '`sequence` or `merged`' })
  .optional()
  .describe(
    'Whether the order of the groups on an interface comes before the priority of a rule (sequence, the default) or counts for nothing (merged).',
  );

const remote = z
  .union(
    [
      z.string().describe('An address, a CIDR, a range `a-b`, `any` or `self`.'),
      z
        .strictObject({ securityGroup: groupName })
        .describe('Every address of every interface the group is attached to.'),
      z
        .strictObject({ addressGroup: name('the name of an address group').meta({ pattern: NAME_PATTERN }) })
        .describe('Every address in the address group.'),
    ],
    { error: 'an address, a CIDR, a range, `any`, `self`, `{ securityGroup: NAME }` or `{ addressGroup: NAME }`' },
  )
  .meta({
    id: 'remote',
    description: 'The other end: an address, a CIDR, a range `a-b`, `any`, `self`, or a group by name.',
  });

const port = z.union([z.number().meta({ type: 'integer', minimum: 1, maximum: 65535 }), z.string()], {
  error: 'a port or a range of ports',
});
const ports = z
  .union([port, z.array(port).min(1)], { error: 'a port, text such as "22,80,8000-8999", or a list of either' })
  .meta({
    id: 'ports',
    description:
      'Destination ports, 1 to 65535: a number, text such as "22,80,8000-8999", or a list of either. All, if left out.',
  });

const icmpNumber = z.union([z.string(), z.number().meta({ type: 'integer', minimum: 0, maximum: 255 })], {
  error: 'a name or a number',
});
const icmp = z
  .union([icmpNumber, z.strictObject({ type: icmpNumber, code: icmpNumber.optional() })], {
    error: 'a type by name or number, or `{ type: ..., code: ... }`',
  })
  .meta({
    id: 'icmp',
    description: 'The ICMP type, by name or number; with a code: `{ type: 3, code: 4 }`. All, if left out.',
  });

const protocol = z
  .union([z.string(), z.number()], { error: EXPECTED_PROTOCOL })
  .meta({
    anyOf: [
      { enum: [...PROTOCOL_WORDS] },
      { type: 'integer', minimum: 0, maximum: 255 },
      { type: 'string', pattern: '^[0-9]{1,3}$' },
    ],
  })
  .optional()
  .describe('An IP protocol by name or number. Default: all.');

const traffic = {
  action: z.enum(['allow', 'deny'], { error: '`allow` or `deny`' }).optional().describe('Default: allow.'),
  priority: z
    .number({ error: 'a number from 1 to 100' })
    .meta({ type: 'integer', minimum: 1, maximum: 100 })
    .optional()
    .describe('1 (first) to 100 (last). Default: 1. Of equal priority, deny comes before allow.'),
  type: z
    .enum(['ipv4', 'ipv6'], { error: '`ipv4` or `ipv6`' })
    .optional()
    .describe('The address family. Default: that of the address; both with any, self or a group.'),
  protocol,
  ports: ports.optional(),
  icmp: icmp.optional(),
  description,
  log: flag
    .optional()
    .describe('Whether packets it decides on are logged. Default: denied ones, unless `logging` says otherwise.'),
  lint,
  enabled: flag.optional().describe('`false` takes the rule out without deleting it. Default: true.'),
};

/** A rule for what the host receives. */
export const inboundRuleSchema = z
  .strictObject({ ...traffic, source: remote }, { error: 'an inbound rule' })
  .meta({ id: 'inboundRule', description: 'A rule for what the host receives.' });

/** A rule for what the host sends. */
export const outboundRuleSchema = z
  .strictObject({ ...traffic, destination: remote }, { error: 'an outbound rule' })
  .meta({ id: 'outboundRule', description: 'A rule for what the host sends.' });

/** A rule judged before all groups; its remote's key tells its direction. */
export const managementRuleSchema = z
  .strictObject(
    { ...traffic, source: remote.optional(), destination: remote.optional() },
    { error: 'a management rule' },
  )
  .meta({
    id: 'managementRule',
    description: 'A rule judged before all groups: inbound with `source`, outbound with `destination`.',
    oneOf: [{ required: ['source'] }, { required: ['destination'] }],
  });

/** The built-in traffic and the rules that no group can take back. */
export const platformSchema = z.strictObject(
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
  { error: 'a mapping' },
);

/** A named list of addresses: in place, from a file, or both together. */
export const addressGroupSchema = z
  .strictObject(
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
    { error: 'an address group' },
  )
  .meta({ anyOf: [{ required: ['addresses'] }, { required: ['file'] }] });

/** A named group of rules. */
export const securityGroupSchema = z.strictObject(
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
  { error: 'a security group' },
);

/** One interface, or one glob of them, of an instance. */
export const interfaceSchema = z.strictObject(
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
  { error: 'an interface' },
);

/** A host. */
export const instanceSchema = z.strictObject(
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
  { error: 'an instance' },
);

/** The traffic that an assertion is about; its remote's key tells its direction. */
export const assertedTrafficSchema = z
  .strictObject(
    {
      direction: z
        .enum(['inbound', 'outbound'], { error: '`inbound` or `outbound`' })
        .optional()
        .describe('May be left out: `source` is inbound, `destination` outbound.'),
      type: traffic.type,
      protocol,
      ports: ports.optional(),
      icmp: icmp.optional(),
      source: remote.optional(),
      destination: remote.optional(),
      except: z
        .array(remote, { error: 'a list of addresses and groups' })
        .optional()
        .describe('Addresses to leave out of the assertion.'),
      instance: text.optional().describe('The instance it is about. Default: every instance.'),
    },
    { error: 'traffic' },
  )
  .meta({ id: 'assertedTraffic', oneOf: [{ required: ['source'] }, { required: ['destination'] }] });

/** What must be true of the rules: a policy that makes it false is invalid. */
export const assertionSchema = z
  .strictObject(
    {
      allow: assertedTrafficSchema.optional().describe('All of this traffic is allowed.'),
      deny: assertedTrafficSchema.optional().describe('None of this traffic is allowed.'),
      because: text.optional().describe('Why, in your words.'),
    },
    { error: 'an assertion' },
  )
  .meta({ oneOf: [{ required: ['allow'] }, { required: ['deny'] }] });

/** Which packets are told of. */
export const loggingSchema = z.strictObject(
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
  { error: 'a mapping' },
);

const version = z.literal(1, { error: 'the number `1`' }).describe('The version of the policy format.');

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

/** The policy file itself. */
export const policySchema = z.strictObject({ version, ...sections }, { error: 'a mapping' });

/** A file of `policy.d`: a policy file that may leave the version out. */
export const dropInSchema = z.strictObject({ version: version.optional(), ...sections }, { error: 'a mapping' });

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
