import { uptime } from 'node:os';
import type { Logger } from 'pino';
import type { Status } from '#api/status.ts';
import { VERSION } from '#api/version.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { BootConf } from '#core/model/policy/boot-conf.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import { Actor } from '#daemon/reconcile/act.ts';
import { CycleQueue } from '#daemon/reconcile/cycle-queue.ts';
import { createFlowRevocation } from '#daemon/reconcile/flow-revocation.ts';
import { FollowUp } from '#daemon/reconcile/follow-up.ts';
import { giveWay } from '#daemon/reconcile/give-way.ts';
import { HostReader } from '#daemon/reconcile/host-reader.ts';
import { ReconcileLoop } from '#daemon/reconcile/loop.ts';
import { Observer } from '#daemon/reconcile/observe.ts';
import { PolicyOverrides } from '#daemon/reconcile/override.ts';
import { PendingTriggers } from '#daemon/reconcile/pending-triggers.ts';
import { createPolicyProver } from '#daemon/reconcile/policy-prover.ts';
import { createPolicySnapshots } from '#daemon/reconcile/policy-snapshots.ts';
import { textsInForce } from '#daemon/reconcile/state.ts';
import { TableMonitor } from '#daemon/reconcile/table-monitor.ts';
import { PolicyWatch } from '#daemon/reconcile/watch-policy.ts';
import { serveApi } from '#daemon/serve/api-server.ts';
import { createPacketRecords } from '#daemon/serve/packet-records.ts';
import { shareNext } from '#daemon/serve/share-next.ts';
import { describeStatus } from '#daemon/serve/status.ts';
import { readFlowSockets } from '#host/flow-sockets.ts';
import { createNotifier } from '#host/notify.ts';
import { createHistory } from '#host/state/history.ts';
import { createLastGood } from '#host/state/last-good.ts';
import { createOverrideFile } from '#host/state/override-file.ts';
import { objectionToRoot } from '#host/state/state-directory.ts';
import { readFlowLimits } from '#kernel/conntrack/conntrack-state.ts';
import { createFlowLabels } from '#kernel/conntrack/flow-labels.ts';
import { createRevocation } from '#kernel/conntrack/revocation.ts';
import { createElementWriter, type ElementWriter } from '#kernel/nftables/element-writer.ts';
import { createNft } from '#kernel/nftables/nft.ts';
import { createOtherTables } from '#kernel/nftables/other-tables.ts';
import { createTableChanges } from '#kernel/nftables/table-changes.ts';
import { createTableWriterLog } from '#kernel/nftables/table-writers.ts';
import { MemoryRest } from './memory-rest.ts';
import { missingFeatures } from './missing-features.ts';
import { createProtectionNotices, statusLine } from './status-line.ts';

/** How the daemon is started. */
export interface DaemonOptions {
  readonly policyFile: string;
  readonly instance: string | undefined;
  readonly stateDirectory: string;
  /** Where its sockets are. */
  readonly runtimeDirectory: string;
  readonly ownership: 'root' | 'any';
  /** What becomes of a host that has no rules to load. */
  readonly bootConf: BootConf;
  /** The file of this program, which threads that prove policies run too. */
  readonly program: string;
  readonly log: Logger;
}

/** A daemon at work. */
export interface Daemon {
  /** Reads and applies everything anew. */
  reload(): Promise<void>;
  status(): Status;
  /** Ends the daemon's work. What is in force stays in force. */
  stop(): Promise<void>;
}

/** How often kernel and host are looked at for events that were missed. */
const CHECK_MILLISECONDS = 30_000;

/** Starts enforcing: resolves when the first cycle is done and everything is watched. Throws AlreadyRunning. */
export async function startDaemon({
  policyFile,
  instance,
  stateDirectory,
  runtimeDirectory,
  ownership,
  bootConf,
  program,
  log,
}: DaemonOptions): Promise<Daemon> {
  const notifier = createNotifier({ onError: (error) => log.warn({ err: error }, 'systemd could not be notified') });
  const objection = await objectionToRoot(stateDirectory);
  if (objection !== undefined) log.warn(objection);

  // The kernel, and what it cannot do.
  const nft = createNft();
  const elements = createElementWriter();
  const changes = createTableChanges(TABLE);
  const writers = createTableWriterLog();
  const otherTables = createOtherTables(TABLE);
  const flowLabels = createFlowLabels();
  const table = new TableMonitor({ nft, elements }, changes);
  const records = createPacketRecords(log);
  const features = await supportedFeatures(elements, log);

  // What is kept on disk.
  const history = createHistory(stateDirectory);
  const overrideFile = createOverrideFile(stateDirectory);
  const lastGood = createLastGood(stateDirectory);

  // Events mark what is pending; whatever changes the kernel waits in one queue.
  const pending = new PendingTriggers();
  const queue = new CycleQueue();
  const policyWatch = new PolicyWatch({ policyFile, ownership, runtimeDirectory, pending, log });
  const hostReader = new HostReader({ ...features, pending, log });
  const prover = createPolicyProver(program);
  const revocation = createRevocation({
    table: TABLE,
    readSockets: readFlowSockets,
    readLimits: readFlowLimits,
    amend: (write) => queue.inTurn(() => table.amend(write)),
  });
  const flowRevocation = createFlowRevocation(revocation, log);

  // The cycle: observe, decide, act.
  const { settling, reader } = policyWatch;
  const observer = new Observer({
    snapshots: createPolicySnapshots({ load: createPolicyLoader(reader, giveWay), settling, prover }),
    settling,
    onFiles: (files) => policyWatch.setFiles(files),
    readHost: () => hostReader.read(),
    table,
    writers,
  });
  const followUp = new FollowUp({ history, flowRevocation, log });
  const kept = { lastGood, overrideFile, bootConf };
  const actor = new Actor({
    observer,
    table,
    nft,
    flowLabels,
    writers,
    settling,
    flowRevocation,
    followUp,
    ...kept,
    log,
  });
  const loop = new ReconcileLoop({ observer, actor, table, changes, pending, queue, instance, bootConf });
  const overrides = new PolicyOverrides({ loop, overrideFile, history, prover, log });

  // What it says of itself.
  const status = (): Status =>
    describeStatus(loop.state, {
      policyFile,
      version: VERSION,
      now: new Date(),
      uptimeSeconds: uptime(),
      missingFeatures: missingFeatures({
        ...features,
        packetLogTrouble: records.trouble(),
        writeNoticesTrouble: policyWatch.trouble(),
      }),
      revokedFlows: flowRevocation.status(),
    });
  const memoryRest = new MemoryRest();
  const noticeProtection = createProtectionNotices(log);
  loop.onCycle((state) => {
    memoryRest.onCycle(state);
    records.onRound(state);
    const now = status();
    noticeProtection(now);
    notifier.status(statusLine(now));
  });
  const reload = shareNext(async () => {
    notifier.reloading();
    await loop.reload();
    notifier.ready(statusLine(status()));
  });
  // The socket is what two daemons would fight over, so it comes before anything is changed.
  const api = await serveApi(runtimeDirectory, {
    status,
    revision: () => loop.revision,
    fullStatus: async () => {
      const others = await otherTables.read();
      return { ...status(), otherChains: others?.chains ?? null, publishedPorts: others?.publishedPorts ?? null };
    },
    policy: () => textsInForce(loop.state),
    reload,
    clear: () => loop.clear(),
    history,
    overrides,
    records,
    onInaccessible: (socket, group, reason) =>
      log.warn(
        { socket, group, reason },
        `the group cannot be given its socket (${reason}): its members cannot connect`,
      ),
  });

  // INVARIANT: what is read is watched already, so that no change falls between the two.
  await hostReader.start();
  await policyWatch.start();
  const check = setInterval(() => {
    pending.mark('kernel', 0);
    pending.mark('host', 0);
    // What a file is refused for can be put right without an event: the mode of a directory, a mount.
    if (loop.state.refusal !== undefined) pending.mark('policy', 0);
  }, CHECK_MILLISECONDS);
  log.info({ version: VERSION, policy: policyFile, sockets: runtimeDirectory, pid: process.pid }, 'secgroupd starts');
  await overrides.resume();
  await loop.resync();
  loop.watchKernel();
  // The lists are known only now. A writer that comes after the start is noticed.
  await policyWatch.ready();
  notifier.ready(statusLine(status()));
  notifier.startWatchdog(() => true);
  return {
    reload,
    status,
    async stop() {
      notifier.stopping();
      clearInterval(check);
      memoryRest.close();
      policyWatch.close();
      await overrides.close();
      hostReader.close();
      await prover.close();
      await flowRevocation.close();
      await loop.close();
      await api.close();
      records.close();
      elements.close();
      flowLabels.close();
      changes.close();
      writers.stop();
      otherTables.close();
      await notifier.flush();
      log.info('secgroupd ends; its rules stay in force');
    },
  };
}

/** Which features this kernel has; the log says what follows from the missing ones. */
async function supportedFeatures(
  elements: ElementWriter,
  log: Logger,
): Promise<{ readonly flowLabels: boolean; readonly routeLookups: boolean }> {
  const flowLabels = await elements.labelsSupported();
  if (!flowLabels) log.warn('this kernel has no conntrack labels: live flows are judged by each packet');
  const routeLookups = await elements.routeLookupsSupported();
  if (!routeLookups)
    log.warn('this kernel has no nft_fib: packets with an address of this host as source are not dropped');
  return { flowLabels, routeLookups };
}
