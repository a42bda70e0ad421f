import { describe, expect, test } from 'vitest';
import type { Element, ElementTransaction, LabelRule } from '#core/model/nft/element-change.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { applyElements, fitsTransaction } from '#kernel/nftables/element-change.ts';
import { writeChainContent } from '#kernel/nftables/encode-rules.ts';

/** Netlink's header and netfilter's are 20 bytes. */
function attributesOf(messages: Buffer): string[] {
  const attributes: string[] = [];
  for (let at = 0; at < messages.length; at += messages.readUInt32LE(at)) {
    attributes.push(messages.subarray(at + 20, at + messages.readUInt32LE(at)).toString('hex'));
  }
  return attributes;
}

const TABLE_AND_CHAIN = '0e00010073656367726f7570640000000b0002006a75646765640000';
const ACCEPT = '300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000001';

describe('rules are the bytes that nft 1.0.6 sends', () => {
  // Recorded by `nft --debug=mnl`.
  const cases: readonly [text: string, rule: LabelRule, expressions: string][] = [
    [
      'ct label 5,127 accept',
      { kind: 'labelled', bits: [5, 127], verdict: 'accept' },
      'e8000480' +
        '20000180070001006374000014000280080002000000000d0800010000000001' +
        '5c0001800c00010062697477697365004c0002800800010000000001080002000000000108000300000000101800048014000100' +
        '200000000000000000000000000000801800058014000100' +
        '00000000000000000000000000000000' +
        '3800018008000100636d70002c000280080001000000000108000200000000011800038014000100' +
        '00000000000000000000000000000000',
    ],
    [
      'ct label set 5 accept',
      { kind: 'label', bit: 5, verdict: 'accept' },
      '8c000480' +
        '380001800e000100696d6d656469617465000000240002800800010000000001' +
        '1800028014000100' +
        '20000000000000000000000000000000' +
        '20000180070001006374000014000280080002000000000d0800040000000001',
    ],
  ];

  test.each(cases)('%s', (_text, rule, expressions) => {
    const writer = new MessageWriter();
    writeChainContent(writer, 'secgroupd', { chain: 'judged', rules: [rule] });
    expect(attributesOf(writer.messages)).toEqual([TABLE_AND_CHAIN, TABLE_AND_CHAIN + expressions + ACCEPT]);
  });

  test.each([[[]], [[128]], [[-1]], [[0.5]]])('no label has the bits %j', (bits) => {
    const content = { chain: 'judged', rules: [{ kind: 'labelled', bits, verdict: 'accept' }] } as const;
    expect(() => writeChainContent(new MessageWriter(), 'secgroupd', content)).toThrow(RangeError);
  });
});

describe('what one transaction holds', () => {
  const cases: readonly [what: string, change: ElementTransaction, fits: boolean][] = [
    ['nothing', transaction({}), true],
    ['15,000 hosts', transaction({ added: hosts(15_000) }), true],
    ['a million hosts', transaction({ added: hosts(1_000_000) }), false],
    ['a host of 200 sets each', transaction({ sets: 200, added: hosts(1) }), true],
    ['a host of 400 sets each', transaction({ sets: 400, added: hosts(1) }), false],
  ];

  test.each(cases)('%s', (_what, change, fits) => {
    expect(fitsTransaction(change)).toBe(fits);
  });

  test.each([
    ['what does not fit', transaction({ added: hosts(1_000_000) })],
    ['a range in a set of single addresses', transaction({ added: [range(1n, 2n)] })],
    [
      'a comment that nft would not take',
      { ...transaction({}), applied: { set: 'applied', comment: 'x'.repeat(128) } },
    ],
    ['another family of tables', { ...transaction({}), table: 'ip secgroupd' }],
  ])('%s is not tried', async (_what, change) => {
    await expect(applyElements(new NetfilterSocket(), change)).rejects.toThrow(RangeError);
  });

  test('nothing to do is done without a socket', async () => {
    await applyElements(new NetfilterSocket(), transaction({ sets: 3 }));
  });
});

function transaction({ sets = 1, added = [] }: { sets?: number; added?: readonly Element[] }): ElementTransaction {
  const change = { set: 'hosts.g1', key: 'ipv4', interval: false, removed: [], added } as const;
  return {
    table: 'inet secgroupd',
    changes: Array.from({ length: sets }, () => change),
    rules: [],
    applied: undefined,
  };
}

function hosts(count: number): readonly Element[] {
  return Array.from({ length: count }, (_, i) => range(BigInt(i), BigInt(i)));
}

function range(from: bigint, to: bigint): Element {
  return { interval: { family: 'ipv4', from, to }, verdict: undefined };
}
