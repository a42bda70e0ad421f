import fc from 'fast-check';

/** A document before it is laid out; scalars are written as they stand here. */
type Tree =
  | { readonly kind: 'scalar'; readonly text: string }
  | { readonly kind: 'sequence'; readonly items: readonly Tree[]; readonly isFlow: boolean }
  | { readonly kind: 'mapping'; readonly entries: readonly (readonly [string, Tree])[]; readonly isFlow: boolean };

/** What policies hold, and what only looks like it. */
const SCALARS = [
  ...[
    'any',
    'tcp',
    'allow',
    'sg-a',
    'a b',
    'web.example',
    'Größe',
    '日本 語',
    '😀',
    '/etc/x',
    './lists/a',
    '../b',
    '$x',
    '(a)',
  ],
  ...[
    '0',
    '1',
    '22',
    '65535',
    '007',
    '1.5',
    '1e5',
    '0x1f',
    '0o7',
    '1_000',
    '.5',
    '+1',
    '-1',
    '1.',
    '12e03',
    '9to5',
    '1-2',
  ],
  ...[
    '999999999999999',
    '9007199254740991',
    '9007199254740993',
    '1.2.3',
    '1.2e3.4',
    '0b1',
    '00',
    '-0',
    '1:30',
    '.inf',
    '.nan',
  ],
  ...['192.0.2.1', '10.0.0.0/8', '192.0.2.1-192.0.2.9', '2001:db8::/32', '::1', '::', '::/0', 'a:b', '2001:db8::'],
  ...['true', 'false', 'null', 'True', 'NULL', 'no', 'on', '~', 'nullx', 'truer', '', '<<', '='],
  ...[
    '"22,80"',
    "'a'",
    '"a: b"',
    '"a # b"',
    "'it''s'",
    '"a\\n"',
    '""',
    "''",
    '"{"',
    '"- a"',
    "'\\'",
    '"é"',
    '"true"',
    '"1"',
  ],
  ...[
    'a#b',
    'a #b',
    'a: b',
    'a:',
    ':a',
    'a,b',
    'a]',
    '{a',
    '-a',
    '- a',
    '?a',
    '? a',
    'a?',
    '&a b',
    '*a',
    'a*',
    '!a b',
    '|',
    '>',
    '%a',
  ],
  ...[
    '@a',
    '`a',
    'a"b',
    "a'b",
    '"a" b',
    "'a'b",
    'a\tb',
    'a\u00a0',
    '\u2028',
    '---',
    '...',
    'a  b',
    'a :b',
    'a : b',
    '[]',
    '{}',
  ],
];

const KEYS = [
  ...[
    'a',
    'b',
    'name',
    'sg-a',
    'eth0',
    'securityGroups',
    'é',
    '80',
    'true',
    'null',
    'ens*',
    '1.5',
    'a b',
    '192.0.2.1',
    '::1',
  ],
  ...[
    '"*"',
    '"a"',
    "'b'",
    '"a:b"',
    '""',
    '__proto__',
    'constructor',
    '<<',
    '~',
    '',
    '?',
    '- a',
    '*a',
    '"\\x61"',
    'a:',
    'a#',
    '{}',
  ],
];

const SCALAR = fc.constantFrom(...SCALARS).map((text): Tree => ({ kind: 'scalar', text }));
/** Near misses, but so few of them that most documents are taken. */
const KEY = fc.oneof(
  { weight: 14, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'ef', 'gh', 'i-j', 'k.l', '"*"', "'m n'", 'é') },
  fc.constantFrom(...KEYS),
);
const MILD = fc
  .constantFrom('any', '22', '192.0.2.1', '2001:db8::/32', '"22,80"', 'true', 'a b', "'x'", '')
  .map((text): Tree => ({ kind: 'scalar', text }));

const IS_FLOW = fc.constantFrom(true, false, false);

const { tree: TREE } = fc.letrec<{ tree: Tree; node: Tree }>((tie) => ({
  node: fc.oneof({ maxDepth: 5, depthSize: 'large' }, { weight: 4, arbitrary: MILD }, SCALAR, tie('tree'), tie('tree')),
  tree: fc.oneof(
    fc.record({
      kind: fc.constant('sequence' as const),
      items: fc.array(tie('node'), { maxLength: 4, size: 'max' }),
      isFlow: IS_FLOW,
    }),
    fc.record({
      kind: fc.constant('mapping' as const),
      entries: fc.array(fc.tuple(KEY, tie('node')), { maxLength: 4, size: 'max' }),
      isFlow: IS_FLOW,
    }),
  ),
}));

/** Chooses of a few ways to lay something out, most often the first. */
type Choose = (...ways: readonly string[]) => string;

function layOut(tree: Tree, choose: Choose): string {
  const rest = (): string => choose('', '', '', '', ' ', ' # note', '  #', '#x', '\n', '\n# note', '\n   # note: [');
  const gap = (indent: number): string =>
    choose(
      '',
      '',
      ' ',
      ' ',
      `\n${' '.repeat(indent)}`,
      ` # note\n${' '.repeat(indent)}`,
      '\n',
      `\n\n${' '.repeat(indent + 3)}`,
    );
  const flow = (node: Tree, indent: number): string => {
    switch (node.kind) {
      case 'scalar':
        return node.text;
      case 'sequence': {
        const items = node.items.map((item) => `${gap(indent)}${flow(item, indent)}`);
        return `[${items.join(choose(',', ' ,', ', '))}${choose('', ',', ' ')}${gap(indent)}]`;
      }
      case 'mapping': {
        const entries = node.entries.map(
          ([key, value]) =>
            `${gap(indent)}${key}${choose(': ', ': ', ': ', ':', ' : ', ':\n  ', '')}${flow(value, indent)}`,
        );
        return `{${entries.join(choose(', ', ','))}${choose('', ',', ' ')}${gap(indent)}}`;
      }
    }
  };
  /** A node behind `key:` or `-`, whose collection stands at `indent`. */
  const value = (node: Tree, indent: number, behindDash: boolean): string => {
    if (node.kind === 'scalar')
      return `${choose(' ', ' ', ' ', '  ', '', `\n${' '.repeat(indent + 2)}`)}${node.text}${rest()}`;
    if (node.isFlow || (node.kind === 'mapping' ? node.entries : node.items).length === 0)
      return `${choose(' ', ' ', '  ', `\n${' '.repeat(indent + 2)}`)}${flow(node, indent + 2)}${rest()}`;
    if (behindDash && choose('compact', 'compact', 'apart') === 'compact') {
      const spaces = choose(' ', ' ', '   ');
      return `${spaces}${block(node, indent + 1 + spaces.length).trimStart()}`;
    }
    const step = Number(choose('2', '2', '4', '1', node.kind === 'sequence' ? '0' : '3', '0'));
    return `${rest()}\n${block(node, indent + step)}`;
  };
  const block = (node: Tree, indent: number): string => {
    const margin = ' '.repeat(indent);
    switch (node.kind) {
      case 'scalar':
        return `${margin}${node.text}`;
      case 'sequence':
        return node.items.map((item) => `${margin}-${value(item, indent, true)}`).join('\n');
      case 'mapping':
        return node.entries
          .map(([key, item]) => `${margin}${key}${choose(':', ':', ':', ':', ':', ' :')}${value(item, indent, false)}`)
          .join('\n');
    }
  };
  const start = choose('', '', '', '', '', '# note\n', '\n', '---\n', '  ', '%YAML 1.2\n---\n');
  const body = tree.kind !== 'scalar' && tree.isFlow ? flow(tree, 0) : block(tree, 0);
  return `${start}${body}${choose('\n', '\n', '', '\n\n', '\n# end', ' ', '\n...\n')}`;
}

/** Documents in many layouts, nearly all of them what the fast reader could be thought to take. */
export const YAML_DOCUMENT: fc.Arbitrary<string> = fc
  .tuple(
    TREE,
    fc.array(fc.nat(), { minLength: 20, maxLength: 60 }),
    fc.constantFrom(0, 0, 1, 2, 4, 7, 12),
    fc.boolean(),
  )
  .map(([tree, choices, wildness, crlf]) => {
    let next = 0;
    const choose: Choose = (...ways) => {
      const choice = choices[next % choices.length] ?? 0;
      next += 1;
      // The less wild, the more often it is the first way.
      return (choice % 12 < wildness ? ways[Math.floor(choice / 12) % ways.length] : ways[0]) ?? '';
    };
    const text = layOut(tree, choose);
    return crlf ? text.replaceAll('\n', '\r\n') : text;
  });

const SPLINTERS = [
  ...'[]{},:-?&*!|>\'"%@`#~\n\t \r.0+=<\\aé\u00a0\u2028\ufeff'.split(''),
  ...[
    ': ',
    '- ',
    ' #',
    '\n  ',
    '\n- ',
    '\n---\n',
    '\n...',
    '? ',
    'a: ',
    '""',
    "''",
    '\r\n',
    '\n\n',
    '    ',
    ',,',
    '::',
  ],
];

/** `text` with something small taken out, put in, or put in the place of something small. */
export function mutationsOf(text: string): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.nat(text.length),
      fc.constantFrom(0, 0, 1, 1, 2, 5),
      fc.oneof(fc.constantFrom(...SPLINTERS), fc.constant('')),
    )
    .map(([at, length, splinter]) => `${text.slice(0, at)}${splinter}${text.slice(at + length)}`);
}

/** Tokens at random: what no layout would think of. */
export const YAML_TOKENS: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'b: ', 'c:', '- ', '\n', '\n  ', '\n    ', ' ', '{', '}', '[', ']', ',', '"d"', ':'),
      fc.constantFrom(...SPLINTERS),
      fc.constantFrom(...SCALARS),
    ),
    { maxLength: 14 },
  )
  .map((tokens) => tokens.join(''));
