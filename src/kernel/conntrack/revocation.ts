import { MAX_REVOKED_FLOWS, REVOKED_SECONDS } from '#core/model/nft/revoked-flows.ts';
import { type FlowKey, familyOfFlow, localEndOf, protocolOfFlow, remoteEndOf } from '#core/model/packet/flow-key.ts';
import type { FlowSockets } from '#core/model/packet/flow-sockets.ts';
import { isOfDatagrams } from '#core/model/policy/protocol-lookup.ts';
import type { FlowProtocol } from '#core/model/policy/protocols.ts';
import { NftError } from '#kernel/errors.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { REVOKED_PORTION, type RevokedChange, readRevoked, writeRevoked } from '#kernel/nftables/revoked-elements.ts';
import { type CutRules, findCutFlows, forgetReversed } from './cut-flows.ts';
import { type SeededFlow, seedFlows } from './tracked-flows.ts';

interface SeedLimits {
  readonly seconds: Readonly<Record<FlowProtocol, number>>;
  readonly room: number;
}

/** What revocation works with. */
export interface RevocationOptions {
  /** The family and the name of our table. */
  readonly table: string;
  readonly readSockets: () => Promise<FlowSockets>;
  /** How long conntrack remembers idle flows, in seconds, and how many more it has room for. */
  readonly readLimits: () => Promise<SeedLimits>;
  /** Runs one transaction on our table while nothing else changes it. */
  readonly amend: (write: () => Promise<void>) => Promise<void>;
}

/** What the rules say about flows now, and what they said before. */
export interface FlowRules extends Omit<CutRules, 'sockets' | 'breathe'> {
  /** Whether the rules allow a revoked flow again. */
  readonly isLetInAgain: (key: FlowKey) => boolean;
}

/** The result of examining the flows. */
export interface RevocationOutcome {
  /** How many flows were revoked, and how many the rules allow again. */
  readonly revoked: number;
  readonly restored: number;
  /** How many revoked flows could not be remembered for want of room. */
  readonly leftOut: number;
}

/** Keeps revoked flows cut, and keeps conntrack informed of who opened live flows. */
export interface Revocation {
  /** Tells conntrack of the live flows of sockets, before and after rules decide on what it tracks. Returns how many were new. Throws an NftError. */
  seed(isOwn: (address: string) => boolean): Promise<number>;
  /** Revokes the flows that the rules deny now, and restores those that they allow again. Throws an NftError. */
  enforce(rules: FlowRules): Promise<RevocationOutcome>;
  /** Call this when our table was made again: the revoked flows are no longer in it. */
  refill(): void;
  /** Renews revoked flows that still have a socket; others expire. Throws an NftError. */
  renew(): Promise<void>;
  /** Forgets all revoked flows; call this when our table was removed. */
  forget(): void;
  /** How many revoked flows are remembered. */
  count(): number;
  close(): void;
}

const REVOKED_MILLISECONDS = REVOKED_SECONDS * 1_000;

/** Creates a revocation, which takes over the flows that the kernel remembers as revoked. */
export function createRevocation({ table, readSockets, readLimits, amend }: RevocationOptions): Revocation {
  const socket = new NetfilterSocket();
  /** When the kernel forgets each flow, by this process's clock. */
  const remembered = new Map<FlowKey, number>();
  let isInKernel = false;

  const write = async (change: RevokedChange): Promise<void> => {
    await amend(() => writeRevoked(socket, table, change));
    const until = performance.now() + REVOKED_MILLISECONDS;
    for (const key of change.removed) remembered.delete(key);
    for (const key of change.added) remembered.set(key, until);
  };

  /** Writes in portions. If an element has expired, reads what the kernel still has, and continues from there. */
  const writeAll = async (removed: readonly FlowKey[], added: readonly FlowKey[]): Promise<void> => {
    for (const portion of portionsOf(removed, added)) {
      try {
        await write(portion);
      } catch (error) {
        if (!(error instanceof NftError && error.failure === 'refused')) throw error;
        const there = new Set(await readRevoked(socket, table));
        await write({ removed: portion.removed.filter((key) => there.has(key)), added: portion.added });
      }
    }
  };

  const fill = async (): Promise<void> => {
    if (isInKernel) return;
    const there = new Set(await readRevoked(socket, table));
    const now = performance.now();
    const lost = [...remembered].filter(([key, until]) => !there.has(key) && until > now).map(([key]) => key);
    // The time left of an earlier process's elements is not read: they are renewed, or gone within a day.
    for (const key of there) if (!remembered.has(key)) remembered.set(key, now + REVOKED_MILLISECONDS);
    await writeAll([], lost);
    isInKernel = true;
  };

  return {
    async seed(isOwn) {
      const [sockets, { seconds, room }] = [await readSockets(), await readLimits()];
      // A full conntrack drops every new flow, so half of its room is left for new ones.
      return seedFlows(socket, seedsOf(sockets, isOwn, seconds).slice(0, room >> 1));
    },
    async enforce(outside) {
      await fill();
      const rules: CutRules = { ...outside, sockets: await readSockets(), breathe };
      const found = await findCutFlows(socket, rules, (key) => remembered.has(key));
      const allowed: FlowKey[] = [];
      for (const key of remembered.keys()) if (outside.isLetInAgain(key)) allowed.push(key);
      const isNew = found.cut.filter((key) => !remembered.has(key));
      const { taken, leftOut } = withinRoom(isNew, remembered);
      await writeAll([], taken);
      const denied = taken.filter((key) => rules.now(key) === 'deny');
      await forgetReversed(socket, { ...found, cut: denied }, rules);
      await writeAll(allowed, []);
      return { revoked: isNew.length, restored: allowed.length, leftOut };
    },
    refill() {
      isInKernel = false;
    },
    async renew() {
      if (remembered.size === 0) return;
      const sockets = await readSockets();
      const now = performance.now();
      const alive: FlowKey[] = [];
      for (const [key, until] of remembered) {
        if (sockets.connected.has(key) || (isOfDatagrams(protocolOfFlow(key)) && sockets.isServed(key)))
          alive.push(key);
        else if (until <= now) remembered.delete(key);
      }
      await fill();
      // Removed and added in one transaction: kernels before 6.12 do not extend the timeout of an existing element.
      await writeAll(alive, alive);
    },
    forget() {
      remembered.clear();
      isInKernel = false;
    },
    count: () => remembered.size,
    close: () => socket.close(),
  };
}

/** The flows to tell conntrack of, from the sockets that talk to another host. */
function seedsOf(
  sockets: FlowSockets,
  isOwn: (address: string) => boolean,
  lifetimes: Readonly<Record<FlowProtocol, number>>,
): readonly SeededFlow[] {
  return [...sockets.connected].flatMap(([key, { isTalking }]): readonly SeededFlow[] => {
    const [local, remote, protocol] = [localEndOf(key), remoteEndOf(key), protocolOfFlow(key)];
    if (!isTalking || isOwn(remote.address)) return [];
    const [opener, called] = sockets.isServed(key) ? [remote, local] : [local, remote];
    return [{ protocol, opener, called, seconds: lifetimes[protocol] }];
  });
}

function* portionsOf(removed: readonly FlowKey[], added: readonly FlowKey[]): Generator<RevokedChange> {
  for (let next = 0; next < Math.max(removed.length, added.length); next += REVOKED_PORTION) {
    const end = next + REVOKED_PORTION;
    yield { removed: removed.slice(next, end), added: added.slice(next, end) };
  }
}

/** As many flows as there is room for beside those remembered already. */
function withinRoom(
  flows: readonly FlowKey[],
  remembered: ReadonlyMap<FlowKey, number>,
): { readonly taken: readonly FlowKey[]; readonly leftOut: number } {
  const room = { ipv4: MAX_REVOKED_FLOWS, ipv6: MAX_REVOKED_FLOWS };
  for (const key of remembered.keys()) room[familyOfFlow(key)] -= 1;
  const taken = flows.filter((key) => {
    const family = familyOfFlow(key);
    room[family] -= 1;
    return room[family] >= 0;
  });
  return { taken, leftOut: flows.length - taken.length };
}

async function breathe(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
