import { FAMILIES } from '#core/model/net/address.ts';
import { REVOKED_CHAIN } from '#core/model/nft/revoked-flows.ts';
import type { Match, NftChain, NftRule, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { ICMP_ERRORS } from '#core/model/policy/platform.ts';
import { FLOW_PROTOCOLS, ICMP_PROTOCOLS, isOfDatagrams } from '#core/model/policy/protocol-lookup.ts';
import { builtIn } from './built-in-rule.ts';

/** Leads packets of live flows to their chain. One test spares packets of new flows all of it; undecided packets return. */
export function toState(chain: string): NftRule {
  return builtIn([{ kind: 'state', state: 'establishedOrRelated' }], { kind: 'jump', chain }, 'state');
}

/**
 * Replies to a live flow that the host opened pass whatever the inbound rules say. The host gets a copy of what it sends
 * to a broadcast address, which can be the reply to a flow opened from outside: the copy passes, but must not mark its
 * flow as opened by the host.
 */
export function replyOfOutbound(opened: SimpleVerdict): readonly NftRule[] {
  const matches: readonly Match[] = [
    { kind: 'state', state: 'established' },
    { kind: 'flowDirection', direction: 'reply' },
  ];
  return [
    builtIn([...matches, { kind: 'fromAnother' }], opened, 'state:reply'),
    builtIn(matches, { kind: 'accept' }, 'state:reply'),
  ];
}

/** Changes of the outbound rules do not affect live flows that the host opened. */
export function liveOutbound(verdict: SimpleVerdict): NftRule {
  return builtIn(
    [
      { kind: 'state', state: 'established' },
      { kind: 'flowDirection', direction: 'original' },
    ],
    verdict,
    'state:established',
  );
}

/** Replies to flows opened from outside, which the outbound chain leads to the chain of the inbound rules. */
export function replyOfInbound(chain: string): NftRule {
  return builtIn(
    [
      { kind: 'state', state: 'established' },
      { kind: 'flowDirection', direction: 'reply' },
    ],
    { kind: 'jump', chain },
    'state:reply passes if the inbound rules allow its flow now',
  );
}

/**
 * Accepts ICMP errors about tracked flows before any deny rule, for path MTU discovery; and, if the policy trusts
 * helpers, the flows that they announce, which begin as related and continue as established. Other related packets are
 * evaluated as new ones.
 */
export function relatedRules({ platform }: HostPolicy): readonly NftRule[] {
  const errors = ICMP_PROTOCOLS.map((protocol) =>
    builtIn(
      [
        { kind: 'state', state: 'related' },
        { kind: 'icmp', protocol, types: ICMP_ERRORS[protocol], code: 'any' },
      ],
      { kind: 'accept' },
      'state:related',
    ),
  );
  return platform.helpers
    ? [...errors, builtIn([{ kind: 'expected' }], { kind: 'accept' }, 'platform:helpers')]
    : errors;
}

/** Drops what conntrack calls invalid. */
export const INVALID: NftRule = {
  ...builtIn([{ kind: 'state', state: 'invalid' }], { kind: 'drop' }, 'state:invalid'),
  counted: true,
};

/** A packet that would open a flow conntrack does not know may belong to a revoked one; the rules decide on all others. */
export const TO_REVOKED: readonly NftRule[] = [
  // A TCP segment that opens a connection needs no lookup: it belongs to no earlier flow.
  builtIn([{ kind: 'midstream' }], { kind: 'jump', chain: REVOKED_CHAIN }, 'state:revoked'),
  ...FLOW_PROTOCOLS.filter(isOfDatagrams).map((protocol) =>
    builtIn(
      [
        { kind: 'protocol', protocol },
        { kind: 'state', state: 'new' },
      ],
      { kind: 'jump', chain: REVOKED_CHAIN },
      'state:revoked',
    ),
  ),
];

/** The chain that drops packets of revoked flows. */
export const REVOKED: NftChain = {
  name: REVOKED_CHAIN,
  hook: undefined,
  rules: FAMILIES.map((family) => ({
    ...builtIn([{ kind: 'revoked', family }], { kind: 'drop' }, 'state:revoked'),
    counted: true,
  })),
};
