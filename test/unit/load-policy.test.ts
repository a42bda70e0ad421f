import { describe, expect, test } from 'vitest';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { FileText, PolicyReader } from '#core/model/policy/policy-reader.ts';

const POLICY = `version: 1
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: { addressGroup: listed } }] }
addressGroups:
  listed: { file: list.txt }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;

const DROP_IN = 'securityGroups: { extra: {} }\n';

/** The files by name, each of which can be changed or taken away between loads. */
function loaderOf(files: Map<string, string>): () => Promise<LoadedPolicy> {
  const read = async (file: string): Promise<FileText> => {
    const text = files.get(file);
    return text === undefined
      ? { kind: 'unreadable', file, message: `\`${file}\` does not exist`, help: undefined, isUntrusted: false }
      : { kind: 'text', file, text };
  };
  const reader: PolicyReader = {
    readPolicy: () => read('policy.yaml'),
    async readDropIns() {
      const names = [...files.keys()].filter((name) => name.startsWith('policy.d/'));
      return {
        read: await Promise.all(names.filter((name) => name.endsWith('.yaml')).map(read)),
        passedOver: names
          .filter((name) => !name.endsWith('.yaml'))
          .map((file) => ({ file, message: 'is not read', help: 'rename it' })),
      };
    },
    readList: (_, name) => read(name),
  };
  return createPolicyLoader(reader);
}

const hostsOf = ({ policy }: LoadedPolicy): readonly unknown[] | undefined =>
  [...(policy?.addressGroups.values() ?? [])][0]?.entries.ipv4.hosts;

describe('a policy that is loaded again', () => {
  const files = (): Map<string, string> =>
    new Map([
      ['policy.yaml', POLICY],
      ['policy.d/extra.yaml', DROP_IN],
      ['list.txt', '192.0.2.1\n192.0.2.2\n'],
    ]);

  test('is the same object while no file has changed', async () => {
    const load = loaderOf(files());
    expect(await load()).toBe(await load());
  });

  test.each([
    ['policy.yaml', POLICY.replace('80', '81')],
    ['policy.d/extra.yaml', DROP_IN.replace('extra', 'other')],
    ['list.txt', '192.0.2.1\n192.0.2.3\n'],
    ['policy.yaml', undefined],
    ['list.txt', undefined],
    ['policy.d/extra.yaml', undefined],
    ['policy.d/second.yaml', 'securityGroups: { second: {} }\n'],
    ['policy.d/second.yml', 'securityGroups: { second: {} }\n'],
    ['policy.yaml', 'version: 2\n'],
  ] as const)('is what a first load would make of it: %s is now %j', async (name, text) => {
    const changed = files();
    const load = loaderOf(changed);
    const before = await load();
    if (text === undefined) changed.delete(name);
    else changed.set(name, text);
    const after = await load();
    const { policy, ...rest } = await loaderOf(changed)();
    expect(JSON.stringify(after.policy, show)).toBe(JSON.stringify(policy, show));
    expect(after).toMatchObject(rest);
    expect(after).not.toEqual(before);
    for (const [file, content] of files()) changed.set(file, content);
    changed.delete('policy.d/second.yaml');
    expect(JSON.stringify((await load()).policy, show)).toBe(JSON.stringify(before.policy, show));
  });

  test('keeps the entries of a list that stays, and those of its lines that do', async () => {
    const changed = files();
    const load = loaderOf(changed);
    const before = await load();
    changed.set('policy.yaml', POLICY.replace('80', '81'));
    const edited = await load();
    expect(edited).not.toBe(before);
    expect(hostsOf(edited)).toBe(hostsOf(before));
    changed.set('list.txt', '192.0.2.1\n');
    expect(hostsOf(await load())?.[0]).toBe(hostsOf(before)?.[0]);
  });
});

function show(_key: string, value: unknown): unknown {
  if (value instanceof Map) return [...value];
  return typeof value === 'bigint' ? String(value) : value;
}

describe('of more mistakes than anybody reads the first are told, and quickly', () => {
  const rules = (...some: readonly (readonly [rule: string, times: number])[]): string => `version: 1
securityGroups:
  web:
    inbound:
${some.map(([rule, times]) => `      - ${rule}\n`.repeat(times)).join('')}instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
  const load = (policy: string, list = ''): Promise<LoadedPolicy> =>
    loaderOf(
      new Map([
        ['policy.yaml', policy],
        ['list.txt', list],
      ]),
    )();

  test('mistakes of meaning', async () => {
    const { policy, diagnostics } = await load(
      rules(['{ protocol: tcp, ports: 80, source: { securityGroup: nobody } }', 150_000]),
    );
    expect(policy).toBeUndefined();
    expect(diagnostics).toHaveLength(101);
    expect(diagnostics.at(-1)).toMatchObject({
      code: 'too-many-errors',
      message: 'and 149900 more from here on',
      span: { line: 105 },
    });
  });

  test('mistakes of shape, be they more than the schema’s stack holds', async () => {
    const { policy, diagnostics } = await load(
      rules(['{ protocol: tcp, ports: 80, source: any, descripton: x }', 150_000]),
    );
    expect(policy).toBeUndefined();
    expect(diagnostics.slice(0, 2)).toMatchObject([
      { code: 'too-many-errors', span: { line: 1 } },
      { code: 'unknown-key', span: { line: 5 } },
    ]);
    expect(diagnostics.length).toBeLessThan(110);
  });

  test('mistakes of shape behind so many sound items that none of them is looked at', async () => {
    const sound = '{ protocol: tcp, ports: 80, source: any }';
    const { policy, diagnostics } = await load(rules([sound, 2_000], ['{ x: 1, ports: [] }', 150_000]));
    expect(policy).toBeUndefined();
    expect(diagnostics.some(({ severity }) => severity === 'error')).toBe(true);
  });

  test('doubts, while a mistake among them is told', async () => {
    const list = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}/16`).join('\n');
    const { policy, diagnostics } = await load(POLICY.replace('ports: 80', 'ports: 0'), list);
    expect(policy).toBeUndefined();
    expect(diagnostics.filter(({ severity }) => severity === 'warning').length).toBeLessThanOrEqual(101);
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toHaveLength(1);
  });
});
