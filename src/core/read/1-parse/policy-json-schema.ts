import { z } from 'zod';
import { policySchema } from './policy-schema.ts';

/** The JSON Schema (draft 2020-12) of a policy file, for editors: it knows keys, types and words, not what phase 2 checks. */
export function policyJsonSchema(): object {
  const schema = z.toJSONSchema(policySchema, { target: 'draft-2020-12', io: 'input', reused: 'inline' });
  const { $schema, title: _title, ...rest } = schema;
  return {
    $schema,
    $id: 'urn:secgroupd:policy:1',
    title: 'secgroupd policy',
    description: 'Security groups, the hosts they judge, and the address lists they refer to.',
    ...rest,
  };
}
