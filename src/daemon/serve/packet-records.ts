import type { Logger } from 'pino';
import type { LogEntry } from '#api/log-entry.ts';
import { describeLogEntry } from '#api/log-entry-text.ts';
import type { RuleHits } from '#api/rule-hits.ts';
import { errorText } from '#core/diagnostics/error-text.ts';
import { LOG_GROUP } from '#core/model/nft/packet-log.ts';
import type { LoggedPacket } from '#core/model/packet/logged-packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { TABLE, TABLE_NAMES } from '#core/translate/5-render/names.ts';
import type { DaemonState } from '#daemon/reconcile/state.ts';
import { openPacketLog, type PacketLog } from '#kernel/nflog/packet-log.ts';
import { type Count, readRuleCounters } from '#kernel/nftables/rule-counters.ts';
import { logEntry } from './log-entry.ts';
import { ruleHits } from './rule-hits.ts';

/** The packets that rules have counted and logged. */
export interface PacketRecords {
  /** Undefined if the policy in force is unknown. Throws a NetfilterError. */
  stats(): Promise<RuleHits | undefined>;
  /** The newest packets, oldest first. */
  log(): readonly LogEntry[];
  /** Calls `onEntry` for each packet logged from now on; returns a function that stops it. */
  follow(onEntry: (entry: LogEntry) => void): () => void;
  /** Notes the state after a cycle: packets logged before it were filtered by the policy before. */
  onRound(state: DaemonState): void;
  /** Why logged packets cannot be read; undefined if they can. */
  trouble(): string | undefined;
  close(): void;
}

/** Packets kept for `sgctl log`; the journal has all. */
const MAX_KEPT = 1_000;

const REOPEN_MILLISECONDS = 10_000;

/** Reads the packets that rules log, from now on. */
export function createPacketRecords(log: Logger): PacketRecords {
  const kept: LogEntry[] = [];
  const followers = new Set<(entry: LogEntry) => void>();
  let policies: readonly HostPolicy[] = [];
  let state: DaemonState | undefined;
  let reader: PacketLog | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let trouble: string | undefined;

  const onPacket = (packet: LoggedPacket): void => {
    const entry = logEntry(packet, { policies, host: state?.host, now: new Date() });
    if (entry === undefined) return;
    kept.push(entry);
    if (kept.length > MAX_KEPT) kept.shift();
    log.info({ packet: entry }, describeLogEntry(entry));
    for (const follower of followers) follower(entry);
  };
  const reopenLater = (error: unknown): void => {
    if (trouble === undefined) log.warn({ err: error }, 'packets that rules log cannot be read');
    trouble = errorText(error);
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
      const policy = state?.hostPolicy;
      return policy === undefined ? undefined : ruleHits(policy, byRulesetName(await readRuleCounters(TABLE)));
    },
    log: () => kept,
    trouble: () => trouble,
    follow(onEntry) {
      followers.add(onEntry);
      return () => followers.delete(onEntry);
    },
    onRound(current) {
      state = current;
      const { hostPolicy } = current;
      if (hostPolicy !== undefined && hostPolicy !== policies[0]) policies = [hostPolicy, ...policies.slice(0, 1)];
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      reader?.close();
    },
  };
}

/** The counts by the chains' names in the ruleset: the kernel's names without the generation. */
function byRulesetName(counts: ReadonlyMap<string, Count>): ReadonlyMap<string, Count> {
  return new Map([...counts].map(([chain, count]) => [TABLE_NAMES.parseName(chain), count]));
}
