import type { Report } from '#core/diagnostics/report.ts';
import type { Address, Family } from '#core/model/net/address.ts';
import { formatInterval, intervalOf } from '#core/model/net/interval.ts';
import type { Action, Direction, Remote, Traffic } from '#core/model/policy/rule.ts';
import type { Span } from '#core/model/policy/span.ts';
import { type UnrealKind, unrealKind, unrealRemote } from '#core/model/policy/unreal-address.ts';

/** A rule's remote, and the parts of the rule that decide whether a packet can have it. */
export interface WrittenRemote {
  readonly remote: Remote;
  readonly direction: Direction;
  readonly action: Action;
  readonly traffic: ReadonlyMap<Family, Traffic>;
  readonly span: Span;
}

/**
 * Warns of a remote that no packet has, but not of a denial of loopback, multicast or broadcast sources: such a rule is
 * meant to match nothing.
 */
export function reportUnrealRemote({ remote, direction, action, traffic, span }: WrittenRemote, report: Report): void {
  if (remote.kind !== 'interval') return;
  const { interval } = remote;
  const of = traffic.get(interval.family);
  const kind = of === undefined ? undefined : unrealRemote(interval, direction, of);
  if (kind === undefined || (action === 'deny' && kind !== 'unspecified')) return;
  report({ code: 'unreal-remote', span, ...unrealRemoteText(formatInterval(interval), kind, direction) });
}

/** Message and help for a remote that no packet has. */
function unrealRemoteText(
  text: string,
  kind: UnrealKind,
  direction: Direction,
): { readonly message: string; readonly help: string } {
  const end = direction === 'inbound' ? 'comes from' : 'goes to';
  switch (kind) {
    case 'unspecified':
      return {
        message: `\`${text}\` is one address, and no packet ${end} it`,
        help: `for every address write \`any\` or \`${text}/0\``,
      };
    case 'loopback':
      return {
        message: `no packet that rules see ${end} the loopback address${text.includes('/') ? 'es' : ''} \`${text}\``,
        help: 'loopback is never filtered: take the rule out',
      };
    case 'multicast':
    case 'broadcast':
      return {
        message: `no packet ${end} \`${text}\`: packets go to ${kind} addresses, and come from those of hosts`,
        help: 'name the hosts that send, or `any`',
      };
  }
}

/**
 * Reports an address that no interface can have. IPv6 multicast is only a warning: existing policies list such members,
 * and their meaning is clear, though no packet comes from them.
 */
export function reportUnrealMember(
  address: Address,
  { span, report }: { readonly span: Span; readonly report: Report },
): void {
  const kind = unrealKind(intervalOf(address));
  if (kind === undefined) return;
  const article = kind === 'unspecified' ? 'the' : 'a';
  report({
    code: kind === 'multicast' && address.family === 'ipv6' ? 'multicast-member' : 'bad-address',
    span,
    message: `\`${formatInterval(intervalOf(address))}\` is ${article} ${kind} address, which other hosts never see as that of an interface`,
    help: 'list the addresses that other hosts see, or write `dynamic`',
  });
}
