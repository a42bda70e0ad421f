import { attributeText, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { NFTA_EXPR_DATA, NFTA_EXPR_NAME } from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

/** An expression of a rule, such as `cmp`, `counter` or `nat`, and its attributes. */
export interface RuleExpression {
  readonly name: string;
  readonly data: Buffer;
}

/** The expressions in the value of NFTA_RULE_EXPRESSIONS; those without attributes, such as `notrack`, are left out. */
export function* ruleExpressions(expressions: Buffer): Generator<RuleExpression> {
  for (const { value: expression } of netlinkAttributes(expressions)) {
    let name = '';
    let data: Buffer | undefined;
    for (const { type, value } of netlinkAttributes(expression)) {
      if (type === NFTA_EXPR_NAME) name = attributeText(value);
      else if (type === NFTA_EXPR_DATA) data = value;
    }
    if (data !== undefined) yield { name, data };
  }
}
