import type { LabelRule } from '#core/model/nft/element-change.ts';

/** Renders a rule of a label chain in nft's language. */
export function renderLabelRule(rule: LabelRule): string {
  switch (rule.kind) {
    case 'labelled':
      return `ct label ${rule.bits.join(',')} ${rule.verdict}`;
    case 'label':
      return `ct label set ${rule.bit} ${rule.verdict}`;
    case 'accept':
      return 'accept';
  }
}
