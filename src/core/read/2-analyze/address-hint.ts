import { quote } from '#core/diagnostics/quote.ts';

/** Forms that clouds and other firewalls use, and what a policy has for them. */
const PATTERNS: readonly (readonly [pattern: RegExp, hint: (match: RegExpExecArray) => string | undefined])[] = [
  [/^sg-[0-9a-f]{3,}$/i, () => 'this is a cloud id, and a policy uses names: write `{ securityGroup: NAME }`'],
  [
    /^pl-[0-9a-f]{6,}$/i,
    () => 'this is a cloud id: list the addresses in an address group, and write `{ addressGroup: NAME }`',
  ],
  [/[“”„‟«»‘’‚]/, () => 'YAML accepts only straight quotes: write `"`, or none'],
  [/^localhost$/i, () => 'loopback is never filtered, so no rule needs it'],
  [
    /^(?:!|not )/i,
    () =>
      'negation is not supported: write a rule that denies these, and one with a higher `priority` number that allows the rest',
  ],
  [/^\[([0-9a-f:.]+)\](\/[0-9]+)?$/i, ([, address = '', length = '']) => write(`${address}${length}`)],
  [/^([0-9.]+)(?:\/| +(?=0\.|255\.))([0-9]+(?:\.[0-9]+){3})$/, ([, address = '', mask = '']) => ofMask(address, mask)],
  [
    /^([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})\.?\/([0-9]{1,2})$/,
    ([, start = '', length = '']) => write(`${filled(start)}/${length}`),
  ],
  [/^([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})(?:\.[*x])+$/i, ([, start = '']) => write(networkOf(start))],
  [
    /^([0-9]{1,3}(?:\.[0-9]{1,3}){1,2})\.?$/,
    ([, start = '']) => `an IPv4 address has four numbers: ${write(networkOf(start))} for every address that begins so`,
  ],
  [
    /^([0-9.]+|[0-9a-f:]*::?[0-9a-f:]*)\/$/i,
    ([, address = '']) => `write the prefix length behind the \`/\`, or ${quote(address)} for the one address`,
  ],
  [/^\/[0-9]+$/, () => 'write the address before the `/`, such as `192.0.2.0/24`'],
  [
    /^([0-9]+\.[0-9]+\.[0-9]+\.)([0-9]+) ?- ?([0-9]{1,3})$/,
    ([, start = '', from = '', to = '']) =>
      write(`${start}${lower(from, to)}-${start}${lower(from, to) === from ? to : from}`),
  ],
  [
    /^([0-9]+(?:\.[0-9]+){3}):[0-9]+$/,
    ([, address = '']) => `${write(address)}: ports have a key of their own, \`ports\``,
  ],
  [/^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i, () => 'it is a MAC address, and rules match IP addresses'],
  [
    /^0[0-9]*\.|\.0[0-9]/,
    (match) =>
      /^[0-9]+(?:\.[0-9]+){3}$/.test(match.input)
        ? `${write(decimal(match.input))} if the numbers are decimal: they have no leading zeros`
        : undefined,
  ],
  [/^[0-9]+(?:\.[0-9]+){3}$/, () => 'each of the four numbers must be 0 to 255'],
  [/^[0-9]+(?:\.[0-9]+){4,}/, () => 'an IPv4 address has four numbers'],
  [/^(?=.*[.:])[0-9a-f.:/"']+(?:[,; ]+[0-9a-f.:/"']+)+$/i, () => SEVERAL],
  [/^\s+\S.*$|^\S.*\s+$/, ({ input }) => `leave the spaces out: ${quote(input.trim())}`],
];

const SEVERAL = 'an entry is one address: write a rule for each, or an address group that lists them';

/** Words for every address. */
const EVERYONE = /^(?:any|all|\*|anywhere|anyone|everyone|everybody|everything|internet|world|public)$/i;

/** Every address of the one family and of the other, in one text. */
const BOTH_FAMILIES = /^(?:0\.0\.0\.0\/0[,; ]+::\/0|::\/0[,; ]+0\.0\.0\.0\/0)$/;

/** What to write instead of `text`, if clouds or other firewalls use it for one or more addresses. */
export function addressHint(text: string): string | undefined {
  for (const [pattern, hint] of PATTERNS) {
    const match = pattern.exec(text);
    const found = match === null ? undefined : hint(match);
    if (found !== undefined) return found;
  }
  return EVERYONE.test(text) ? 'for every address write `0.0.0.0/0` and `::/0`' : undefined;
}

/** The remote that `text` was meant to be, as a policy spells it. */
export function remoteWord(text: string): 'any' | 'self' | undefined {
  if (EVERYONE.test(text.replace(/\/0$/, '')) || BOTH_FAMILIES.test(text)) return 'any';
  return text.toLowerCase() === 'self' ? 'self' : undefined;
}

/** The lower of two numbers. */
function lower(one: string, other: string): string {
  return Number(one) <= Number(other) ? one : other;
}

function write(text: string): string {
  return `write ${quote(text)}`;
}

function decimal(address: string): string {
  return address.replace(/(^|\.)0+(?=[0-9])/g, '$1');
}

/** The beginning of an address with zeros for the rest. */
function filled(start: string): string {
  return [...start.split('.'), '0', '0', '0'].slice(0, 4).join('.');
}

function networkOf(start: string): string {
  return `${filled(start)}/${8 * start.split('.').length}`;
}

/** A hint with the prefix length of a dotted mask, or of a router's inverse mask. */
function ofMask(address: string, mask: string): string | undefined {
  const bytes = mask.split('.').map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const match = /^(1*)0*$/.exec(bits) ?? /^(0*)1*$/.exec(bits);
  return match === null
    ? 'write a prefix length: this mask has gaps, which no network has'
    : write(`${filled(address)}/${match[1]?.length ?? 0}`);
}
