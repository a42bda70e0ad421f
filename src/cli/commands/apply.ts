import { isDaemonServing } from '#api/daemon-client.ts';
import { liveFlows } from '#cli/actions/revoke-flows.ts';
import { type Command, CommandError, EXIT, type Streams } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION, readTrust, socketPath, stateDirectory } from '#cli/framework/options.ts';
import { readBootConf } from '#cli/input/boot-conf.ts';
import { locate, printDiagnostics, readHost, readPolicyToEnforce, warnWhereUnprotected } from '#cli/input/load.ts';
import { errorText } from '#core/diagnostics/error-text.ts';
import type { Script } from '#core/model/nft/script.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { planChange, planFallback } from '#core/plan-change.ts';
import { policiesBefore } from '#core/policies-before.ts';
import { TABLE_NAMES } from '#core/translate/5-render/names.ts';
import type { RenderedChange } from '#core/translate/6-change/render-change.ts';
import { identityOfTexts, policyTexts } from '#host/files/policy-texts.ts';
import { createHistory } from '#host/state/history.ts';
import { createLastGood, type LastGood } from '#host/state/last-good.ts';
import { openStateDirectory, type StateDirectory } from '#host/state/state-directory.ts';
import { isTracking } from '#kernel/conntrack/conntrack-state.ts';
import { NftError } from '#kernel/errors.ts';
import { applyChange } from '#kernel/nftables/apply-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { createNft, type Nft } from '#kernel/nftables/nft.ts';
import { readInForce } from '#kernel/nftables/table.ts';

/** `sgctl apply [FILE]`: applies a policy once, as the daemon does. */
export const apply: Command = {
  name: 'apply',
  summary:
    'Applies a policy once, without the daemon. Nothing changes if the policy has a mistake or the kernel refuses.',
  usage: '[FILE] [--instance NAME] [--trust root|any]',
  options: {
    instance: OPTION.instance,
    trust: OPTION.trust,
    'state-dir': OPTION.stateDir,
    'runtime-dir': OPTION.runtimeDir,
    json: OPTION.json,
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: ['sudo sgctl apply', 'sudo sgctl apply policy.yaml --instance web-1'],
  exitNo: 'the policy is not valid',
  async run(line, streams) {
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const loaded = await readPolicyToEnforce(file, readTrust(line));
    printDiagnostics(loaded, streams);
    const { policy } = loaded;
    if (policy === undefined) return EXIT.no;
    const socket = socketPath(line);
    if (await isDaemonServing(socket)) {
      throw new CommandError(
        `the daemon is running and applies its own policy (${socket})\nhelp: edit that policy, or stop the daemon first`,
      );
    }
    const host = await readHost();
    const hostPolicy = locate(policy, host, { named: line.text('instance'), streams });
    warnWhereUnprotected(hostPolicy, host, streams);
    const nft = createNft();
    const inForce = await readInForce(nft, TABLE_NAMES);
    const before = inForce ?? ((await isTracking()) ? undefined : 'untracked');
    const planned = planChange(hostPolicy, before, hashContent);
    const directory = stateDirectory(line);
    const keep = await keeping(directory, streams);
    const lastGood = createLastGood(directory);
    const { sshPorts } = await readBootConf((message) => streams.err(`sgctl apply: ${message}\n`));
    const live = liveFlows(host.interfaces, streams);
    const history = createHistory(directory);
    const texts = policyTexts(loaded, hostPolicy.instance);
    let isJudged = false;
    try {
      const isFirst = inForce === undefined;
      await applyAndPersist(planned, {
        nft,
        lastGood,
        keep,
        fallback: () => planFallback(hostPolicy, sshPorts, hashContent),
        seed: isFirst ? () => live.seed() : undefined,
      });
      // Again, for sockets that were opened while the rules were loaded.
      if (isFirst) await live.seed();
      const earlier: HostPolicy[] = [];
      await keep(async () => {
        earlier.push(
          ...(await policiesBefore(await history.sinceJudged(), { identity: identityOfTexts(texts), host })),
        );
      });
      const isSame = planned.change.kind === 'none' && earlier.length === 0;
      isJudged = await live.cut(hostPolicy, { before: isSame ? [hostPolicy] : earlier, isBeforeKnown: isSame });
    } finally {
      live.close();
    }
    let version: number | undefined;
    await keep(async () => {
      version = await history.record(texts, { origin: 'apply' });
      if (isJudged) await history.noteJudged(texts, version);
    });
    const { generation, contentHash } = planned.change.next;
    const changed = planned.change.kind !== 'none';
    if (line.given('json')) {
      streams.out(
        `${JSON.stringify({ instance: hostPolicy.instance, generation, version: version ?? null, stamp: contentHash, changed }, null, 2)}\n`,
      );
    } else {
      streams.out(
        `${file}: ${changed ? '' : 'already '}active as ${hostPolicy.instance}${version === undefined ? '' : `, version ${version}`}\n`,
      );
    }
    return EXIT.success;
  },
};

/** Runs a step that keeps the rules for the next boot, and returns whether it succeeded. */
type Keep = (step: () => Promise<unknown>) => Promise<boolean>;

/** Runs steps in a state directory, as its owner. A full disk is reported, and does not keep rules from being applied. */
async function keeping(directory: string, streams: Streams): Promise<Keep> {
  const attempt: Keep = async (step) => {
    try {
      await step();
      return true;
    } catch (error) {
      const reason = errorText(error);
      streams.err(`sgctl apply: the rules in force are not saved for the next boot: ${reason}\n`);
      return false;
    }
  };
  let opened: StateDirectory | undefined;
  await attempt(async () => {
    opened = await openStateDirectory(directory);
  });
  const state = opened;
  return state === undefined ? () => Promise.resolve(false) : (step) => attempt(() => state.run(step));
}

/** What applying a change works with. */
interface ApplyContext {
  readonly nft: Nft;
  readonly lastGood: LastGood;
  readonly keep: Keep;
  readonly fallback: () => Script;
  readonly seed: (() => Promise<void>) | undefined;
}

async function applyAndPersist(
  { change, whole }: RenderedChange,
  { nft, lastGood, keep, fallback, seed }: ApplyContext,
): Promise<void> {
  const prepared = await keep(() => lastGood.prepare(whole()));
  try {
    await applyChange({ nft, elements: undefined }, change, { aheadOfLast: seed });
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    const place = error.span === undefined ? '' : `${error.span.file}:${error.span.line}:${error.span.column}: `;
    throw new CommandError(`${place}the kernel was not changed: ${error.message}`);
  }
  if (!prepared || !(await keep(() => lastGood.commit()))) return;
  await keep(() => lastGood.keepFallback(fallback()));
}
