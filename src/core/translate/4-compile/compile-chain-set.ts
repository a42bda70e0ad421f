import { admitChain, OPENED_CHAIN } from '#core/model/nft/label-chains.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import type { NftChain, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { builtIn } from './built-in-rule.ts';
import { compileRuleList, prepareRules, type Shape } from './compile-rule-list.ts';
import { ruleChain, TO_VRF, toLive } from './dispatch.ts';
import { type Digest, ruleCounters } from './logging-and-counters.ts';
import { ownAddressRules } from './own-address.ts';
import { platformRules } from './platform-rules.ts';
import type { RuleChainSet } from './rule-chain-sets.ts';
import type { CompiledRules } from './segment-chains.ts';
import type { SetRegistry } from './set-registry.ts';
import {
  INVALID,
  liveOutbound,
  relatedRules,
  replyOfInbound,
  replyOfOutbound,
  TO_REVOKED,
  toState,
} from './state-rules.ts';

/** What all chain sets of a ruleset are compiled with. */
export interface ChainSetContext {
  readonly policy: HostPolicy;
  readonly sets: SetRegistry;
  readonly shape: Shape;
  readonly digest: Digest;
  /** Whether flows are labelled. */
  readonly labels: boolean;
  /** Whether packets of labelled flows pass before they reach any chain set. */
  readonly liveAhead: boolean;
}

/**
 * Compiles the chains of a chain set, one for each direction. Each decides on state, platform traffic, invalid packets and
 * rules, in this order, and ends in the default.
 */
export function compileChainSet(chainSet: RuleChainSet, context: ChainSetContext): Omit<CompiledRules, 'rules'> {
  const { policy, sets, shape, digest, labels, liveAhead } = context;
  const { key } = chainSet;
  const names = {
    in: ruleChain('inbound', key),
    out: ruleChain('outbound', key),
    reply: objectName('reply', key),
    stateIn: objectName('state', 'in', key),
    stateOut: objectName('state', 'out', key),
  };
  const invalid = chainSet.invalid === 'drop' ? [INVALID] : [];
  const incoming = prepareRules([...policy.management.inbound, ...chainSet.inbound], policy, shape);
  const outgoing = prepareRules([...policy.management.outbound, ...chainSet.outbound], policy, shape);
  const allowBy = (chain: string): SimpleVerdict => (labels ? { kind: 'goto', chain } : { kind: 'accept' });
  const admit = allowBy(admitChain(key));
  const opened = allowBy(OPENED_CHAIN);
  const accept: SimpleVerdict = { kind: 'accept' };
  const named = { accounts: policy.accounts, chainSet: key, digest };
  const ins = ruleCounters({ ...named, direction: 'inbound', rules: incoming.rules, allow: admit });
  const outs = ruleCounters({ ...named, direction: 'outbound', rules: outgoing.rules, allow: accept });
  const forInbound = { sets, counters: ins, allow: admit };
  const inbound = compileRuleList(incoming, { role: 'inbound', name: names.in, ...forInbound });
  const reply = compileRuleList(incoming, { role: 'replyToInbound', name: names.reply, ...forInbound });
  const outbound = compileRuleList(outgoing, {
    role: 'outbound',
    name: names.out,
    sets,
    counters: outs,
    allow: accept,
  });
  const live = !labels || liveAhead ? [] : [toLive(key)];
  const chains: readonly NftChain[] = [
    ...inbound.chains,
    ...reply.chains,
    ...outbound.chains,
    ...ins.chains(),
    ...outs.chains(),
    { name: names.stateIn, hook: undefined, rules: [...replyOfOutbound(opened), ...relatedRules(policy)] },
    {
      name: names.in,
      hook: undefined,
      rules: [
        ...live,
        toState(names.stateIn),
        ...platformRules(policy, 'inbound'),
        ...ownAddressRules(policy),
        ...invalid,
        ...inbound.rules,
        builtIn([], ins.otherwise, 'default'),
      ],
    },
    { name: names.reply, hook: undefined, rules: reply.rules },
    {
      name: names.stateOut,
      hook: undefined,
      rules: [liveOutbound(opened), ...relatedRules(policy), replyOfInbound(names.reply)],
    },
    {
      name: names.out,
      hook: undefined,
      rules: [
        ...live,
        toState(names.stateOut),
        TO_VRF,
        ...platformRules(policy, 'outbound'),
        ...invalid,
        ...TO_REVOKED,
        ...outbound.rules,
        builtIn([], outs.otherwise, 'default'),
      ],
    },
  ];
  return { chains, maps: [...inbound.maps, ...reply.maps, ...outbound.maps] };
}
