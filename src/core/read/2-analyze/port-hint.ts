import { servicePort } from './service-ports.ts';

const MAX_PORT = 65_535;

/** Other ways to write ports, and what a policy writes. */
const PATTERNS: readonly (readonly [pattern: RegExp, hint: (match: RegExpExecArray) => string])[] = [
  [
    /^([0-9]+)\s*(?::|\.\.+|–|—|\bto\b)\s*([0-9]+)$/,
    ([, from, to]) => `write \`${from === to ? from : `${from}-${to}`}\``,
  ],
  [/^[0-9]+(?:_[0-9]+)+$/, ([text]) => `write \`${text.replaceAll('_', '')}\``],
  [
    /^([0-9]+(?:-[0-9]+)?)\/([a-z]+)$/i,
    ([, port, protocol = '']) =>
      `write \`${port}\`: the protocol has a key of its own, \`protocol: ${protocol.toLowerCase()}\``,
  ],
  [/^(?:any|all|\*)$/i, () => 'leave `ports` out to mean all ports'],
  [/^([0-9]+)\s*[-:]$/, ([, from]) => `write \`${from}-${MAX_PORT}\``],
  [/^[-:]\s*([0-9]+)$/, ([, to]) => `write \`1-${to}\``],
  [
    /^>=?\s*([0-9]+)$/,
    ({ 0: text, 1: from }) => `write \`${Number(from) + (text.includes('=') ? 0 : 1)}-${MAX_PORT}\``,
  ],
  [/^<=?\s*([0-9]+)$/, ({ 0: text, 1: to }) => `write \`1-${Number(to) - (text.includes('=') ? 0 : 1)}\``],
  [/^[0-9]+(?:-[0-9]+)?(?:[\s;|]+[0-9]+(?:-[0-9]+)?)+$/, ([text]) => `write \`"${text.split(/[\s;|]+/).join(',')}"\``],
  [/^!/, () => 'negation is not supported: write the ranges below and above'],
];

/** What to write instead of a text that is not a port. */
export function portHint(text: string): string {
  for (const [pattern, hint] of PATTERNS) {
    const match = pattern.exec(text);
    if (match !== null) return hint(match);
  }
  const port = servicePort(text);
  if (port !== undefined) return `write the number: \`${port}\``;
  const numbers = 'a number, a range `8000-8999`, or several with commas';
  return /^[a-z][a-z0-9-]*$/i.test(text) ? `service names are not supported: write ${numbers}` : `write ${numbers}`;
}
