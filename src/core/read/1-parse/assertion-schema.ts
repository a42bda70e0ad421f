import { z } from 'zod';
import { destination, icmp, ports, protocol, remote, source, traffic } from './rule-schema.ts';
import { mapping, text } from './schema-parts.ts';

/** The traffic that an assertion is about; its remote's key tells its direction. */
export const assertedTrafficSchema = mapping(
  {
    direction: z
      .enum(['inbound', 'outbound'], { error: '`inbound` or `outbound`' })
      .optional()
      .describe('May be left out: `source` is inbound, `destination` outbound.'),
    type: traffic.type,
    protocol,
    ports: ports.optional(),
    icmp: icmp.optional(),
    source: source.optional(),
    destination: destination.optional(),
    except: z
      .array(remote, { error: 'a list of addresses and groups' })
      .optional()
      .describe('Addresses to leave out of the assertion.'),
    instance: text.optional().describe('The instance it is about. Default: every instance.'),
  },
  {
    title: 'asserted traffic',
    expected: 'traffic',
    id: 'assertedTraffic',
    oneOf: [{ required: ['source'] }, { required: ['destination'] }],
  },
);

/** What must be true of the rules: a policy that makes it false is invalid. */
export const assertionSchema = mapping(
  {
    allow: assertedTrafficSchema.optional().describe('All of this traffic is allowed.'),
    deny: assertedTrafficSchema.optional().describe('None of this traffic is allowed.'),
    because: text.optional().describe('Why, in your words.'),
  },
  { title: 'an assertion', oneOf: [{ required: ['allow'] }, { required: ['deny'] }] },
);
