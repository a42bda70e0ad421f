import { z } from 'zod';
import { PROTOCOL_WORDS } from '#core/model/policy/protocol-lookup.ts';
import { lintSchema } from './lint-schema.ts';
import { EXPECTED_PROTOCOL } from './protocol-forms.ts';
import { description, flag, groupName, mapping, NAME_PATTERN, name } from './schema-parts.ts';

/** The other end of a rule's traffic. */
export const remote = z
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
    title: 'a remote',
    id: 'remote',
    description: 'The other end: an address, a CIDR, a range `a-b`, `any`, `self`, or a group by name.',
  });

const port = z.union([z.number().meta({ type: 'integer', minimum: 1, maximum: 65535 }), z.string()], {
  error: 'a port or a range of ports',
});
/** Destination ports. */
export const ports = z
  .union([port, z.array(port).min(1)], { error: 'a port, text such as "22,80,8000-8999", or a list of either' })
  .meta({
    id: 'ports',
    description:
      'Destination ports, 1 to 65535: a number, text such as "22,80,8000-8999", or a list of either. All, if left out.',
  });

const icmpNumber = z.union([z.string(), z.number().meta({ type: 'integer', minimum: 0, maximum: 255 })], {
  error: 'a name or a number',
});
/** An ICMP type, with or without a code. */
export const icmp = z
  .union([icmpNumber, z.strictObject({ type: icmpNumber, code: icmpNumber.optional() })], {
    error: 'a type by name or number, or `{ type: ..., code: ... }`',
  })
  .meta({
    title: '`icmp`',
    id: 'icmp',
    description: 'The ICMP type, by name or number; with a code: `{ type: 3, code: 4 }`. All, if left out.',
  });

/** An IP protocol. */
export const protocol = z
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

/** The keys that every rule may have. */
export const traffic = {
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
  lint: lintSchema.optional(),
  enabled: flag.optional().describe('`false` takes the rule out without deleting it. Default: true.'),
};

/** The remote of inbound traffic. */
export const source = remote.describe(
  'Where inbound traffic comes from: an address, a CIDR, a range `a-b`, `any`, `self`, or a group by name.',
);
/** The remote of outbound traffic. */
export const destination = remote.describe('Where outbound traffic goes to, as for `source`.');

/** A rule for what the host receives. */
export const inboundRuleSchema = mapping(
  { ...traffic, source },
  { title: 'an inbound rule', id: 'inboundRule', description: 'A rule for what the host receives.' },
);

/** A rule for what the host sends. */
export const outboundRuleSchema = mapping(
  { ...traffic, destination },
  { title: 'an outbound rule', id: 'outboundRule', description: 'A rule for what the host sends.' },
);

/** A rule that comes before all groups; its remote's key tells its direction. */
export const managementRuleSchema = mapping(
  { ...traffic, source: source.optional(), destination: destination.optional() },
  {
    title: 'a management rule',
    id: 'managementRule',
    description: 'A rule judged before all groups: inbound with `source`, outbound with `destination`.',
    oneOf: [{ required: ['source'] }, { required: ['destination'] }],
  },
);
