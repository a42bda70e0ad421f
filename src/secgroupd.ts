import { isMainThread } from 'node:worker_threads';
import { VERSION } from '#api/version.ts';
import { apply } from '#cli/commands/apply.ts';
import { SECGROUPD } from '#cli/commands/secgroupd-command.ts';
import { type Command, EXIT, type ExitStatus, UsageError } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, readTrust, runtimeDirectory, stateDirectory } from '#cli/framework/options.ts';
import { explainBug, runCommand } from '#cli/framework/program.ts';
import { standardStreams } from '#cli/framework/streams.ts';
import { readBootConf } from '#cli/input/boot-conf.ts';
import { LOG_FORMATS, LOG_LEVELS } from '#core/model/policy/log-levels.ts';
import { type Daemon, startDaemon } from '#daemon/daemon.ts';
import { createLog } from '#daemon/log.ts';
import { proveAsWorker } from '#daemon/reconcile/proof-worker.ts';
import { AlreadyRunning } from '#daemon/serve/api-server.ts';

const PROGRAM: Command = {
  ...SECGROUPD,
  async run(line, streams) {
    if (line.given('version')) {
      streams.out(`secgroupd ${VERSION}\n`);
      return EXIT.success;
    }
    const policyFile = line.text('policy') ?? DEFAULT_POLICY_FILE;
    const ownership = readTrust(line);
    if (line.given('once')) return apply.run({ ...line, positionals: [policyFile] }, streams);
    const level = LOG_LEVELS.find((name) => name === (line.text('log-level') ?? 'info'));
    if (level === undefined) throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(', ')}`);
    const requested = line.text('log-format');
    const format = LOG_FORMATS.find((name) => name === requested);
    if (requested !== undefined && format === undefined)
      throw new UsageError(`--log-format is one of ${LOG_FORMATS.join(', ')}`);
    const log = createLog(level, format);
    try {
      const daemon = await startDaemon({
        policyFile,
        instance: line.text('instance'),
        stateDirectory: stateDirectory(line),
        runtimeDirectory: runtimeDirectory(line),
        ownership,
        bootConf: await readBootConf((message) => log.warn(message)),
        // Defined because the bundle is CommonJS.
        program: __filename,
        log,
      });
      return await untilEnded(daemon);
    } catch (error) {
      if (!(error instanceof AlreadyRunning)) throw error;
      log.fatal(error.message);
      return EXIT.failed;
    }
  },
};

/** Handles signals until one of them stops the daemon. */
function untilEnded(daemon: Daemon): Promise<ExitStatus> {
  return new Promise((resolve, reject) => {
    process.on('SIGHUP', () => void daemon.reload().catch(reject));
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => void daemon.stop().then(() => resolve(EXIT.success), reject));
    }
  });
}

/** Runs the program and exits with its status. */
function main(): void {
  const streams = standardStreams();
  // Exits explicitly: handles that a library holds open must not keep a stopped daemon alive.
  void runCommand('secgroupd', PROGRAM, { args: process.argv.slice(2), streams })
    .catch((error: unknown) => explainBug(error, streams))
    .then((status) => process.exit(status));
}

// The daemon's worker threads run this file too, and only prove assertions.
if (isMainThread) main();
else void proveAsWorker();
