import type { HitCount, PlatformHits, RuleHits } from '#api/rule-hits.ts';
import { reportRule } from '#api/rule-report.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import { compareSpans } from '#core/model/policy/span.ts';
import type { Count } from '#kernel/nftables/rule-counters.ts';
import { chainsOf } from './counting-chains.ts';

/** The hits of each rule of a policy, from the counts of its chains by their names in the ruleset. */
export function ruleHits(policy: HostPolicy, counts: ReadonlyMap<string, Count>): RuleHits {
  const rules = new Map<RuleOrigin, { readonly rule: Rule; readonly count: Count }>();
  const defaults: RuleHits['defaults'][number][] = [];
  const platform: PlatformHits[] = [];
  for (const [name, chain] of chainsOf(policy)) {
    const count = counts.get(name) ?? ZERO;
    switch (chain.kind) {
      case 'default':
        defaults.push({ direction: chain.direction, interfaces: chain.patterns, ...hitCount(count) });
        break;
      case 'platform':
        platform.push({ name: chain.name, direction: chain.direction, ...hitCount(count) });
        break;
      case 'rule': {
        const { rule } = chain;
        const others = rules.get(rule.origin)?.count ?? ZERO;
        rules.set(rule.origin, { rule, count: sum(others, count) });
      }
    }
  }
  const ordered = [...rules.values()].toSorted(({ rule: a }, { rule: b }) => inReadingOrder(a.origin, b.origin));
  return {
    counters: [...chainsOf(policy).values()].every((chain) => chain.kind !== 'rule' || chain.isCounted),
    rules: ordered.map(({ rule, count }) => ({ ...reportRule(rule), ...hitCount(count) })),
    platform,
    defaults,
  };
}

const ZERO: Count = { packets: 0n, bytes: 0n };

function sum(a: Count, b: Count): Count {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes };
}

function hitCount({ packets, bytes }: Count): HitCount {
  return { packets: Number(packets), bytes: Number(bytes) };
}

function inReadingOrder({ span: a, index: i }: RuleOrigin, { span: b, index: j }: RuleOrigin): number {
  return compareSpans(a, b) || i - j;
}
