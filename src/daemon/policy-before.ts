import type { Logger } from 'pino';
import type { History } from '../host/history.ts';
import { readerOfTexts } from '../host/policy-texts.ts';
import { createPolicyLoader } from '../load-policy.ts';
import type { HostPolicy, HostState } from '../model/host.ts';
import { locateHost } from '../pipeline.ts';
import { identityOf, type PolicyFiles } from './enforcement.ts';
import { giveWay } from './give-way.ts';

/** What is in force now, and where. */
interface InForceHere {
  readonly files: PolicyFiles | undefined;
  readonly host: HostState;
}

/**
 * The policy that an earlier process of the daemon had in force last, where that is another one than what is in force
 * now: it was edited while no daemon ran, or the process ended before it kept the change. Undefined where it is the same
 * one, or cannot be read.
 */
export async function policyBefore(
  history: Pick<History, 'list' | 'read'>,
  { files, host }: InForceHere,
  log: Logger,
): Promise<HostPolicy | undefined> {
  try {
    const [newest] = await history.list();
    if (newest === undefined || files === undefined || newest.identity === identityOf(files)) return undefined;
    const kept = await history.read(newest.number);
    if (kept === undefined) return undefined;
    const { policy } = await createPolicyLoader(readerOfTexts(kept.texts), giveWay)();
    const located = policy === undefined ? undefined : locateHost(policy, host, kept.instance);
    return located?.kind === 'absent' ? undefined : located?.hostPolicy;
  } catch (error) {
    log.warn({ err: error }, 'the policy that was in force before cannot be read: which flows it let in is not known');
    return undefined;
  }
}
