import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { didYouMean } from '#core/diagnostics/did-you-mean.ts';

const KEYS = ['action', 'priority', 'type', 'protocol', 'ports', 'icmp', 'source', 'description', 'enabled'];

describe('didYouMean', () => {
  test.each<readonly [string, readonly string[], string | undefined]>([
    ['prots', KEYS, 'ports'],
    ['port', KEYS, 'ports'],
    ['protcol', KEYS, 'protocol'],
    ['Source', KEYS, 'source'],
    ['SOURCE', KEYS, 'source'],
    ['discription', KEYS, 'description'],
    ['cimp', KEYS, 'icmp'],
    ['foo', KEYS, undefined],
    ['x', ['y'], undefined],
    ['', KEYS, undefined],
    ['ports', ['ports'], undefined],
    ['a'.repeat(65), ['a'.repeat(64)], undefined],
    ['sys-webserver', ['default', 'Sys-WebServer', 'Sys-FullAccess'], 'Sys-WebServer'],
    // Equally near: case decides, then the code points.
    ['WEB1', ['web2', 'WEB2'], 'WEB2'],
    ['web1', ['web3', 'web2'], 'web2'],
    ['abcd', ['bacd', 'abdc'], 'abdc'],
  ])('%j', (word, candidates, expected) => expect(didYouMean(word, candidates)).toBe(expected));

  test('the order of the candidates is nothing to it', () => {
    const words = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'c'), maxLength: 6 }), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'c'), maxLength: 6 }), words, (word, candidates) => {
        expect(didYouMean(word, candidates.toReversed())).toBe(didYouMean(word, candidates));
      }),
    );
  });

  test('one slip in a word of three or more is found', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), minLength: 3, maxLength: 20 });
    fc.assert(
      fc.property(word, fc.nat(), fc.constantFrom('drop', 'swap', 'double', 'replace'), (right, at, slip) => {
        const i = at % (right.length - 1);
        const [before, one, two, after] = [right.slice(0, i), right.charAt(i), right.charAt(i + 1), right.slice(i + 2)];
        const middle = { drop: two, swap: two + one, double: one + one + two, replace: `x${two}` }[slip];
        const wrong = before + middle + after;
        expect(didYouMean(wrong, [right])).toBe(wrong === right ? undefined : right);
      }),
    );
  });
});
