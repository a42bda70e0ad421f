import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { DIAGNOSTIC_CODES } from '#core/diagnostics/codes.ts';
import { type DocumentKind, parseDocument } from '#core/read/1-parse/parse-document.ts';

const parse = (text: string, kind: DocumentKind = 'main') => parseDocument({ file: 'policy.yaml', text }, kind);

/** Each diagnostic as `line:column-endLine:endColumn code: message | help`. */
function findings(text: string, kind: DocumentKind = 'main'): string[] {
  const { document, diagnostics } = parse(text, kind);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  expect(document === undefined).toBe(errors.length > 0);
  return diagnostics.map(({ code, message, span: { line, column, endLine, endColumn }, help, related }) => {
    const notes = related.map((note) => ` | ${note.span.line}:${note.span.column} ${note.message}`).join('');
    return `${line}:${column}-${endLine}:${endColumn} ${code}: ${message}${help === undefined ? '' : ` | ${help}`}${notes}`;
  });
}

const POLICY_KEYS =
  'the keys of a policy are `version`, `description`, `evaluation`, `unmanagedInterfaces`, `counters`, `logging`, `platform`, `addressGroups`, `securityGroups`, `instances`, `lint`, `assert`';
const REMOTE = 'an address, a CIDR, a range, `any`, `self`, `{ securityGroup: NAME }` or `{ addressGroup: NAME }`';
const EMPTY = 'an empty value never means any: write the value';

const inbound = (rule: string): string => `version: 1\nsecurityGroups:\n  web:\n    inbound:\n      - ${rule}\n`;
const outbound = (rule: string): string => inbound(rule).replace('inbound', 'outbound');
const management = (rule: string): string => `version: 1\nplatform:\n  management:\n    - ${rule}\n`;
const iface = (body: string): string => `version: 1\ninstances: { host: { interfaces: { eth0: ${body} } } }\n`;

const TEXTS: readonly (readonly [name: string, text: string, findings: readonly string[]])[] = [
  ['empty', '', ['1:1-1:1 empty-file: the file is empty | a policy begins with `version: 1`']],
  ['comments alone', '# none\n', ['1:1-1:1 empty-file: the file has no content | a policy begins with `version: 1`']],
  [
    'a document marker alone',
    '---\n',
    ['1:1-1:1 empty-file: the file has no content | a policy begins with `version: 1`'],
  ],
  [
    'NUL',
    'version: 1\n\0\n\0',
    [
      '2:1-2:2 bad-character: the character `U+0000` may not appear in a policy (the first of 2 such characters) | a policy is UTF-8 text without control characters',
    ],
  ],
  [
    'a carriage return alone',
    'version: 1 # x\rinstances: {}\n',
    [
      '1:15-1:16 bad-character: a carriage return (`U+000D`) without a line feed may not appear in a policy | save the file with Unix or Windows line endings',
    ],
  ],
  [
    'bytes that are not UTF-8',
    'version: 1 # \ufffd',
    [
      '1:14-1:15 bad-character: bytes that are not UTF-8 (read as `U+FFFD`) may not appear in a policy | a policy is UTF-8 text without control characters',
    ],
  ],
  [
    'an escape for a control character',
    'version: 1\ndescription: "\\e[31m"',
    ['2:14-2:22 bad-character: the character `U+001B` may not appear in a text | leave the escape out'],
  ],
  [
    'too long',
    `version: 1 #${'x'.repeat(16_000_000)}`,
    [
      '1:1-1:1 file-too-large: the file has 16000012 characters; at most 16000000 are allowed | put long address lists into a list file: `file:` in an address group',
    ],
  ],
  [
    'a flow list left open',
    'version: [',
    ['1:10-1:11 yaml-syntax: the `[` of line 1 is not closed | write `]` where it ends, before the end of the file'],
  ],
  [
    'a tab for indentation',
    'version: 1\nplatform:\n\tdhcpClient: true',
    ['3:1-3:2 yaml-syntax: a tab indents this line | YAML does not allow tabs as indentation: use spaces'],
  ],
  [
    'a list as a key',
    'version: 1\n? [a]\n: b',
    ['2:3-2:4 yaml-syntax: a key that is not plain text | write the key as a word; other characters need quotes'],
  ],
  [
    'two mappings on a line',
    'version: 1\na: b: c',
    ['2:4-2:8 yaml-syntax: `b: c` has a colon in it and no quotes around it | put the text in quotes: `"b: c"`'],
  ],
  [
    'an ambiguous anchor',
    'version: 1\ndescription: &a: x\n',
    [
      '2:16-2:17 yaml-warning: YAML readers disagree about this: an anchor ends or a key begins in an unusual way | put the text in quotes, or write a space before the colon',
    ],
  ],
  [
    'YAML 1.1',
    '%YAML 1.1\n---\nversion: 1',
    [
      '1:1-1:10 yaml-directive: the directive `%YAML 1.1` is not allowed in a policy | a policy file is YAML 1.2 without custom tags: leave the line out',
    ],
  ],
  [
    'tags',
    'version: !!int "1"\ndescription: !x y\ninstances: !!set {}',
    [
      '2:14-2:16 yaml-tag: the tag `!x` has no meaning in a policy or does not match its value | leave the tag out; text that begins with `!` needs quotes',
      '3:12-3:17 yaml-tag: the tag `!!set` has no meaning in a policy or does not match its value | leave the tag out',
    ],
  ],
  [
    'a core tag that does not fit',
    'version: !!int x',
    ['1:10-1:15 yaml-tag: the tag `!!int` has no meaning in a policy or does not match its value | leave the tag out'],
  ],
  [
    'aliases of nothing and of themselves',
    'version: 1\naddressGroups: { a: *b, c: &c { addresses: [*c] } }',
    [
      '2:21-2:23 yaml-alias: the alias `*b` has no anchor before it | an anchor is written `&`; text that begins with `*` needs quotes',
      '2:45-2:47 yaml-alias: the alias `*c` stands inside what it names',
    ],
  ],
  [
    'two documents',
    'version: 1\n---\nversion: 1\n',
    [
      '2:1-2:4 several-documents: a second YAML document begins here | a policy file holds one document; put the other into its own file in `policy.d`',
    ],
  ],
  [
    'deep nesting',
    '['.repeat(100_000),
    ['1:65-1:66 too-deep: more than 64 levels of nesting | a policy needs seven: is there an extra open bracket?'],
  ],
  [
    'a key twice',
    'version: 1\nsecurityGroups:\n  web: {}\n  "web": {}\n',
    ['4:3-4:8 duplicate-key: the key `web` appears twice | merge the two, or leave one out | 3:3 first written here'],
  ],
  [
    'text for a policy',
    'policy',
    [
      '1:1-1:7 wrong-type: expected a mapping, found the text `policy` | write keys and values: a policy begins with `version: 1`, then come `securityGroups:` and `instances:`',
    ],
  ],
  [
    'a list for a policy',
    '- version: 1',
    [
      '1:1-1:13 wrong-type: expected a mapping, found a list | write keys and values: a policy begins with `version: 1`, then come `securityGroups:` and `instances:`',
    ],
  ],
  [
    'no version',
    'evaluation: merged\n',
    ['1:1-1:19 missing-key: missing key `version` in a policy | begin the file with `version: 1`'],
  ],
  [
    'another version',
    'version: 2\n',
    [
      '1:10-1:11 wrong-type: expected the number `1`, found the number `2` | this version reads version 1 of the policy format',
    ],
  ],
  [
    'a fractional version',
    'version: 1.0\n',
    [
      '1:10-1:13 bad-number: the number `1.0` is not in plain decimal digits | write `1`; if it is text, put it in quotes',
    ],
  ],
  ['an unknown key', 'version: 1\nfoo: 1\n', [`2:1-2:4 unknown-key: unknown key \`foo\` in a policy | ${POLICY_KEYS}`]],
  [
    'a mistyped key',
    'version: 1\nsecuritygroup: {}\n',
    ['2:1-2:14 unknown-key: unknown key `securitygroup` in a policy | did you mean `securityGroups`?'],
  ],
  [
    'a merge key',
    'version: 1\n<<: {}\n',
    ['2:1-2:3 unknown-key: unknown key `<<` in a policy | merge keys are not part of YAML 1.2: write the keys out'],
  ],
  [
    'an empty setting',
    'version: 1\nevaluation:\n',
    [`2:1-2:11 wrong-type: expected \`sequence\` or \`merged\`, found an empty value | ${EMPTY}`],
  ],
  [
    'a boolean of YAML 1.1',
    'version: 1\nplatform: { dhcpClient: no }',
    ['2:25-2:27 wrong-type: expected `true` or `false`, found the text `no` | write `false`'],
  ],
];

const RULES: typeof TEXTS = [
  [
    'a mistyped key',
    inbound('{ prots: 22, source: any }'),
    ['5:11-5:16 unknown-key: unknown key `prots` in an inbound rule | did you mean `ports`?'],
  ],
  [
    'a key named after the prototype',
    inbound('{ __proto__: { source: any }, source: any }'),
    [
      '5:11-5:20 unknown-key: unknown key `__proto__` in an inbound rule | the keys of an inbound rule are `action`, `priority`, `type`, `protocol`, `ports`, `icmp`, `description`, `log`, `lint`, `enabled`, `source`',
    ],
  ],
  [
    'a mistyped remote key is not missing too',
    inbound('{ sorce: any }'),
    ['5:11-5:16 unknown-key: unknown key `sorce` in an inbound rule | did you mean `source`?'],
  ],
  [
    'no source',
    inbound('{ protocol: tcp }'),
    ['5:9-5:26 missing-key: missing key `source` in an inbound rule | write `source: any` for every address'],
  ],
  [
    'no destination',
    outbound('{ protocol: tcp }'),
    [
      '5:9-5:26 missing-key: missing key `destination` in an outbound rule | write `destination: any` for every address',
    ],
  ],
  [
    'a destination inbound',
    inbound('{ destination: any }'),
    ['5:11-5:22 wrong-remote-key: `destination` in an inbound rule | inbound rules say `source`'],
  ],
  [
    'a source outbound',
    outbound('{ source: any, destination: any }'),
    ['5:11-5:17 wrong-remote-key: `source` in an outbound rule | outbound rules say `destination`'],
  ],
  [
    'a management rule without a remote',
    management('{ ports: 22 }'),
    [
      '4:7-4:20 missing-key: missing key `source` or `destination` in a management rule | write `source` for inbound traffic, `destination` for outbound traffic',
    ],
  ],
  [
    'a management rule with both',
    management('{ source: any, destination: any }'),
    [
      '4:22-4:33 wrong-remote-key: `source` and `destination` in one management rule | write one for each: `source` is inbound, `destination` outbound | 4:9 this makes it inbound',
    ],
  ],
  [
    'an empty source',
    inbound('{ source: }'),
    [`5:11-5:17 wrong-type: expected ${REMOTE}, found an empty value | ${EMPTY}`],
  ],
  [
    'a null source',
    inbound('{ source: ~ }'),
    [`5:19-5:20 wrong-type: expected ${REMOTE}, found an empty value | ${EMPTY}`],
  ],
  [
    'a list of sources',
    inbound('{ source: [a, b] }'),
    [
      `5:19-5:25 wrong-type: expected ${REMOTE}, found a list | a rule takes one source or destination: write a rule for each, or put them into an address group`,
    ],
  ],
  [
    'a mistyped remote',
    inbound('{ source: { securitygroup: a } }'),
    ['5:21-5:34 unknown-key: unknown key `securitygroup` in a remote | did you mean `securityGroup`?'],
  ],
  [
    'two groups in a remote',
    inbound('{ source: { securityGroup: a, addressGroup: b } }'),
    ['5:19-5:56 bad-value: a remote that names two groups | write a rule for each'],
  ],
  [
    'an empty remote',
    inbound('{ source: {} }'),
    ['5:19-5:21 missing-key: a remote that names no group | write `any` for every address'],
  ],
  [
    'a number for a group',
    inbound('{ source: { securityGroup: 10 } }'),
    ['5:36-5:38 wrong-type: expected the name of a security group, found the number `10` | put it in quotes: `"10"`'],
  ],
  [
    'empty ports',
    inbound('{ source: any, ports: }'),
    [
      `5:24-5:29 wrong-type: expected a port, text such as "22,80,8000-8999", or a list of either, found an empty value | ${EMPTY}`,
    ],
  ],
  [
    'no ports in the list',
    inbound('{ source: any, ports: [] }'),
    ['5:31-5:33 bad-value: an empty list | leave `ports` out to mean all'],
  ],
  [
    'bad ports in the list',
    inbound('{ source: any, ports: [22, ~, 0x16, true] }'),
    [
      `5:36-5:37 wrong-type: expected a port or a range of ports, found an empty value | ${EMPTY}`,
      '5:39-5:43 bad-number: the number `0x16` is not in plain decimal digits | write `22`; if it is text, put it in quotes',
      '5:45-5:49 wrong-type: expected a port or a range of ports, found `true`',
    ],
  ],
  [
    'a capital action',
    inbound('{ source: any, action: Deny }'),
    ['5:32-5:36 bad-value: expected `allow` or `deny`, found `Deny` | write `deny`'],
  ],
  [
    'an unknown type',
    inbound('{ source: any, type: inet }'),
    ['5:30-5:34 bad-value: expected `ipv4` or `ipv6`, found `inet` | write `ipv4`'],
  ],
  [
    'a quoted priority',
    inbound('{ source: any, priority: "1" }'),
    ['5:34-5:37 wrong-type: expected a number from 1 to 100, found the text `1` | leave the quotes out'],
  ],
  [
    'a mistyped ICMP key',
    inbound('{ source: any, icmp: { typ: 3 } }'),
    ['5:32-5:35 unknown-key: unknown key `typ` in `icmp` | did you mean `type`?'],
  ],
  [
    'a code without a type',
    inbound('{ source: any, icmp: { code: 3 } }'),
    ['5:24-5:28 missing-key: missing key `type` in `icmp` | a code needs a type'],
  ],
  [
    'a list for a code',
    inbound('{ source: any, icmp: { type: 3, code: [] } }'),
    ['5:47-5:49 wrong-type: expected a name or a number, found a list'],
  ],
  ['an empty rule', inbound(''), [`5:9-5:9 wrong-type: expected an inbound rule, found an empty value | ${EMPTY}`]],
  [
    'a mapping for a list',
    'version: 1\nsecurityGroups:\n  web:\n    inbound:\n      source: any\n',
    ['5:7-5:18 wrong-type: expected a list of rules, found a mapping | begin each rule with `- `'],
  ],
];

const OTHERS: typeof TEXTS = [
  [
    'a template in another case',
    'version: 1\nsecurityGroups: { web: { template: sys-webserver } }',
    [
      '2:36-2:49 bad-value: expected `default`, `Sys-WebServer` or `Sys-FullAccess`, found `sys-webserver` | write `Sys-WebServer`',
    ],
  ],
  [
    'an address group of nothing',
    'version: 1\naddressGroups:\n  office:\n',
    [
      '3:3-3:9 missing-key: missing key `addresses` or `file` in the address group `office` | write `addresses: []` for a group that matches nothing',
    ],
  ],
  [
    'one address',
    'version: 1\naddressGroups: { office: { addresses: 192.0.2.1 } }',
    ['2:39-2:48 wrong-type: expected a list of addresses, found the text `192.0.2.1` | write `[192.0.2.1]`'],
  ],
  [
    'an interface without groups',
    iface(''),
    [
      '2:36-2:40 missing-key: missing key `securityGroups` in an interface | write `securityGroups: []` to deny everything but platform traffic',
    ],
  ],
  [
    'an interface with an empty list key',
    iface('{ securityGroups: }'),
    ['2:44-2:58 wrong-type: expected a list of security groups, found an empty value | write `[]` for none'],
  ],
  [
    'one group',
    iface('{ securityGroups: web }'),
    ['2:60-2:63 wrong-type: expected a list of security groups, found the text `web` | write `[web]`'],
  ],
  [
    'a mistyped word for addresses',
    iface('{ securityGroups: [], addresses: dynamc }'),
    [
      '2:75-2:81 wrong-type: expected a list of addresses or `dynamic`, found the text `dynamc` | did you mean `dynamic`?',
    ],
  ],
  [
    'a machine id read as a number',
    'version: 1\ninstances: { a: { machineId: 12345678901234567890123456789012 } }',
    [
      '2:30-2:62 bad-number: `12345678901234567890123456789012` is not a number a policy can mean | if it is text, put it in quotes',
    ],
  ],
  [
    'what an alias stands for, once',
    'version: 1\nsecurityGroups:\n  a: &a { inbond: [] }\n  b: *a\n',
    ['3:11-3:17 unknown-key: unknown key `inbond` in a security group | did you mean `inbound`?'],
  ],
  [
    'an entry under a name zod would pass over',
    'version: 1\nsecurityGroups: { __proto__: { inbond: [] } }',
    ['2:32-2:38 unknown-key: unknown key `inbond` in a security group | did you mean `inbound`?'],
  ],
];

describe('what is wrong, and where', () => {
  test.each(TEXTS)('text: %s', (_name, text, expected) => expect(findings(text)).toEqual(expected));
  test.each(RULES)('rule: %s', (_name, text, expected) => expect(findings(text)).toEqual(expected));
  test.each(OTHERS)('%s', (_name, text, expected) => expect(findings(text)).toEqual(expected));

  test('numbers are plain decimal', () => {
    for (const number of ['0x16', '0o26', '1e2', '.inf', '.nan', '-1', '+1', '007', '1.5', '99999999999999999999']) {
      for (const key of ['ports', 'priority', 'protocol', 'icmp']) {
        const [first, ...more] = parse(inbound(`{ ${key}: ${number}, source: any }`)).diagnostics;
        expect([number, key, first?.code, more.length]).toEqual([number, key, 'bad-number', 0]);
      }
    }
  });

  test('a bomb of aliases is an error, and quickly', () => {
    const levels = Array.from({ length: 30 }, (_, i) => `  - &l${i + 1} [${`*l${i},`.repeat(10)}]`);
    const { document, diagnostics } = parse(`bomb:\n  - &l0 [x]\n${levels.join('\n')}\nversion: 1\n`);
    expect(document).toBeUndefined();
    expect(diagnostics.map(({ code }) => code)).toContain('yaml-alias');
    expect(diagnostics.find(({ code }) => code === 'yaml-alias')?.message).toBe(
      'with `*l4` the aliases of this file stand for more than 100000 values',
    );
  });

  test('no more is reported than anybody reads', () => {
    const { diagnostics } = parse(`version: 1\n${Array.from({ length: 150 }, (_, i) => `key${i}: 1\n`).join('')}`);
    expect(diagnostics).toHaveLength(101);
    expect(diagnostics.at(-1)).toMatchObject({
      code: 'too-many-errors',
      message: 'and 50 more from here on',
      span: { line: 102, column: 1 },
    });
  });

  test('severities are those of the catalogue', () => {
    for (const [, text] of [...TEXTS, ...RULES, ...OTHERS]) {
      for (const { code, severity } of parse(text).diagnostics) expect(severity).toBe(DIAGNOSTIC_CODES[code]);
    }
  });
});

describe('what is right', () => {
  const WHOLE = `version: 1
evaluation: sequence
unmanagedInterfaces: allow
platform:
  neighborDiscovery: true
  routerAdvertisement: true
  dhcpClient: true
  igmp: true
  management:
    - { protocol: tcp, ports: 22, source: 192.0.2.10/32 }
addressGroups:
  office:
    description: egress addresses of the offices
    addresses: [203.0.113.0/24, 198.51.100.10-198.51.100.20, "2001:db8:1::/48"]
  blocklist:
    file: lists/blocklist.txt
securityGroups:
  sg-a:
    template: default
    inbound:
      - action: allow
        priority: 1
        type: ipv4
        protocol: icmp
        icmp: { type: 3, code: 4 }
        source: 0.0.0.0/0
        description: ping from anywhere
        enabled: true
      - { protocol: 6, ports: ["22,80", 443], source: { securityGroup: bastion } }
    outbound:
      - { destination: any }
instances:
  ecs-a:
    evaluation: merged
    interfaces:
      eth0: { addresses: [192.168.1.10, "2001:db8::10"], securityGroups: [sg-a, default], invalid: match }
  "*": { interfaces: { "*": { addresses: dynamic, securityGroups: [] } } }
`;

  test('every key of the format, as it was written', () => {
    const { document, diagnostics } = parse(WHOLE);
    expect(diagnostics).toEqual([]);
    expect(document?.input).toEqual(parseYaml(WHOLE));
  });

  test('line ends and a byte-order mark change nothing', () => {
    const windows = parse(`\ufeff${WHOLE.replaceAll('\n', '\r\n')}`);
    expect(windows.diagnostics).toEqual([]);
    expect(windows.document?.input).toEqual(parse(WHOLE).document?.input);
    expect(findings('\ufefffoo: 1\r\nversion: 1\r\n')).toEqual([
      `1:1-1:4 unknown-key: unknown key \`foo\` in a policy | ${POLICY_KEYS}`,
    ]);
  });

  test('JSON is YAML', () => {
    const { document } = parse(WHOLE);
    expect(parse(JSON.stringify(document?.input, null, '\t')).document?.input).toEqual(document?.input);
  });

  test('empty keys are as if left out', () => {
    const { document } = parse(
      'version: 1\nplatform:\naddressGroups:\nsecurityGroups:\n  web:\n  db: { inbound: , outbound: }\ninstances:\n  a:\n  b: { interfaces: }\n',
    );
    expect(document?.input.securityGroups?.['web']).toEqual({});
    expect(document?.input.securityGroups?.['db']?.inbound).toBeUndefined();
    expect(document?.input.instances?.['b']?.interfaces).toBeUndefined();
    expect(document?.input.platform).toBeUndefined();
  });

  test('an empty list of addresses is one', () => {
    expect(
      parse('version: 1\naddressGroups: { none: { addresses: } }').document?.input.addressGroups?.['none'],
    ).toEqual({ addresses: [] });
  });

  test('a drop-in may be empty, and say no version', () => {
    expect(parse('', 'drop-in').document?.input).toEqual({});
    expect(parse('# later\n', 'drop-in').document?.input).toEqual({});
    expect(parse('securityGroups: { web: {} }', 'drop-in').document?.input.securityGroups?.['web']).toEqual({});
    expect(findings('version: 2', 'drop-in')).toHaveLength(1);
  });

  test('any name is safe', () => {
    const names = [
      '__proto__',
      '~__proto__',
      '~~__proto__',
      'constructor',
      'toString',
      'hasOwnProperty',
      '10',
      'null',
      'true',
      '~',
    ];
    const text = `version: 1\nsecurityGroups:\n${names.map((name, i) => `  ${name}: { description: "${i}" }\n`).join('')}`;
    const groups = parse(text).document?.input.securityGroups ?? {};
    expect(Object.keys(groups).toSorted()).toEqual(names.toSorted());
    expect(Object.getPrototypeOf(groups)).toBeNull();
    for (const [i, name] of names.entries()) {
      expect(Object.getOwnPropertyDescriptor(groups, name)?.value).toEqual({ description: String(i) });
    }
  });

  test('aliases stand for what they name, and are found there', () => {
    const { document } = parse(
      'version: 1\nsecurityGroups:\n  a: { inbound: &r [{ source: any }] }\n  b: { inbound: *r }\n',
    );
    expect(document?.input.securityGroups?.['b']).toEqual({ inbound: [{ source: 'any' }] });
    expect(document?.spanOf(['securityGroups', 'b', 'inbound', 0, 'source'])).toMatchObject({
      line: 3,
      column: 31,
      endColumn: 34,
    });
    expect(document?.keySpanOf(['securityGroups', 'b', 'inbound'])).toMatchObject({
      line: 4,
      column: 8,
      endColumn: 15,
    });
  });
});

describe('spans', () => {
  const { document } = parse(`version: 1
securityGroups:
  web:
    description: "😀" # two UTF-16 units, one character
    inbound:
      - protocol: tcp
        source: any   # comment

      - { source: any }

    outbound:
  after: { description: "😀", template: default }
`);
  const show = ({
    line,
    column,
    endLine,
    endColumn,
  }: {
    line: number;
    column: number;
    endLine: number;
    endColumn: number;
  }) => `${line}:${column}-${endLine}:${endColumn}`;

  test.each([
    [['version'], '1:10-1:11', '1:1-1:8'],
    [['securityGroups', 'web'], '4:5-11:13', '3:3-3:6'],
    [['securityGroups', 'web', 'description'], '4:18-4:21', '4:5-4:16'],
    [['securityGroups', 'web', 'inbound'], '6:7-9:24', '5:5-5:12'],
    [['securityGroups', 'web', 'inbound', 0], '6:9-7:20', '6:9-7:20'],
    [['securityGroups', 'web', 'inbound', 0, 'source'], '7:17-7:20', '7:9-7:15'],
    [['securityGroups', 'web', 'inbound', 1, 'ports'], '9:9-9:24', '9:9-9:24'],
    [['securityGroups', 'web', 'inbound', 7, 'ports'], '6:7-9:24', '6:7-9:24'],
    [['securityGroups', 'web', 'outbound'], '11:5-11:13', '11:5-11:13'],
    [['securityGroups', 'after', 'template'], '12:40-12:47', '12:30-12:38'],
    [['nowhere', 'at', 'all'], '1:1-12:49', '1:1-12:49'],
    [[], '1:1-12:49', '1:1-12:49'],
  ])('%j', (path, value, key) => {
    expect(document && show(document.spanOf(path))).toBe(value);
    expect(document && show(document.keySpanOf(path))).toBe(key);
  });
});
