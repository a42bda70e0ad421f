import { isMainThread } from 'node:worker_threads';
import { apply } from '#cli/commands/apply.ts';
import { readBootConf } from '#cli/input/boot-conf.ts';
import { type Command, EXIT, type ExitStatus, UsageError } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, readTrust, runtimeDirectory, stateDirectory } from '#cli/framework/options.ts';
import { explainBug, runCommand } from '#cli/framework/program.ts';
import { standardStreams } from '#cli/framework/streams.ts';
import { SECGROUPD } from '#cli/commands/secgroupd-command.ts';
import { AlreadyRunning } from '#daemon/serve/api-server.ts';
import { type Daemon, startDaemon } from '#daemon/daemon.ts';
import { createLog } from '#daemon/log.ts';
import { proveAsWorker } from '#daemon/reconcile/proof-worker.ts';
import { LOG_FORMATS, LOG_LEVELS } from '#core/model/policy/log-levels.ts';
import { VERSION } from '#api/version.ts';

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
    const level = LOG_LEVELS.find((one) => one === (line.text('log-level') ?? 'info'));
    if (level === undefined) throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(', ')}`);
    const asked = line.text('log-format');
    const format = LOG_FORMATS.find((known) => known === asked);
    if (asked !== undefined && format === undefined)
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
        // As CommonJS has it, which the bundle is.
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

/** Serves signals until one ends the daemon. */
function untilEnded(daemon: Daemon): Promise<ExitStatus> {
  return new Promise((resolve, reject) => {
    process.on('SIGHUP', () => void daemon.reload().catch(reject));
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => void daemon.stop().then(() => resolve(EXIT.success), reject));
    }
  });
}

/** Runs the program to its end. */
function main(): void {
  const streams = standardStreams();
  // Handles that a library holds open must not keep an ended daemon alive.
  void runCommand('secgroupd', PROGRAM, { args: process.argv.slice(2), streams })
    .catch((error: unknown) => explainBug(error, streams))
    .then((status) => process.exit(status));
}

// The daemon's threads run this file too, and do nothing but prove.
if (isMainThread) main();
else void proveAsWorker();
