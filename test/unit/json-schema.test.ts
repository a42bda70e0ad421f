import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { policyJsonSchema } from '#core/read/1-parse/policy-json-schema.ts';

const FILE = resolve(import.meta.dirname, '../../config/policy.schema.json');

test('config/policy.schema.json is the schema of the code; UPDATE=1 writes it', () => {
  const text = `${JSON.stringify(policyJsonSchema(), null, 2)}\n`;
  if (process.env['UPDATE'] === '1') writeFileSync(FILE, text);
  expect(readFileSync(FILE, 'utf8')).toBe(text);
});

test('every key has a description for editors', () => {
  const bare: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) visit(value, `${path}/${key}`);
    if (!('properties' in node)) return;
    for (const [key, property] of Object.entries(node.properties as Record<string, object>)) {
      if (!('description' in property) && !('$ref' in property)) bare.push(`${path}/${key}`);
    }
  };
  visit(policyJsonSchema(), '');
  // These stand where the description of what is around them says it.
  expect(bare.map((path) => path.slice(path.lastIndexOf('/') + 1)).toSorted()).toEqual([
    'addressGroup',
    'code',
    'securityGroup',
    'type',
  ]);
});
