import { uptime } from 'node:os';
import type { Logger } from 'pino';
import { createOverrideFile } from '#host/state/override-file.ts';
import { readFlowLimits } from '#kernel/conntrack/conntrack-state.ts';
import { readFlowSockets } from '#host/flow-sockets.ts';
import { createHistory } from '#host/state/history.ts';
import { createLastGood } from '#host/state/last-good.ts';
import { readIdentity } from '#host/identity.ts';
import { createMemoryRelease } from '#host/memory.ts';
import { createNotifier } from '#host/notify.ts';
import { dropInDirectory } from '#host/files/drop-ins.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { createSettling, QUIET_MILLISECONDS } from '#host/files/settling.ts';
import { objectionToRoot } from '#host/state/state-directory.ts';
import { watchFiles } from '#host/files/watch-files.ts';
import { watchInterfaces } from '#daemon/reconcile/watch-links.ts';
import { createWriteEvidence } from '#host/files/write-evidence.ts';
import { createWriteNotices } from '#host/files/write-notices.ts';
import type { BootConf } from '#core/model/policy/boot-conf.ts';
import type { Status } from '#api/status.ts';
import { createTableWriterLog } from '#kernel/nftables/table-writers.ts';
import { createElementWriter } from '#kernel/nftables/element-writer.ts';
import { createFlowLabels } from '#kernel/conntrack/flow-labels.ts';
import { createTableChanges } from '#kernel/nftables/table-changes.ts';
import { createNft } from '#kernel/nftables/nft.ts';
import { createRevocation } from '#kernel/conntrack/revocation.ts';
import { createOtherTables } from '#kernel/nftables/other-tables.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import { whyStatusUnprotected } from '#core/meaning/unprotected-host.ts';
import { VERSION } from '#api/version.ts';
import { serveApi } from '#daemon/serve/api-server.ts';
import { createCutting } from '#daemon/reconcile/cutting.ts';
import { type Enforcement, textsInForce } from '#daemon/reconcile/enforcement.ts';
import { createHolding } from '#daemon/reconcile/holding.ts';
import { createPacketRecords } from '#daemon/serve/packet-records.ts';
import { createPolicyProver } from '#daemon/reconcile/policy-prover.ts';
import { createReconciler } from '#daemon/reconcile/reconciler.ts';
import { shareNext } from '#daemon/serve/share-next.ts';
import { describeStatus } from '#daemon/serve/status.ts';

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

/** A file that was put in place or closed is complete; it only waits for others that come with it. */
const AFTER_REPLACEMENT_MILLISECONDS = 5;

/** Of a file written in place the closing is awaited; where no notice comes of it, the file is looked at after so long. */
const AFTER_WRITE_MILLISECONDS = 100;

const AFTER_INTERFACE_CHANGE_MILLISECONDS = 20;

/** Who edits a file edits it again soon; after so long memory is given back that only changes need. */
const REST_MILLISECONDS = 5_000;

/** How often kernel and host are asked whether they are as we left them, for events that were missed. */
const CHECK_MILLISECONDS = 30_000;

/** Starts enforcing: resolves when the first round is done and everything is watched. Throws AlreadyRunning. */
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
  const dropIns = dropInDirectory(policyFile);
  const nft = createNft();
  const elements = createElementWriter();
  const changes = createTableChanges(TABLE);
  const tableWriters = createTableWriterLog();
  const otherTables = createOtherTables(TABLE);
  const flowLabels = createFlowLabels();
  const labelsSupported = await elements.labelsSupported();
  if (!labelsSupported) log.warn('this kernel has no conntrack labels: live flows are judged by each packet');
  const routeLookups = await elements.routeLookupsSupported();
  if (!routeLookups)
    log.warn('this kernel has no nft_fib: packets with an address of this host as source are not dropped');
  const status = (): Status =>
    describeStatus(reconciler.enforcement(), {
      policyFile,
      version: VERSION,
      now: new Date(),
      uptimeSeconds: uptime(),
      missingFeatures: missingFeatures(),
      revokedFlows: cutting.status(),
    });
  const missingFeatures = (): readonly string[] => [
    ...(labelsSupported
      ? []
      : ['conntrack labels (CONFIG_NF_CONNTRACK_LABELS): every packet of a live flow is judged']),
    ...(routeLookups
      ? []
      : ["lookups of routes in rules (CONFIG_NFT_FIB_INET): a neighbour can send with the host's own IPv6 address"]),
    ...(records.trouble() === undefined
      ? []
      : [`the packet log (nfnetlink_log): nothing is logged: ${records.trouble() ?? ''}`]),
    ...(notices.trouble() === undefined
      ? []
      : [
          `notices of writers that close a file (inotifywait): ${notices.trouble() ?? ''}: a file written in place counts after ${QUIET_MILLISECONDS / 1_000} s of quiet`,
        ]),
  ];
  let watched: readonly string[] = [policyFile, dropIns];
  const watchAlso = (read: readonly string[]): void => {
    const paths = [...new Set([policyFile, dropIns, ...read])];
    if (paths.join('\0') === watched.join('\0')) return;
    watched = paths;
    files.setPaths(paths);
    // A file just learned of was read before it was watched; what changed in between shows when it is read again.
    void files.ready().then(() => reconciler.mark('policy', AFTER_REPLACEMENT_MILLISECONDS));
  };
  const history = createHistory(stateDirectory);
  const heldFile = createOverrideFile(stateDirectory);
  const records = createPacketRecords(log);
  const prover = createPolicyProver(program);
  const revocation = createRevocation({
    table: TABLE,
    readSockets: readFlowSockets,
    readLimits: readFlowLimits,
    amend: (write) => reconciler.amend(write),
  });
  const cutting = createCutting(revocation, log);
  const releaseMemory = createMemoryRelease();
  let resting: NodeJS.Timeout | undefined;
  let rested: Pick<Enforcement, 'policy' | 'applied'> | undefined;
  const restAfter = (known: Enforcement): void => {
    if (rested?.policy === known.policy && rested?.applied === known.applied) return;
    rested = known;
    clearTimeout(resting);
    resting = setTimeout(releaseMemory, REST_MILLISECONDS).unref();
  };
  let warned: string | undefined;
  const warnWhereUnprotected = (now: Status): void => {
    const unprotected = whyStatusUnprotected(now);
    if (unprotected?.message === warned) return;
    warned = unprotected?.message;
    if (unprotected === undefined) log.info('the policy names an interface of this host again');
    else log.error({ help: unprotected.help }, unprotected.message);
  };
  const onRound = (known: Enforcement): void => {
    restAfter(known);
    records.onRound(known);
    const now = status();
    warnWhereUnprotected(now);
    notifier.status(oneLine(now));
  };
  const notices = createWriteNotices({
    markDirectory: runtimeDirectory,
    onNotice: (directory, name, notice) => {
      evidence.onNotice(directory, name, notice);
      if (notice === 'closed') files.onClosed(directory, name);
    },
    onLost: () => evidence.onLost(),
    onTrouble: (error) => log.warn({ err: error }, 'files written in place: quiet tells that their writers are done'),
  });
  const evidence = createWriteEvidence(notices);
  const settling = createSettling(evidence);
  const reconciler = createReconciler({
    reader: createPolicyReader(policyFile, ownership, settling),
    settling,
    prover,
    onFiles: watchAlso,
    // The host's name too is read each time: at boot it may be set after the daemon has started.
    readHost: async () => ({
      ...(await readIdentity()),
      interfaces: await interfaces.snapshot(),
      flowLabels: labelsSupported,
      routeLookups,
    }),
    nft,
    elements,
    flowLabels,
    changes,
    tableWriters,
    instance,
    bootConf,
    lastGood: createLastGood(stateDirectory),
    history,
    heldFile,
    cutting,
    log,
    onRound,
  });
  const holding = createHolding({
    exclusively: (work) => reconciler.exclusively(work),
    heldFile,
    history,
    prover,
    log,
  });
  const reload = shareNext(async () => {
    notifier.reloading();
    await reconciler.renew();
    notifier.ready(oneLine(status()));
  });
  // The socket is what two daemons would fight over, so it comes before anything is changed.
  const api = await serveApi(runtimeDirectory, {
    status,
    revision: () => reconciler.revision(),
    fullStatus: async () => {
      const others = await otherTables.read();
      return { ...status(), otherChains: others?.chains ?? null, publishedPorts: others?.publishedPorts ?? null };
    },
    policy: () => textsInForce(reconciler.enforcement()),
    reload,
    clear: () => reconciler.clear(),
    history,
    holding,
    records,
    onInaccessible: (socket, group, reason) =>
      log.warn(
        { socket, group, reason },
        `the group cannot be given its socket (${reason}): its members cannot connect`,
      ),
  });
  const interfaces = await watchInterfaces({
    onChange: () => reconciler.mark('host', AFTER_INTERFACE_CHANGE_MILLISECONDS),
    onError: (error) => log.warn({ err: error }, 'interfaces: the watch had trouble and goes on'),
  });
  const files = watchFiles({
    paths: watched,
    onChange: (kind) =>
      reconciler.mark('policy', kind === 'modified' ? AFTER_WRITE_MILLISECONDS : AFTER_REPLACEMENT_MILLISECONDS),
    onError: (error) => log.warn({ err: error }, 'files: the watch had trouble and goes on'),
    evidence,
    notices,
  });
  const check = setInterval(() => {
    reconciler.mark('kernel', 0);
    reconciler.mark('host', 0);
    // What a file is refused for can be mended where nobody is told of it: the mode of a directory, a mount.
    if (reconciler.enforcement().refusal !== undefined) reconciler.mark('policy', 0);
  }, CHECK_MILLISECONDS);
  // INVARIANT: what is read is watched already, so that no change falls between the two.
  await files.ready();
  log.info({ version: VERSION, policy: policyFile, sockets: runtimeDirectory, pid: process.pid }, 'secgroupd starts');
  await holding.resume();
  await reconciler.begin();
  reconciler.watchKernel();
  // The lists are known only now. A writer that comes after the start is noticed.
  await files.ready();
  await notices.ready();
  notifier.ready(oneLine(status()));
  notifier.startWatchdog(() => true);
  return {
    reload,
    status,
    async stop() {
      notifier.stopping();
      clearInterval(check);
      clearTimeout(resting);
      files.close();
      notices.close();
      await holding.close();
      interfaces.close();
      await prover.close();
      await cutting.close();
      await reconciler.close();
      await api.close();
      records.close();
      elements.close();
      flowLabels.close();
      changes.close();
      tableWriters.stop();
      otherTables.close();
      await notifier.flush();
      log.info('secgroupd ends; its rules stay in force');
    },
  };
}

/** The status in one line, as `systemctl status` shows it. */
function oneLine(status: Status): string {
  const { state, instance, inForce, refusal, troubles, trial, policyFile, waitingFor } = status;
  const unprotected = whyStatusUnprotected(status);
  if (unprotected !== undefined) return unprotected.message;
  const first = refusal?.diagnostics.find(({ severity }) => severity === 'error');
  if (first !== undefined)
    return `policy refused: ${first.file}:${first.line}:${first.column}: ${first.message}; what was in force still is`;
  if (troubles[0] !== undefined) return troubles[0].message;
  const [waiting] = waitingFor;
  if (waiting !== undefined) return `waiting for ${waiting.file}: ${waiting.message}`;
  if (trial !== null) return `a policy is on trial, for ${trial.secondsLeft} s more unless it is confirmed`;
  if (state === 'cleared') return 'firewall off (sgctl clear)';
  if (inForce === null) return 'nothing in force yet';
  const version = (inForce.version ?? null) === null ? '' : `, version ${inForce.version}`;
  return `${policyFile} in force as ${instance ?? 'no instance'}${version}`;
}
