import type { FlowKey } from '#core/model/packet/flow-key.ts';
import { flowKey, protocolOfFlow, remoteEndOf } from '#core/model/packet/flow-key.ts';
import type { FlowSockets } from '#core/model/packet/flow-sockets.ts';
import type { Action } from '#core/model/policy/rule.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { forgetFlows, readTrackedFlows, type TrackedFlow, type TrackedIdentity } from './tracked-flows.ts';
import { isOfDatagrams } from '#core/model/policy/protocol-lookup.ts';

/** What flows are judged by. */
export interface CutRules {
  readonly sockets: FlowSockets;
  readonly isOwn: (address: string) => boolean;
  /** What the inbound rules in force say. */
  readonly now: (key: FlowKey) => Action;
  /** What they said before, each of the policies since flows were looked at last, as far as they are known. */
  readonly before: readonly ((key: FlowKey) => Action)[];
  /**
   * Whether these are all of them. If not, TCP is taken for let in, since a socket that listens tells a server's flow; a
   * port of UDP may serve and ask.
   */
  readonly isBeforeKnown: boolean;
  /** Whether a flow was let in by some interface whose rules deny it now, be it another than `now` and `before` judge it by. */
  readonly isTakenAwayAnywhere: (key: FlowKey) => boolean;
  /** Lets other work of the process go on. */
  readonly breathe: () => Promise<void>;
}

/** Flows that the rules have cut. */
export interface CutFlows {
  readonly cut: readonly FlowKey[];
  /** Those of them that conntrack has the other way round, as if the host had opened them. */
  readonly reversed: readonly TrackedIdentity[];
}

/** So many flows are judged between two looks at the clock. */
const FLOWS_A_LOOK = 256;
const LOOK_MILLISECONDS = 10;

/**
 * The live flows that were opened from outside and that the rules deny now: those that conntrack knows as that, and those
 * of a server's socket that it has forgotten, or knows the other way round since the server spoke first, if the rules let
 * them in before. Others are the host's own. Flows that `wasRevoked` names were let in once: while our table was gone, or
 * new and empty, their servers may have spoken first. Throws a NetfilterError.
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
    // Of a connection that has ended nothing is left but a socket, if conntrack was deceived.
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
    // It may be a flow that its own interface still lets in.
    if (isDenied) reversed.push(identity);
  });
  return { cut, reversed };
}

/**
 * Has conntrack forget the flows that it knows the other way round, so that each packet of theirs is judged as new:
 * `reversed`, and those among `cut` that the server has opened meanwhile. Call it once the kernel remembers all of them
 * as revoked. Throws a NetfilterError.
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

/** Which flow of the host's it is; undefined for one that passes through, or never leaves the host. */
function placeOf(
  { protocol, opener, called }: TrackedFlow,
  { sockets, isOwn }: Pick<CutRules, 'sockets' | 'isOwn'>,
): Placed | undefined {
  if (isOwn(opener.address))
    return isOwn(called.address) ? undefined : { key: flowKey(protocol, opener, called), openedBy: 'host' };
  const key = flowKey(protocol, called, opener);
  // A host can be called at addresses that none of its interfaces holds (routes of type local).
  if (isOwn(called.address) || sockets.connected.has(key)) return { key, openedBy: 'other' };
  const other = flowKey(protocol, opener, called);
  return sockets.connected.has(other) ? { key: other, openedBy: 'host' } : undefined;
}

/** Does `work` for each, and lets other work go on every few milliseconds. */
async function sliced<Item>(
  items: readonly Item[],
  breathe: () => Promise<void>,
  work: (item: Item) => void,
): Promise<void> {
  let began = performance.now();
  for (const [index, item] of items.entries()) {
    work(item);
    if (index % FLOWS_A_LOOK !== 0 || performance.now() - began < LOOK_MILLISECONDS) continue;
    await breathe();
    began = performance.now();
  }
}
