import type { ChainContent, LabelRule } from '#core/model/nft/element-change.ts';
import type { MessageWriter } from '#kernel/netlink/message-writer.ts';
import {
  FLAGS_NEW,
  NF_ACCEPT,
  NFPROTO_INET,
  NFT_CMP_NEQ,
  NFT_CT_LABELS,
  NFT_MSG_DELRULE,
  NFT_MSG_NEWRULE,
  NFT_REG_1,
  NFT_REG_VERDICT,
  NFTA_BITWISE_DREG,
  NFTA_BITWISE_LEN,
  NFTA_BITWISE_MASK,
  NFTA_BITWISE_SREG,
  NFTA_BITWISE_XOR,
  NFTA_CMP_DATA,
  NFTA_CMP_OP,
  NFTA_CMP_SREG,
  NFTA_CT_DREG,
  NFTA_CT_KEY,
  NFTA_CT_SREG,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_EXPR_DATA,
  NFTA_EXPR_NAME,
  NFTA_IMMEDIATE_DATA,
  NFTA_IMMEDIATE_DREG,
  NFTA_LIST_ELEM,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_VERDICT_CODE,
  nftables,
} from './nftables-messages.ts';

// The messages are those that nft 1.0.6 sends (`nft --debug=mnl`), so that nft lists the rules as its own.

/** The length of a conntrack label, XT_CONNLABEL_MAXBIT + 1 bits. */
export const LABEL_BYTES = 16;
const NO_BITS = Buffer.alloc(LABEL_BYTES);

/** Writes that a chain has these rules and no others. Throws a RangeError for bits that no label has, or for no bits. */
export function writeChainContent(writer: MessageWriter, table: string, { chain, rules }: ChainContent): void {
  writer.beginMessage({ type: nftables(NFT_MSG_DELRULE), flags: 0, family: NFPROTO_INET });
  writer.text(NFTA_RULE_TABLE, table);
  writer.text(NFTA_RULE_CHAIN, chain);
  writer.endMessage();
  for (const rule of rules) writeRule(writer, { table, chain, rule, family: NFPROTO_INET });
}

/** A rule and its chain. */
export interface PlacedRule {
  readonly family: number;
  readonly table: string;
  readonly chain: string;
  readonly rule: LabelRule;
}

/** Writes that a rule is appended to a chain. Throws a RangeError for bits that no label has, or for no bits. */
export function writeRule(writer: MessageWriter, { family, table, chain, rule }: PlacedRule): void {
  writer.beginMessage({
    type: nftables(NFT_MSG_NEWRULE),
    flags: FLAGS_NEW.create | FLAGS_NEW.append,
    family,
  });
  writer.text(NFTA_RULE_TABLE, table);
  writer.text(NFTA_RULE_CHAIN, chain);
  const expressions = writer.beginNest(NFTA_RULE_EXPRESSIONS);
  switch (rule.kind) {
    case 'labelled':
      writeExpression(writer, 'ct', () => {
        writer.number(NFTA_CT_KEY, NFT_CT_LABELS);
        writer.number(NFTA_CT_DREG, NFT_REG_1);
      });
      writeExpression(writer, 'bitwise', () => {
        writer.number(NFTA_BITWISE_SREG, NFT_REG_1);
        writer.number(NFTA_BITWISE_DREG, NFT_REG_1);
        writer.number(NFTA_BITWISE_LEN, LABEL_BYTES);
        writeValue(writer, NFTA_BITWISE_MASK, labelOf(rule.bits));
        writeValue(writer, NFTA_BITWISE_XOR, NO_BITS);
      });
      writeExpression(writer, 'cmp', () => {
        writer.number(NFTA_CMP_SREG, NFT_REG_1);
        writer.number(NFTA_CMP_OP, NFT_CMP_NEQ);
        writeValue(writer, NFTA_CMP_DATA, NO_BITS);
      });
      break;
    case 'label':
      writeExpression(writer, 'immediate', () => {
        writer.number(NFTA_IMMEDIATE_DREG, NFT_REG_1);
        writeValue(writer, NFTA_IMMEDIATE_DATA, labelOf([rule.bit]));
      });
      writeExpression(writer, 'ct', () => {
        writer.number(NFTA_CT_KEY, NFT_CT_LABELS);
        writer.number(NFTA_CT_SREG, NFT_REG_1);
      });
      break;
    case 'accept':
      break;
  }
  writeAccept(writer);
  writer.endNest(expressions);
  writer.endMessage();
}

/**
 * A label with these bits set. Its first byte has bits 0 to 7: the kernel reads words in host byte order, and a
 * little-endian word begins with its lowest bits. Throws a RangeError for bits that no label has, or for no bits.
 */
export function labelOf(bits: readonly number[]): Buffer {
  const label = Buffer.alloc(LABEL_BYTES);
  if (bits.length === 0) throw new RangeError('a label of no bits');
  for (const bit of bits) {
    const byte = label[bit >> 3];
    if (byte === undefined || !Number.isInteger(bit)) throw new RangeError(`no label has a bit ${bit}`);
    label[bit >> 3] = byte | (1 << (bit & 7));
  }
  return label;
}

/** Writes an expression of a rule; `writeData` writes its attributes. */
export function writeExpression(writer: MessageWriter, name: string, writeData: () => void): void {
  const element = writer.beginNest(NFTA_LIST_ELEM);
  writer.text(NFTA_EXPR_NAME, name);
  const data = writer.beginNest(NFTA_EXPR_DATA);
  writeData();
  writer.endNest(data);
  writer.endNest(element);
}

function writeValue(writer: MessageWriter, type: number, value: Buffer): void {
  const nest = writer.beginNest(type);
  writer.bytes(NFTA_DATA_VALUE, value);
  writer.endNest(nest);
}

function writeAccept(writer: MessageWriter): void {
  writeExpression(writer, 'immediate', () => {
    writer.number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    const data = writer.beginNest(NFTA_IMMEDIATE_DATA);
    const verdict = writer.beginNest(NFTA_DATA_VERDICT);
    writer.number(NFTA_VERDICT_CODE, NF_ACCEPT);
    writer.endNest(verdict);
    writer.endNest(data);
  });
}
