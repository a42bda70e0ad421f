import { TABLE_NAMES } from '../4-render/names.ts';
import { isTracking } from '../host/conntrack.ts';
import { createLastGood } from '../host/last-good.ts';
import { applyChange } from '../nft/apply-change.ts';
import { createNft, type Nft } from '../nft/nft.ts';
import { NftError } from '../nft/nft-error.ts';
import { stampOf } from '../nft/stamp.ts';
import { readInForce } from '../nft/table.ts';
import type { RenderedChange } from '../4-render/render-change.ts';
import { planChange } from '../pipeline.ts';
import { type Command, EXIT, type Streams, UnableError } from './command.ts';
import { askDaemon } from './daemon-client.ts';
import { locate, readHost, readPolicyOrExplain } from './load.ts';
import { DEFAULT_POLICY_FILE, OPTION, socketPath, stateDirectory } from './options.ts';

/** `sgctl apply [FILE]`: what the daemon does, once. */
export const apply: Command = {
  name: 'apply',
  summary:
    'Applies a policy once, without the daemon. Nothing changes if the policy has a mistake or the kernel refuses.',
  usage: '[FILE] [--instance NAME]',
  options: {
    instance: OPTION.instance,
    'state-dir': OPTION.stateDir,
    'runtime-dir': OPTION.runtimeDir,
    json: OPTION.json,
    help: OPTION.help,
  },
  mostPositionals: 1,
  examples: ['sudo sgctl apply', 'sudo sgctl apply policy.yaml --instance web-1'],
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const policy = await readPolicyOrExplain(file, streams);
    if (policy === undefined) return EXIT.no;
    const socket = socketPath(line);
    if ((await askDaemon(socket, 'GET', '/v1/status')) !== undefined) {
      throw new UnableError(
        `the daemon is running and applies its own policy (${socket})\nhelp: edit that policy, or stop the daemon first`,
      );
    }
    const hostPolicy = locate(policy, await readHost(), line.text('instance'));
    const nft = createNft();
    const inForce = await readInForce(nft, TABLE_NAMES);
    const before = inForce ?? ((await isTracking()) ? undefined : 'untracked');
    const planned = planChange(hostPolicy, before, stampOf);
    await bringAbout(planned, { nft, directory: stateDirectory(line), streams });
    const { generation, stamp } = planned.change.next;
    const changed = planned.change.kind !== 'none';
    if (line.given('json')) {
      streams.out(`${JSON.stringify({ instance: hostPolicy.instance, generation, stamp, changed }, null, 2)}\n`);
    } else {
      streams.out(
        `${file}: in force${changed ? '' : ' already'} as ${hostPolicy.instance}, generation ${generation}\n`,
      );
    }
    return EXIT.fine;
  },
};

interface Surroundings {
  readonly nft: Nft;
  readonly directory: string;
  readonly streams: Streams;
}

async function bringAbout({ change, whole }: RenderedChange, { nft, directory, streams }: Surroundings): Promise<void> {
  const lastGood = createLastGood(directory);
  // A disk that is full is no reason to leave the host open; it is one to say so.
  const saving = async (step: () => Promise<void>): Promise<boolean> => {
    try {
      await step();
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      streams.err(`sgctl apply: what is in force is not kept for the next boot: ${reason}\n`);
      return false;
    }
  };
  const prepared = await saving(() => lastGood.prepare(whole()));
  try {
    await applyChange({ nft, elements: undefined }, change);
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    const place = error.span === undefined ? '' : `${error.span.file}:${error.span.line}:${error.span.column}: `;
    throw new UnableError(`${place}the kernel was not changed: ${error.message}`);
  }
  if (prepared) await saving(() => lastGood.commit());
}
