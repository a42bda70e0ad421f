import { EXIT } from '#cli/framework/command.ts';
import { explainBug } from '#cli/framework/program.ts';
import { standardStreams } from '#cli/framework/streams.ts';
import { runSgctl } from '#cli/run-sgctl.ts';

// A reader that closes the pipe, as `head` does, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.success);
  throw error;
});
const streams = standardStreams();
void runSgctl(process.argv.slice(2), streams)
  .catch((error: unknown) => explainBug(error, streams))
  .then((status) => {
    process.exitCode = status;
  });
