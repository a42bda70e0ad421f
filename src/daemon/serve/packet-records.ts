import type { Logger } from 'pino';
import { TABLE, TABLE_NAMES } from '#core/translate/5-render/names.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { LOG_GROUP } from '#core/model/nft/packet-log.ts';
import type { LoggedPacket } from '#core/model/packet/logged-packet.ts';
import { describeLogEntry } from '#api/log-entry-text.ts';
import type { LogEntry, Stats } from '#core/model/packet/packet-account.ts';
import { openPacketLog, type PacketLog } from '#kernel/nflog/packet-log.ts';
import { type Count, readRuleCounters } from '#kernel/nftables/rule-counters.ts';
import { logEntry, statsOf } from './accounts.ts';
import type { Enforcement } from '#daemon/reconcile/enforcement.ts';

/** What rules have counted and logged. */
export interface PacketRecords {
  /** Undefined where nobody knows which rules count. Throws a NetfilterError. */
  stats(): Promise<Stats | undefined>;
  /** The newest, oldest first. */
  log(): readonly LogEntry[];
  /** Calls for each packet that is logged from now on; the result ends that. */
  follow(onEntry: (entry: LogEntry) => void): () => void;
  /** Tells of a round: packets that were logged before it were judged by the policy before. */
  onRound(known: Enforcement): void;
  /** Why nothing is logged; undefined where it is. */
  trouble(): string | undefined;
  close(): void;
}

/** So many are kept to be asked for; the journal has all. */
const MOST_KEPT = 1_000;

const REOPEN_MILLISECONDS = 10_000;

/** Reads what rules log, from now on. */
export function createPacketRecords(log: Logger): PacketRecords {
  const kept: LogEntry[] = [];
  const followers = new Set<(entry: LogEntry) => void>();
  let policies: readonly HostPolicy[] = [];
  let known: Enforcement | undefined;
  let reader: PacketLog | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let trouble: string | undefined;

  const onPacket = (packet: LoggedPacket): void => {
    const entry = logEntry(packet, { policies, host: known?.host, now: new Date() });
    if (entry === undefined) return;
    kept.push(entry);
    if (kept.length > MOST_KEPT) kept.shift();
    log.info({ packet: entry }, describeLogEntry(entry));
    for (const follower of followers) follower(entry);
  };
  const reopenLater = (error: unknown): void => {
    if (trouble === undefined) log.warn({ err: error }, 'packets that rules log cannot be read');
    trouble = error instanceof Error ? error.message : String(error);
    reader = undefined;
    if (!isClosed) timer = setTimeout(open, REOPEN_MILLISECONDS).unref();
  };
  const open = (): void => {
    openPacketLog(LOG_GROUP, { onPacket, onError: reopenLater }).then((opened) => {
      trouble = undefined;
      if (isClosed) opened.close();
      else reader = opened;
    }, reopenLater);
  };
  open();

  return {
    async stats() {
      const policy = known?.hostPolicy;
      return policy === undefined ? undefined : statsOf(policy, byRulesetName(await readRuleCounters(TABLE)));
    },
    log: () => kept,
    trouble: () => trouble,
    follow(onEntry) {
      followers.add(onEntry);
      return () => followers.delete(onEntry);
    },
    onRound(now) {
      known = now;
      const { hostPolicy } = now;
      if (hostPolicy !== undefined && hostPolicy !== policies[0]) policies = [hostPolicy, ...policies.slice(0, 1)];
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      reader?.close();
    },
  };
}

/** By the names that chains have in the ruleset, which are the kernel's without the generation. */
function byRulesetName(counts: ReadonlyMap<string, Count>): ReadonlyMap<string, Count> {
  return new Map([...counts].map(([chain, count]) => [TABLE_NAMES.parseName(chain), count]));
}
