import type { FlowKey } from '#core/model/packet/flow-key.ts';
import { flowKey, protocolOfFlow, remoteEndOf } from '#core/model/packet/flow-key.ts';
import type { FlowSockets } from '#core/model/packet/flow-sockets.ts';
import { isOfDatagrams } from '#core/model/policy/protocol-lookup.ts';
import type { Action } from '#core/model/policy/rule.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { forgetFlows, readTrackedFlows, type TrackedFlow, type TrackedIdentity } from './tracked-flows.ts';

/** What decides whether a flow is cut. */
export interface CutRules {
  readonly sockets: FlowSockets;
  readonly isOwn: (address: string) => boolean;
  /** The action of the inbound rules in force. */
  readonly now: (key: FlowKey) => Action;
  /** The actions of the policies since flows were last examined, as far as they are known. */
  readonly before: readonly ((key: FlowKey) => Action)[];
  /**
   * Whether `before` is complete. If not, a TCP flow counts as allowed before, since a listening socket identifies a
   * server's flow; a UDP port may both serve and ask.
   */
  readonly isBeforeKnown: boolean;
  /** Whether any interface allowed a flow whose rules deny it now, even if it is not the one of `now` and `before`. */
  readonly isTakenAwayAnywhere: (key: FlowKey) => boolean;
  /** Lets other work of the process run. */
  readonly breathe: () => Promise<void>;
}

/** Flows that the rules have cut. */
export interface CutFlows {
  readonly cut: readonly FlowKey[];
  /** Those that conntrack has reversed, as if the host had opened them. */
  readonly reversed: readonly TrackedIdentity[];
}

/** How many flows to process between two readings of the clock, and for how long before other work runs. */
const FLOWS_PER_READING = 256;
const MAX_SLICE_MILLISECONDS = 10;

/**
 * Finds live flows that were opened from outside and that the rules deny now: flows that conntrack knows as such, and
 * flows of a server's socket that conntrack has forgotten, or has reversed because the server spoke first, if the rules
 * allowed them before. Other flows are the host's own. Flows for which `wasRevoked` is true were allowed once: while our
 * table was missing, or new and empty, their servers may have spoken first. Throws a NetfilterError.
 */
export async function findCutFlows(
  socket: NetfilterSocket,
  rules: CutRules,
  wasRevoked: (key: FlowKey) => boolean,
): Promise<CutFlows> {
  const { sockets, isOwn, now, before, isBeforeKnown, isTakenAwayAnywhere, breathe } = rules;
  const inbound: FlowKey[] = [];
  const outbound: { readonly key: FlowKey; readonly identity: TrackedIdentity }[] = [];
  const tracked = new Set<FlowKey>();
  await readTrackedFlows(socket, (flow, identify) => {
    const placed = placeOf(flow, rules);
    if (placed === undefined) return;
    const { key, openedBy } = placed;
    tracked.add(key);
    // An ended connection matters only if it still has a socket: then conntrack was deceived.
    if (flow.isEnded && !sockets.connected.has(key)) return;
    if (openedBy === 'other') inbound.push(key);
    else if (sockets.isServed(key) || wasRevoked(key)) outbound.push({ key, identity: identify() });
  });
  const forgotten = [...sockets.connected.keys()].filter(
    (key) => !tracked.has(key) && sockets.isServed(key) && !isOwn(remoteEndOf(key).address),
  );
  const wasLetIn = (key: FlowKey): boolean =>
    wasRevoked(key) ||
    (!isBeforeKnown && !isOfDatagrams(protocolOfFlow(key))) ||
    before.some((judge) => judge(key) === 'allow');
  const isTakenAway = (key: FlowKey): boolean => now(key) === 'deny' && wasLetIn(key);
  const cut: FlowKey[] = [];
  const reversed: TrackedIdentity[] = [];
  await sliced(inbound, breathe, (key) => {
    if (now(key) === 'deny' || isTakenAwayAnywhere(key)) cut.push(key);
  });
  await sliced(forgotten, breathe, (key) => {
    if (isTakenAway(key) || isTakenAwayAnywhere(key)) cut.push(key);
  });
  await sliced(outbound, breathe, ({ key, identity }) => {
    const isDenied = isTakenAway(key);
    if (isDenied || isTakenAwayAnywhere(key)) cut.push(key);
    // Its own interface may still allow the flow.
    if (isDenied) reversed.push(identity);
  });
  return { cut, reversed };
}

/**
 * Makes conntrack forget reversed flows, so that the rules decide on each of their packets: `reversed`, and those of `cut`
 * that the server has opened in the meantime. Call it once the kernel remembers all of them as revoked. Throws a
 * NetfilterError.
 */
export async function forgetReversed(
  socket: NetfilterSocket,
  { cut, reversed }: CutFlows,
  rules: Pick<CutRules, 'sockets' | 'isOwn'>,
): Promise<void> {
  await forgetFlows(socket, reversed);
  if (cut.length === 0) return;
  const wanted = new Set(cut);
  const since: TrackedIdentity[] = [];
  await readTrackedFlows(socket, (flow, identify) => {
    const placed = placeOf(flow, rules);
    if (placed?.openedBy === 'host' && wanted.has(placed.key)) since.push(identify());
  });
  await forgetFlows(socket, since);
}

interface Placed {
  readonly key: FlowKey;
  readonly openedBy: 'host' | 'other';
}

/** The host's flow that a tracked flow is; undefined for one that is forwarded or never leaves the host. */
function placeOf(
  { protocol, opener, called }: TrackedFlow,
  { sockets, isOwn }: Pick<CutRules, 'sockets' | 'isOwn'>,
): Placed | undefined {
  if (isOwn(opener.address))
    return isOwn(called.address) ? undefined : { key: flowKey(protocol, opener, called), openedBy: 'host' };
  const key = flowKey(protocol, called, opener);
  // A host can be reached at addresses that no interface has (routes of type local).
  if (isOwn(called.address) || sockets.connected.has(key)) return { key, openedBy: 'other' };
  const other = flowKey(protocol, opener, called);
  return sockets.connected.has(other) ? { key: other, openedBy: 'host' } : undefined;
}

/** Runs `work` for each item, and lets other work run every few milliseconds. */
async function sliced<Item>(
  items: readonly Item[],
  breathe: () => Promise<void>,
  work: (item: Item) => void,
): Promise<void> {
  let began = performance.now();
  for (const [index, item] of items.entries()) {
    work(item);
    if (index % FLOWS_PER_READING !== 0 || performance.now() - began < MAX_SLICE_MILLISECONDS) continue;
    await breathe();
    began = performance.now();
  }
}
